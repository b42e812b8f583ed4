"""What 16-bit products cost in accuracy.

    python benchmarks/precision.py [--task demo] [--seeds 0 1 2 3 4] [--rounds N] [--data FOLDER] [--device cpu]

Runs a recipe with the same seeds in fp32 and in bf16-mixed, and measures the last iterate: the digits demo, or `best`
on a task of `accuracy.py`, 100 rounds. bf16 passes where its mean accuracy is at least that of fp32 less one standard
error of the mean in fp32. A CPU without 16-bit products multiplies in fp32 what was rounded to 16 bits, and rounds the
result, at the speed of fp32: what hardware that sums in 32 bits gives but for the order of sums. The file then says so.
Runs that were finished are kept in --folder and not run again. Writes `benchmarks/results/precision_TASK.json`, or
`precision_TASK_rounded.json`. The last line is one JSON object: {"task", "fp32", "bf16", "standard_error",
"difference", "error_of_difference", "passed"}, in percent of accuracy.
"""

import argparse
import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from beliefmatch import RunOptions
from beliefmatch.measurement.agreement import Measurement
from beliefmatch.studies.demo import demo_cell
from beliefmatch.studies.sweep import Cell, Outcome, mean_and_deviation, sweep
from beliefmatch.training.precision import ResolvedPrecision, multiplies_bf16
from beliefmatch.training.transfer import Transfer
from machine import describe_machine, write_results
from tasks import TASKS, make_transfer, measure_images, percent, teacher_weights

DEMO = "demo"
USUAL_ROUNDS = 100
"""Of `best` on a task."""
PRECISIONS: dict[str, ResolvedPrecision] = {"fp32": "32-true", "bf16": "bf16-mixed"}
PRODUCTS = {torch.conv1d, torch.conv2d, torch.conv_transpose1d, torch.conv_transpose2d, torch.nn.functional.linear}


class RoundedProducts(TorchFunctionMode):
    """Multiplies as a CPU with 16-bit products does under autocast: 16-bit operands, 32-bit sums, a 16-bit result."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in PRODUCTS or not torch.is_autocast_enabled("cpu"):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            rounded = func(*map(round_operand, args), **{name: round_operand(value) for name, value in kwargs.items()})
        return rounded.bfloat16()


def round_operand(value: Any) -> Any:
    return value.bfloat16().float() if isinstance(value, Tensor) else value


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=(DEMO, *TASKS), default=DEMO)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--folder", type=Path, default=Path("runs/precision"))
    arguments = parser.parse_args()
    if len(arguments.seeds) < 2:
        parser.error("one seed has no deviation: give two or more")
    return arguments


def make_cells(arguments: argparse.Namespace, folder: Path) -> list[Cell[Measurement]]:
    """Build one cell for each precision."""
    cells = []
    for name, precision in PRECISIONS.items():
        options = RunOptions(folder=folder, resume=True, accelerator=arguments.device, precision=precision)

        def run_folder(seed: int, name: str = name) -> Path:
            return folder / f"{arguments.task}_{name}_{seed}"

        if arguments.task == DEMO:
            cells.append(demo_cell(options, folder=run_folder, rounds=arguments.rounds, name=name))
        else:
            cells.append(task_cell(name, options, run_folder, arguments))
    return cells


def task_cell(
    name: str, options: RunOptions, run_folder: Callable[[int], Path], arguments: argparse.Namespace
) -> Cell[Measurement]:
    task = TASKS[arguments.task]

    def transfer(seed: int) -> Transfer:
        weights = teacher_weights(arguments.task, arguments.data, options.folder, seed)
        return replace(make_transfer(task, "best", weights, seed), rounds=arguments.rounds or USUAL_ROUNDS)

    measure = measure_images(task, arguments.data)
    return Cell(name=name, transfer=transfer, folder=run_folder, options=options, measure=measure)


def describe(outcome: Outcome[Measurement]) -> dict[str, Any]:
    result = outcome.result
    assert result is not None
    return {
        "precision": outcome.cell.name,
        "seed": outcome.seed,
        "accuracy": percent(result.student_accuracy),
        "rounds": result.rounds,
        "seconds": round(result.seconds, 1),
    }


def summarise(task: str, accuracies: dict[str, list[float]]) -> dict[str, Any]:
    spreads = {name: mean_and_deviation(values) for name, values in accuracies.items()}
    means = {name: mean for name, (mean, _) in spreads.items()}
    errors = {name: (deviation or 0) / math.sqrt(len(accuracies[name])) for name, (_, deviation) in spreads.items()}
    return {
        "task": task,
        **{name: round(value, 2) for name, value in means.items()},
        "standard_error": round(errors["fp32"], 2),
        "difference": round(means["bf16"] - means["fp32"], 2),
        "error_of_difference": round(math.hypot(*errors.values()), 2),
        "passed": means["bf16"] >= means["fp32"] - errors["fp32"],
    }


def main() -> None:
    arguments = parse_arguments()
    is_emulated = arguments.device == "cpu" and not multiplies_bf16("cpu")
    cells = make_cells(arguments, arguments.folder / "rounded" if is_emulated else arguments.folder)
    # Products in fp32 stay as they are: there is no autocast around them.
    with RoundedProducts() if is_emulated else nullcontext():
        found = sweep(cells, arguments.seeds, report=lambda outcome: print(json.dumps(describe(outcome)), flush=True))
    runs = [
        describe(outcome) for outcomes in zip(*(row.outcomes for row in found), strict=True) for outcome in outcomes
    ]
    accuracies = {name: [run["accuracy"] for run in runs if run["precision"] == name] for name in PRECISIONS}
    summary = summarise(arguments.task, accuracies)
    name = f"precision_{arguments.task}" + ("_rounded" if is_emulated else "")
    facts = {"machine": describe_machine(), "products": "16-bit, emulated" if is_emulated else "16-bit"}
    write_results(name, {**facts, "runs": runs, "summary": summary})
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
