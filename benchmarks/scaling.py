"""How the cost of a round grows with batch, input size, classes and processes.

    python benchmarks/scaling.py [--device cpu] [--along batch size classes processes]

The paper's recipe on convnet_32 -> convnet_8, one thing changed at a time from a batch of 128, 3x32x32 and 10 classes
(inputs of other sizes take a batch of 16). Each point does a few rounds and tells the median of their seconds and the
most memory in use; on a CPU, whose most no process can set back, it is a process of its own. Of several processes it is
the memory of the first. `growth` is the cost of a unit of work (an example; a pixel; nothing for classes) at the
largest point over that at the cheapest, `memory_growth` the same of memory: above 1.5 it grows faster than the work,
and that is a surprise. Where all four are asked for, writes `benchmarks/results/scaling_DEVICE.json` and
`docs/images/scaling_DEVICE.png`. The last line is one JSON object: {"growth", "memory_growth", "surprises"}.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter
from safetensors.torch import save_file

from beliefmatch.networks.cost import peak_memory
from beliefmatch.networks.loading.network import Network, make_network
from beliefmatch.recipes import zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.execution.choice import begin_rounds
from beliefmatch.training.execution.cuda_graph import NUM_WARM_UP
from beliefmatch.training.execution.kernels import fastest_kernels
from beliefmatch.training.precision import make_fabric, resolve_precision
from machine import describe_machine, table, write_results

POINTS: dict[str, tuple[int, ...]] = {
    "batch": (32, 64, 128, 256, 512, 1024, 2048),
    "size": (8, 16, 32, 64, 128, 224),
    "classes": (10, 30, 100, 300, 1000),
    "processes": (1, 2),
}
BATCH_OF_SIZES = 16
NUM_ROUNDS = {"cpu": 3, "cuda": 20}
TEACHER, STUDENT = "convnet_32", "convnet_8"
SURPRISE = 1.5
LABELS = {"seconds": "seconds a round", "mib": "peak MiB of a process"}
PICTURES = Path(__file__).parents[1] / "docs" / "images"


def measure_here(along: str, value: int, device: str) -> dict[str, float]:
    """Do a few rounds in this process and tell the median of their seconds and the most memory."""
    torch.manual_seed(0)
    size = value if along == "size" else 32
    classes = value if along == "classes" else 10
    batch = value if along == "batch" else BATCH_OF_SIZES if along == "size" else 128
    teacher, student = (make_network(name, in_channels=3, num_classes=classes) for name in (TEACHER, STUDENT))
    transfer = zero_shot(
        Setup(
            teacher=Network(architecture=TEACHER),
            student=NamedStudent(architecture=STUDENT),
            shape=(3, size, size),
            batch_size=batch,
        )
    )
    fabric = make_fabric(device, resolve_precision("auto", device))
    rounds = begin_rounds(transfer, fabric, "captured", teacher=teacher, student=student)
    seconds = []
    num_first = 1 + (NUM_WARM_UP if device == "cuda" else 0)
    with fastest_kernels():
        for number in range(num_first + NUM_ROUNDS[device]):
            began = time.perf_counter()
            float(rounds.next()["student_loss"][-1])
            if number >= num_first:
                seconds.append(time.perf_counter() - began)
    return {"seconds": median(seconds), "bytes": peak_memory(torch.device(device))}


def measure_processes(num_processes: int, device: str) -> dict[str, float]:
    """Run the command with so many processes and read the seconds of its rounds from its log."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "teacher.safetensors"
        save_file(make_network(TEACHER, in_channels=3, num_classes=10).state_dict(), weights)
        command = [sys.executable, "-m", "beliefmatch", "transfer", "zero_shot", "--folder", f"{folder}/run"]
        command += ["--teacher.architecture", TEACHER, "--teacher.weights", str(weights)]
        command += ["--student.architecture", STUDENT, "--rounds", str(2 * NUM_ROUNDS[device]), "--log-every", "1"]
        command += ["--dataset", "cifar10"]
        command += ["--devices", str(num_processes), "--accelerator", device, "--display", "quiet"]
        subprocess.run(command, check=True, capture_output=True)
        rows = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
        result = json.loads((Path(folder) / "run" / "result.json").read_text())
    times = [row["seconds"] for row in rows]
    steps = [after - before for before, after in itertools.pairwise(times)]
    return {"seconds": median(steps[NUM_ROUNDS[device] - 1 :]), "bytes": result["peak_memory"]}


def measure(along: str, value: int, device: str) -> dict[str, Any]:
    """Measure one point in a process of its own."""
    if along == "processes":
        found = measure_processes(value, device)
    elif device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        found = measure_here(along, value, device)
    else:
        command = [sys.executable, __file__, "--device", device, "--point", along, str(value)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(output.splitlines()[-1])
    return {along: value, "seconds": round(found["seconds"], 4), "mib": round(found["bytes"] / 2**20)}


def growth(along: str, rows: list[dict[str, Any]], cost: str) -> float:
    """Compare the cost of a unit of work at the largest point with that at the cheapest."""
    power = {"batch": 1, "size": 2, "classes": 0, "processes": 0}[along]
    units = [row[cost] / row[along] ** power for row in rows]
    return round(units[-1] / min(units), 2)


def draw(points: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw seconds and memory along each axis."""
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    axes = figure.subplots(2, len(points))
    names = {"batch": "examples a batch", "size": "side of an input, pixels"}
    for column, (along, rows) in enumerate(points.items()):
        values = [row[along] for row in rows]
        for line, (quantity, label) in enumerate(LABELS.items()):
            axis = axes[line, column]
            costs = [row[quantity] for row in rows]
            axis.plot(values, costs, marker="o", color="#0b6e99")
            axis.set_xlabel(names.get(along, along))
            axis.set_ylabel(label)
            if along != "processes":
                axis.set_xscale("log")
            if along in ("batch", "size"):
                axis.set_yscale("log")
                axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            else:
                axis.set_ylim(0, 1.2 * max(costs))
            axis.set_xticks(values, labels=map(str, values), rotation=45)
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--along", choices=POINTS, nargs="+", default=list(POINTS))
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(measure_here(arguments.point[0], int(arguments.point[1]), arguments.device)))
        return
    points: dict[str, list[dict[str, Any]]] = {}
    for along in arguments.along:
        values = POINTS[along]
        if along == "processes" and arguments.device == "cuda":
            values = tuple(value for value in values if value <= torch.cuda.device_count())
        points[along] = [measure(along, value, arguments.device) for value in values]
        print(f"\n{table(points[along])}\n", flush=True)
    found: dict[str, Any] = {
        name: {along: growth(along, rows, cost) for along, rows in points.items()}
        for name, cost in (("growth", "seconds"), ("memory_growth", "mib"))
    }
    found["surprises"] = [along for along in points if max(growths[along] for growths in found.values()) > SURPRISE]
    if len(points) == len(POINTS):
        draw(points, PICTURES / f"scaling_{arguments.device}.png")
        write_results(f"scaling_{arguments.device}", {"machine": describe_machine(), "points": points, **found})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
