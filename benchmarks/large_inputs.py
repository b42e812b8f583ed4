"""What a round of `best` costs at 224 x 224 with a thousand classes: seconds, memory and the share spent on inputs.

    python benchmarks/large_inputs.py [--batch-size 16] [--threads 1] [--device cpu]

The pair is timm's resnet18 and resnet10t, both with random weights, so nothing is learnt and nothing is measured but
cost. A round is as in the recipe, one part in 16 of it: so many inputs are made as a batch has, half of them refined in
30 steps, and each is drawn 20 times, as 256 inputs are for 40 batches of 128. Nothing warms the pool up. Writes
`benchmarks/results/large_inputs_DEVICE.json`. The last line is one JSON object: {"student_step_seconds",
"round_seconds", "share_of_inputs", "peak_memory_gb"}.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch

from beliefmatch import NamedStudent, Network, recipes
from beliefmatch.networks.loading.network import make_network
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.training.loop import run_round, start
from beliefmatch.training.precision import make_fabric, resolve_precision
from beliefmatch.training.prepare import prepare_on
from beliefmatch.training.transfer import Transfer
from machine import describe_machine, write_results

TEACHER = "timm:resnet18"
DRAWN_EACH = 20
"""Student's inputs for each that is made: 40 batches of 128 for 256."""


def make_transfer(weights: Path, batch_size: int, rounds: int) -> Transfer:
    """Build the transfer, with a smaller round of the recipe's proportions, and write random weights of the teacher."""
    torch.manual_seed(0)
    network = make_network(TEACHER, in_channels=3, num_classes=1000)
    safetensors.torch.save_file(network.state_dict(), weights)
    setup = recipes.Setup(
        teacher=Network(architecture=TEACHER, weights=weights, num_classes=1000),
        student=NamedStudent(architecture="timm:resnet10t"),
        dataset="imagenet",
        shape=(3, 224, 224),
        batch_size=batch_size,
        rounds=rounds,
    )
    made = recipes.best(setup)
    assert isinstance(made.source, ProceduralPool)
    source = replace(made.source, made_batch=batch_size, warm_up=0, student_steps=DRAWN_EACH)
    return replace(made, source=source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    fabric = make_fabric(arguments.device, resolve_precision("auto", arguments.device))
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "teacher.safetensors"
        prepared = prepare_on(fabric, make_transfer(weights, arguments.batch_size, arguments.rounds))
    transfer, teacher = prepared.transfer, prepared.teacher
    state = start(transfer, teacher, prepared.student, fabric)

    def improve() -> None:
        transfer.source.improve(state.source, teacher, state.student, fabric)

    whole = sum(
        seconds_of(lambda: run_round(transfer, state, teacher, fabric), arguments) for _ in range(arguments.rounds)
    )
    inputs = sum(seconds_of(improve, arguments) for _ in range(arguments.rounds))
    found = {
        "student_step_seconds": round((whole - inputs) / (arguments.rounds * DRAWN_EACH), 3),
        "round_seconds": round(whole / arguments.rounds, 1),
        "share_of_inputs": round(inputs / whole, 3),
        "peak_memory_gb": round(peak_memory(arguments.device) / 1e9, 2),
    }
    row = {"batch_size": arguments.batch_size, "rounds": arguments.rounds, **found}
    write_results(f"large_inputs_{arguments.device}", {"machine": describe_machine(), "row": row})
    print(json.dumps(found))


def seconds_of(act: Callable[[], object], arguments: argparse.Namespace) -> float:
    began = time.perf_counter()
    act()
    if arguments.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def peak_memory(device: str) -> int:
    """Return the most bytes in use: of the GPU, or of the process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
