"""What an attempt installs in both networks it removes again, however it ends."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from beliefmatch.runs.folder import RunFolder
from beliefmatch.training.attempt import begin_attempt
from beliefmatch.training.options import ExecutionName, RunOptions
from beliefmatch.training.prepare import prepare
from tiny import tiny_transfer


class BrokenOffError(Exception):
    """The run ends in the middle."""


def keep(function: Callable[..., Any], **_options: Any) -> Callable[..., Any]:
    """Stand in for a compiler."""
    return function


def installed(network: nn.Module) -> list[str]:
    """Name what hangs on a network: hooks of any module, and a forward pass that replaces its own."""
    hooks = [
        f"{name or 'whole'}: {table}"
        for name, module in network.named_modules()
        for table in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        if getattr(module, table)
    ]
    return hooks + (["forward"] if "forward" in vars(network) else [])


@pytest.mark.parametrize("execution", ["eager", "compiled"])
@pytest.mark.parametrize("breaks_off", [False, True])
def test_counters_and_compiled_passes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, execution: ExecutionName, breaks_off: bool
) -> None:
    monkeypatch.setattr(torch, "compile", keep)
    options = RunOptions(folder=tmp_path, accelerator="cpu", precision="32-true", execution=execution)
    prepared = prepare(tiny_transfer(), options)
    networks = prepared.teacher.module, prepared.student
    before = list(map(installed, networks))
    try:
        with begin_attempt(prepared, options.with_intervals(4), RunFolder(tmp_path), 0) as attempt:
            attempt.execution.next()
            assert attempt.state.student_passes > 0
            assert attempt.state.teacher_passes > 0
            assert list(map(installed, networks)) != before
            if breaks_off:
                raise BrokenOffError
    except BrokenOffError:
        assert breaks_off
    assert list(map(installed, networks)) == before


def test_what_cannot_be_compiled_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []

    def fail_at_last(function: Callable[..., Any], **_options: Any) -> Callable[..., Any]:
        compiled.append(function)
        if len(compiled) == 3:
            raise RuntimeError("no compiler here")
        return function

    monkeypatch.setattr(torch, "compile", fail_at_last)
    options = RunOptions(folder=tmp_path, accelerator="cpu", precision="32-true", execution="compiled")
    prepared = prepare(tiny_transfer(), options)
    networks = prepared.teacher.module, prepared.student
    before = list(map(installed, networks))
    with (
        pytest.raises(RuntimeError, match="no compiler"),
        begin_attempt(prepared, options.with_intervals(4), RunFolder(tmp_path), 0),
    ):
        pass
    assert len(compiled) == 3
    assert list(map(installed, networks)) == before
