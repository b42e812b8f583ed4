"""Which precision a run takes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from beliefmatch.runs.folder import RunFolder
from beliefmatch.training import precision
from beliefmatch.training.loop import run_round
from beliefmatch.training.options import RunOptions
from beliefmatch.training.precision import make_fabric, resolve_precision
from beliefmatch.training.run import run
from beliefmatch.training.transfer import Transfer
from tiny import begin, image_transfer, tiny_transfer


@pytest.mark.parametrize(("has_it", "settled"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_follows_the_hardware_and_a_choice_stands(
    monkeypatch: pytest.MonkeyPatch, has_it: bool, settled: str
) -> None:
    monkeypatch.setattr(precision, "multiplies_bf16", lambda _: has_it)
    assert resolve_precision("auto", "cpu") == settled
    assert resolve_precision("64-true", "cpu") == "64-true"
    assert resolve_precision("32-true", "cpu") == "32-true"


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed", "64-true"])
def test_a_fabric_knows_its_precision(name: precision.ResolvedPrecision) -> None:
    assert make_fabric("cpu", name)._precision.precision == name


def test_a_run_continues_in_the_precision_it_was_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"folder": tmp_path / "run", "accelerator": "cpu", "resume": True}
    monkeypatch.setattr(precision, "multiplies_bf16", lambda _: True)
    run(tiny_transfer(), RunOptions(**options))
    monkeypatch.setattr(precision, "multiplies_bf16", lambda _: False)
    run(tiny_transfer(), RunOptions(**options))
    assert RunFolder(tmp_path / "run").read_run().settings.precision == "bf16-mixed"


def test_losses_weights_and_statistics_stay_in_32_bits_in_bf16() -> None:
    transfer, state, teacher, fabric = begin(tiny_transfer(), precision="bf16-mixed")
    record = run_round(transfer, state, teacher, fabric)
    assert {value.dtype for value in record.values()} == {torch.float32}
    floating = [value for value in state.student.state_dict().values() if value.is_floating_point()]
    assert {value.dtype for value in floating} == {torch.float32}
    moments = state.optimisation.optimiser.state.values()
    assert {moment["exp_avg"].dtype for moment in moments} == {torch.float32}


class Narrow(TorchDispatchMode):
    """Notes which operators get 16-bit floats, and the types of the statistics that batch-norm takes."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: dict[str, bool] = {}
        self.statistics: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        narrow = any(isinstance(given, torch.Tensor) and given.dtype == torch.bfloat16 for given in args)
        self.operators[name] = self.operators.get(name, False) or narrow
        if name == "native_batch_norm":
            self.statistics |= {each.dtype for each in found[1:]}
        return found


@pytest.mark.parametrize("transfer", [tiny_transfer(), image_transfer()], ids=["statistics", "attention"])
def test_softmax_losses_and_statistics_see_32_bits_in_bf16(transfer: Transfer) -> None:
    run = begin(transfer, precision="bf16-mixed")
    with Narrow() as seen:
        run_round(*run)
    assert seen.operators["convolution"]
    wide = {"_softmax", "_log_softmax", "_log_softmax_backward_data", "mean", "linalg_vector_norm", "sqrt", "log"}
    wide &= seen.operators.keys()
    assert len(wide) >= 4
    assert not [name for name in wide if seen.operators[name]]
    assert seen.statistics == {torch.float32}
