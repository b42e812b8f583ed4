"""Check on a GPU that whatever makes rounds fast leaves their results alone.

    python benchmarks/check_gpu.py [--device cuda]

Prints pass, FAIL or skip for each check, and why; exits with 1 where one fails. Fast and eager are compared in 64 bits,
so that nothing but the order of sums may differ. `--device cpu` does what can be done without a GPU. Writes
`benchmarks/results/check_DEVICE.json`. The last line is one JSON object: {"passed", "failed", "skipped"}, names of
checks.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.testing import assert_close

from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.training.execution import compiled
from beliefmatch.training.execution.base import AbstractExecution
from beliefmatch.training.execution.captured import CapturedExecution
from beliefmatch.training.execution.choice import begin_rounds
from beliefmatch.training.execution.compiled import CompiledExecution
from beliefmatch.training.execution.cuda_graph import NUM_WARM_UP
from beliefmatch.training.execution.kernels import WORKSPACE, WORKSPACES
from beliefmatch.training.loop import TransferState
from beliefmatch.training.options import ExecutionName, RunOptions
from beliefmatch.training.precision import ResolvedPrecision, make_fabric
from beliefmatch.training.run import run
from beliefmatch.training.student_files import load_student
from beliefmatch.training.transfer import Transfer
from machine import describe_machine, write_results
from reference.small_transfers import attention_transfer, batch_norm_transfer, make_conv_teacher, vector_transfer

NUM_ROUNDS = NUM_WARM_UP + 6
TRANSFERS: dict[str, Callable[[], Transfer]] = {
    "batch-norm, dropout, fresh noise, statistics": lambda: batch_norm_transfer(rounds=NUM_ROUNDS),
    "attention": lambda: attention_transfer(rounds=NUM_ROUNDS),
    "vectors": lambda: vector_transfer(rounds=NUM_ROUNDS),
    "procedural pool": lambda: replace(batch_norm_transfer(rounds=NUM_ROUNDS), source=ProceduralPool(making_steps=3)),
    "free points": lambda: replace(vector_transfer(rounds=NUM_ROUNDS), source=FreePoints(point_steps=3)),
}


class SkippedError(Exception):
    """A check needs what this device lacks."""


@dataclass
class Done:
    """What some rounds gave."""

    execution: AbstractExecution
    description: str
    """How rounds were done in the end."""
    state: TransferState
    records: list[dict[str, Tensor]] = field(repr=False)


def do_rounds(
    transfer: Transfer,
    device: str,
    name: ExecutionName,
    *,
    precision: ResolvedPrecision = "64-true",
    student: nn.Module | None = None,
    noise: list[Tensor] | None = None,
) -> Done:
    """Do all rounds of a transfer from its seed."""
    fabric = make_fabric(device, precision)
    execution = begin_rounds(transfer, fabric, name, student=student)
    if noise is not None:
        execution.state.source.noise = Played([each.to(fabric.device) for each in noise])
    records = [{name: value.clone() for name, value in execution.next().items()} for _ in range(transfer.rounds)]
    description = execution.describe()
    execution.close()
    return Done(execution, description, execution.state, records)


@dataclass
class Played:
    """Noise that was drawn before."""

    left: list[Tensor]

    def draw(self, fabric: Fabric) -> Tensor:
        """Give the next."""
        return self.left.pop(0)


def check_equal(found: Done, wanted: Done, tolerance: float = 1e-6) -> None:
    """Compare all records, weights and buffers."""
    for number, (ours, theirs) in enumerate(zip(found.records, wanted.records, strict=True)):
        for name in theirs:
            assert_close(ours[name].cpu(), theirs[name].cpu(), rtol=tolerance, atol=tolerance, msg=f"{name} {number}")
    ours, theirs = found.state.student.state_dict(), wanted.state.student.state_dict()
    for name in theirs:
        assert_close(ours[name].cpu(), theirs[name].cpu(), rtol=tolerance, atol=tolerance, msg=name)


def is_captured(execution: AbstractExecution) -> bool:
    """Whether a round was captured and is replayed."""
    inner = execution.inner if isinstance(execution, CompiledExecution) else execution
    return isinstance(inner, CapturedExecution) and inner.eager is None and inner.graph.captured is not None


def check_captured(found: Done) -> None:
    """Check that rounds were captured to the end."""
    assert is_captured(found.execution), found.description


def need_cuda(device: str) -> None:
    if device != "cuda":
        raise SkippedError("only a CUDA device captures rounds")


def captured_equals_eager(device: str, make: Callable[[], Transfer]) -> None:
    need_cuda(device)
    eager, captured = do_rounds(make(), device, "eager"), do_rounds(make(), device, "auto")
    check_captured(captured)
    check_equal(captured, eager)


def captured_bf16_equals_eager_bf16(device: str) -> None:
    need_cuda(device)
    make = TRANSFERS["attention"]
    eager, captured = (do_rounds(make(), device, way, precision="bf16-mixed") for way in ("eager", "auto"))
    check_captured(captured)
    check_equal(captured, eager, tolerance=2e-2)


def compiled_equals_eager(device: str) -> None:
    eager, found = (do_rounds(TRANSFERS["attention"](), device, way) for way in ("eager", "compiled"))
    if device == "cuda":
        check_captured(found)
    check_equal(found, eager)


def a_long_run_is_compiled_and_equals_eager(device: str) -> None:
    need_cuda(device)
    enough, compiled.COMPILED_FROM = compiled.COMPILED_FROM, 1
    try:
        for name in ("attention", "procedural pool"):
            eager, found = (do_rounds(TRANSFERS[name](), device, way) for way in ("eager", "auto"))
            assert "compiled" in found.description, found.description
            check_captured(found)
            check_equal(found, eager)
    finally:
        compiled.COMPILED_FROM = enough


def micro_batches_equal_whole(device: str) -> None:
    for name in ("attention", "vectors", "free points"):
        whole = TRANSFERS[name]()
        check_equal(do_rounds(replace(whole, micro_batch=3), device, "auto"), do_rounds(whole, device, "eager"))


def device_equals_cpu(device: str) -> None:
    transfer = TRANSFERS["attention"]()
    assert isinstance(transfer.source, Adversarial)
    random = torch.Generator().manual_seed(1)
    size = (transfer.batch_size, transfer.source.noise_size)
    noise = [torch.randn(size, generator=random, dtype=torch.float64) for _ in range(transfer.rounds)]
    found, wanted = (do_rounds(transfer, place, "eager", noise=noise) for place in (device, "cpu"))
    check_equal(found, wanted)


class Waiting(nn.Module):
    """A network that looks at a value on the host in each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.network = make_conv_teacher()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 1, 8, 8) to logits (batch, 10)."""
        logits = self.network(x)
        return logits if float(logits.detach().sum()) < float("inf") else logits * 0


def a_network_that_waits_runs_eagerly(device: str) -> None:
    need_cuda(device)
    make = TRANSFERS["batch-norm, dropout, fresh noise, statistics"]
    eager, found = (do_rounds(make(), device, way, student=Waiting()) for way in ("eager", "auto"))
    assert not is_captured(found.execution)
    assert "eager rounds (" in found.description, found.description
    check_equal(found, eager)


class CutError(Exception):
    """The run is cut short on purpose."""


def a_resumed_run_equals_a_whole_one(device: str, *, deterministic: bool = False) -> None:
    transfer = TRANSFERS["batch-norm, dropout, fresh noise, statistics"]()

    def cut(done: int, _row: dict[str, Any] | None) -> None:
        if done == NUM_WARM_UP + 2:
            raise CutError

    with tempfile.TemporaryDirectory() as folder:
        options = {
            name: RunOptions(
                folder=Path(folder) / name,
                accelerator="cuda" if device == "cuda" else "cpu",
                precision="64-true",
                checkpoint_every=1,
                resume=True,
                deterministic=deterministic,
            )
            for name in ("whole", "cut")
        }
        run(transfer, options["whole"])
        try:
            run(transfer, options["cut"], on_round=cut)
        except CutError:
            run(transfer, options["cut"])
        whole, resumed = (load_student(each.folder, trust_code=True).state_dict() for each in options.values())
    for name in whole:
        rtol, atol = (0.0, 0.0) if deterministic else (1e-5, 1e-6)
        assert_close(resumed[name], whole[name], rtol=rtol, atol=atol, msg=name)


CHECKS: dict[str, Callable[[str], None]] = {
    **{
        f"captured equals eager: {name}": lambda device, make=make: captured_equals_eager(device, make)
        for name, make in TRANSFERS.items()
    },
    "captured equals eager in bf16": captured_bf16_equals_eager_bf16,
    "compiled equals eager": compiled_equals_eager,
    "a long run is compiled by itself and equals an eager one": a_long_run_is_compiled_and_equals_eager,
    "micro-batches equal whole batches": micro_batches_equal_whole,
    "the device equals the CPU": device_equals_cpu,
    "a network that waits for the device runs eagerly": a_network_that_waits_runs_eagerly,
    "a resumed run equals a whole one": a_resumed_run_equals_a_whole_one,
    "a resumed deterministic run equals a whole one bit for bit": lambda device: a_resumed_run_equals_a_whole_one(
        device, deterministic=True
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    logging.basicConfig(format="      %(message)s", level=logging.INFO)
    torch.backends.cudnn.deterministic = True
    # cuBLAS reads it when it is used for the first time.
    os.environ.setdefault(WORKSPACE, WORKSPACES[0])
    found: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for name, check in CHECKS.items():
        try:
            check(arguments.device)
            found["passed"].append(name)
            print(f"pass  {name}", flush=True)
        except SkippedError as reason:
            found["skipped"].append(name)
            print(f"skip  {name}: {reason}", flush=True)
        except Exception as error:
            # One failure must not hide what the other checks find.
            found["failed"].append(name)
            print(f"FAIL  {name}: {type(error).__name__}: {error}", flush=True)
    write_results(f"check_{arguments.device}", {"machine": describe_machine(), **found})
    print(json.dumps(found))
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
