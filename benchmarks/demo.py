"""Accuracy and time of the demo over seeds.

    python benchmarks/demo.py [--seeds 0 1 2] [--rounds N] [--folder FOLDER]

Runs the demo once for each seed in a folder of its own, exactly as `beliefmatch demo` does, and writes
`benchmarks/results/demo.json` (with --rounds in its name where given). Accuracies are of the last iterate, on the 540
digits held back.
The last line is one JSON object: {"student_accuracy_mean", "student_accuracy_std", "teacher_accuracy_mean",
"seconds_mean"}; seconds are those of a whole demo, its teacher's training and its measuring included.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from beliefmatch.measurement.agreement import Measurement
from beliefmatch.studies.demo import demo_cell
from beliefmatch.studies.sweep import Outcome, sweep
from beliefmatch.training.options import RunOptions
from machine import describe_machine, rounded_spread, write_results


def describe(outcome: Outcome[Measurement]) -> dict[str, Any]:
    assert outcome.measured is not None
    return {
        "seed": outcome.seed,
        "teacher_accuracy": outcome.measured.teacher_accuracy,
        "student_accuracy": outcome.measured.student_accuracy,
        "agreement": outcome.measured.agreement.value,
        "seconds": round(outcome.seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, help="so many instead of the recipe's, to show that it runs")
    parser.add_argument("--folder", type=Path, default=None, help="keep the runs here; default: nowhere")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        options = RunOptions(folder=folder, accelerator="cpu")
        cell = demo_cell(options, folder=lambda seed: folder / f"seed_{seed}", rounds=arguments.rounds)
        (row,) = sweep([cell], arguments.seeds, report=lambda outcome: print(json.dumps(describe(outcome)), flush=True))
    rows = [describe(outcome) for outcome in row.outcomes]
    accuracy, deviation = rounded_spread([row["student_accuracy"] for row in rows], 4)
    summary = {
        "student_accuracy_mean": accuracy,
        "student_accuracy_std": deviation or 0.0,
        "teacher_accuracy_mean": rounded_spread([row["teacher_accuracy"] for row in rows], 4)[0],
        "seconds_mean": rounded_spread([row["seconds"] for row in rows], 1)[0],
    }
    name = f"demo_rounds_{arguments.rounds}" if arguments.rounds else "demo"
    write_results(name, {"machine": describe_machine(), "runs": rows, "summary": summary})
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
