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
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from beliefmatch import RunFolder, RunOptions, measure_run, run
from beliefmatch.studies.demo import run_demo
from beliefmatch.training.precision import ResolvedPrecision, multiplies_bf16
from machine import describe_machine, write_results
from tasks import TASKS, make_transfer, percent, teacher_weights

DEMO = "demo"
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


def student_accuracy(task: str, options: RunOptions, seed: int, rounds: int | None, data: Path) -> float:
    """Transfer, unless that was done, and give the student's accuracy in percent."""
    if task == DEMO:
        return percent(run_demo(options, seed=seed, rounds=rounds).measurement.student_accuracy)
    chosen = TASKS[task]
    weights = teacher_weights(task, data, options.folder.parent, seed)
    run(replace(make_transfer(chosen, "best", weights, seed), rounds=rounds or 100), options)
    return percent(measure_run(RunFolder(options.folder), chosen.read(data), name=chosen.images).student_accuracy)


def main() -> None:
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
    emulating = arguments.device == "cpu" and not multiplies_bf16("cpu")
    kept = arguments.folder / "rounded" if emulating else arguments.folder
    rows = []
    for seed in arguments.seeds:
        for name, precision in PRECISIONS.items():
            options = RunOptions(
                folder=kept / f"{arguments.task}_{name}_{seed}",
                resume=True,
                accelerator=arguments.device,
                precision=precision,
            )
            with RoundedProducts() if emulating else nullcontext():
                accuracy = student_accuracy(arguments.task, options, seed, arguments.rounds, arguments.data)
            result = RunFolder(options.folder).read_result()
            row = {"precision": name, "seed": seed, "accuracy": accuracy}
            row |= {"rounds": result.rounds, "seconds": round(result.seconds, 1)}
            print(json.dumps(row), flush=True)
            rows.append(row)
    each = {name: [row["accuracy"] for row in rows if row["precision"] == name] for name in PRECISIONS}
    means = {name: fmean(found) for name, found in each.items()}
    errors = {name: stdev(found) / math.sqrt(len(found)) for name, found in each.items()}
    summary = {
        "task": arguments.task,
        **{name: round(value, 2) for name, value in means.items()},
        "standard_error": round(errors["fp32"], 2),
        "difference": round(means["bf16"] - means["fp32"], 2),
        "error_of_difference": round(math.hypot(*errors.values()), 2),
        "passed": means["bf16"] >= means["fp32"] - errors["fp32"],
    }
    name = f"precision_{arguments.task}" + ("_rounded" if emulating else "")
    facts = {"machine": describe_machine(), "products": "16-bit, emulated" if emulating else "16-bit"}
    write_results(name, {**facts, "runs": rows, "summary": summary})
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
