"""What procedural inputs cost beside the student step that they are for.

    python benchmarks/inputs.py [--device cpu] [--threads 1] [--batch-size 128] [--seconds 5]

For images of 28x28x1, 32x32x3 and 224x224x3: seconds to draw a batch of dead leaves, areas and curves, and seconds of a
student step with the teacher's pass, for a usual pair of networks of that size with random weights, measured in turns.
Dead leaves are meant to cost at most 0.15 of a step of the pair of CIFAR. Writes
`benchmarks/results/inputs_DEVICE.json`. The last line is one JSON object: for each size the cost of dead leaves as part
of a step.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.nn.functional import mse_loss

from beliefmatch.functional.dead_leaves import dead_leaves
from beliefmatch.functional.strokes import curves
from beliefmatch.functional.textures import areas
from beliefmatch.networks.loading.network import make_network
from beliefmatch.training.precision import make_fabric, resolve_precision
from machine import describe_machine, table, write_results

Draw = Callable[[int, tuple[int, ...], torch.Generator, torch.dtype], torch.Tensor]
DRAWN: dict[str, Draw] = {"dead leaves": dead_leaves, "areas": areas, "curves": curves}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Networks of one size of inputs."""

    shape: tuple[int, int, int]
    teacher: str
    student: str


PAIRS = (
    Pair(shape=(1, 28, 28), teacher="lenet_5_bn", student="lenet_5_half_bn"),
    Pair(shape=(3, 32, 32), teacher="wide_resnet_40_1", student="wide_resnet_16_1"),
    Pair(shape=(3, 224, 224), teacher="timm:resnet18", student="timm:resnet10t"),
)


def measure(pair: Pair, arguments: argparse.Namespace) -> dict[str, Any]:
    """Time drawing and a step in turns, so that other work on the machine meets both."""
    device = arguments.device
    batch_size = arguments.batch_size if pair.shape[1] < 100 else max(1, arguments.batch_size // 8)
    random = torch.Generator(device=device).manual_seed(0)
    acts = {name: _drawing(draw, batch_size, pair.shape, random) for name, draw in DRAWN.items()}
    acts["step"] = _step(pair, batch_size, device)
    times: dict[str, list[float]] = {name: [] for name in acts}
    began = time.perf_counter()
    while time.perf_counter() - began < arguments.seconds or len(times["step"]) < 3:
        for name, act in acts.items():
            times[name].append(_timed(act, device))
    seconds = {name: median(each) for name, each in times.items()}
    row: dict[str, Any] = {"inputs": "x".join(map(str, pair.shape)), "teacher": pair.teacher, "student": pair.student}
    row |= {"batch": batch_size, "step, seconds": round(seconds["step"], 4)}
    row |= {f"{name}, part of a step": round(seconds[name] / seconds["step"], 3) for name in DRAWN}
    return row | {"dead leaves a second": round(batch_size / seconds["dead leaves"])}


def _drawing(draw: Draw, batch_size: int, shape: tuple[int, ...], random: torch.Generator) -> Callable[[], None]:
    return lambda: _discard(draw(batch_size, shape, random, torch.float32))


def _discard(_drawn: torch.Tensor) -> None:
    """Drop what was drawn."""


def _step(pair: Pair, batch_size: int, device: str) -> Callable[[], None]:
    fabric = make_fabric(device, resolve_precision("auto", device))
    made = [make_network(name, in_channels=pair.shape[0], num_classes=10) for name in (pair.teacher, pair.student)]
    teacher, student = (network.to(fabric.device, memory_format=torch.channels_last) for network in made)  # pyright: ignore
    teacher.eval().requires_grad_(requires_grad=False)
    optimiser = torch.optim.Adam(student.parameters(), 1e-3)
    inputs = torch.randn(batch_size, *pair.shape, device=fabric.device).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with fabric.autocast():
            loss = mse_loss(student(inputs).float(), teacher(inputs).float())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def _timed(act: Callable[[], None], device: str) -> float:
    began = time.perf_counter()
    act()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each size")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [measure(pair, arguments) for pair in PAIRS]
    write_results(f"inputs_{arguments.device}", {"machine": describe_machine(), "rows": rows})
    print(table(rows))
    print(json.dumps({row["inputs"]: row["dead leaves, part of a step"] for row in rows}))


if __name__ == "__main__":
    main()
