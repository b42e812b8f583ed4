"""Which precision a run takes."""

from pathlib import Path

import pytest
import torch

from beliefmatch.engine import precision
from beliefmatch.engine.options import RunOptions
from beliefmatch.engine.precision import make_fabric, settle_precision
from beliefmatch.engine.record import RunFolder
from beliefmatch.engine.run import run
from beliefmatch.engine.transfer import run_round
from tiny import begin, tiny_transfer


@pytest.mark.parametrize(("has_it", "settled"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_follows_the_hardware_and_a_choice_stands(
    monkeypatch: pytest.MonkeyPatch, has_it: bool, settled: str
) -> None:
    monkeypatch.setattr(precision, "multiplies_bf16", lambda _: has_it)
    assert settle_precision("auto", "cpu") == settled
    assert settle_precision("64-true", "cpu") == "64-true"
    assert settle_precision("32-true", "cpu") == "32-true"


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed", "64-true"])
def test_a_fabric_knows_its_precision(name: precision.SettledPrecision) -> None:
    assert make_fabric("cpu", name)._precision.precision == name


def test_a_run_continues_in_the_precision_it_was_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"folder": tmp_path / "run", "accelerator": "cpu", "resume": True}
    monkeypatch.setattr(precision, "multiplies_bf16", lambda _: True)
    run(tiny_transfer(), RunOptions(**options))
    monkeypatch.setattr(precision, "multiplies_bf16", lambda _: False)
    run(tiny_transfer(), RunOptions(**options))
    assert RunFolder(tmp_path / "run").read()["settings"]["precision"] == "bf16-mixed"


def test_losses_weights_and_statistics_stay_in_32_bits_in_bf16() -> None:
    transfer, state, teacher, fabric = begin(tiny_transfer(), precision="bf16-mixed")
    record = run_round(transfer, state, teacher, fabric)
    assert {value.dtype for value in record.values()} == {torch.float32}
    floating = [value for value in state.student.state_dict().values() if value.is_floating_point()]
    assert {value.dtype for value in floating} == {torch.float32}
    moments = state.optimisation.optimiser.state.values()
    assert {moment["exp_avg"].dtype for moment in moments} == {torch.float32}
