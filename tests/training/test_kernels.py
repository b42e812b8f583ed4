"""`--deterministic` sets what it should for a run, and leaves torch as it was."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from beliefmatch import RunOptions, run
from beliefmatch.errors import SettingsError
from beliefmatch.training import attempt as attempts
from beliefmatch.training.execution.choice import choose_execution
from beliefmatch.training.execution.kernels import WORKSPACE, deterministic_kernels
from tiny import vector_transfer


def found() -> tuple[bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )


@pytest.mark.parametrize(("deterministic", "expected"), [(True, (True, True, False)), (False, (False, False, True))])
def test_a_run_uses_the_kernels_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, deterministic: bool, expected: tuple[bool, bool, bool]
) -> None:
    before, seen, names = found(), [], []

    def choose(name: Any, *rest: Any) -> Any:
        names.append(name)
        return choose_execution(name, *rest)

    monkeypatch.setattr(attempts, "choose_execution", choose)
    options = RunOptions(folder=tmp_path / "run", accelerator="cpu", precision="32-true", deterministic=deterministic)
    run(vector_transfer(), options, progress=False, on_round=lambda *_: seen.append(found()))
    assert set(seen) == {expected}
    assert names == ["captured" if deterministic else "auto"]
    assert found() == before


def test_what_was_set_before_comes_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    torch.use_deterministic_algorithms(mode=True)
    try:
        seen: list[tuple[bool, bool, bool]] = []
        with suppress(KeyError), deterministic_kernels("cpu"):
            seen.append(found())
            raise KeyError
        assert seen == [(True, True, False)]
        assert found() == (True, False, True)
    finally:
        torch.use_deterministic_algorithms(mode=False)


def test_cublas_must_be_told_by_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    before = found()
    monkeypatch.delenv(WORKSPACE, raising=False)
    with (
        pytest.raises(SettingsError, match="CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment"),
        deterministic_kernels("cuda"),
    ):
        pass
    assert found() == before
    monkeypatch.setitem(os.environ, WORKSPACE, ":16:8")
    with deterministic_kernels("cuda"):
        assert found() == (True, True, False)
    assert found() == before
