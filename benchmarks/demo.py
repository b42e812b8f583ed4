"""Accuracy and time of the demo over seeds.

    python benchmarks/demo.py [--seeds 0 1 2] [--folder FOLDER]

Runs the demo once for each seed in a folder of its own, exactly as `beliefmatch demo` does, and writes
`benchmarks/results/demo.json`. Accuracies are of the last iterate, on the 540 digits held back.
The last line is one JSON object: {"student_accuracy_mean", "student_accuracy_std", "teacher_accuracy_mean",
"seconds_mean"}; seconds are those of a whole demo, its teacher's training and its measuring included.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from beliefmatch.studies.demo import run_demo
from beliefmatch.training.options import RunOptions
from machine import describe_machine, write_results


def run_seed(seed: int, folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    found = run_demo(RunOptions(folder=folder / f"seed_{seed}", accelerator="cpu"), seed=seed)
    return {
        "seed": seed,
        "teacher_accuracy": found.measurement.teacher_accuracy,
        "student_accuracy": found.measurement.student_accuracy,
        "agreement": found.measurement.agreement.value,
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=None, help="keep the runs here; default: nowhere")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in arguments.seeds:
            rows.append(run_seed(seed, arguments.folder or Path(temporary)))
            print(json.dumps(rows[-1]), flush=True)
    accuracies = [row["student_accuracy"] for row in rows]
    summary = {
        "student_accuracy_mean": round(fmean(accuracies), 4),
        "student_accuracy_std": round(stdev(accuracies), 4) if len(rows) > 1 else 0.0,
        "teacher_accuracy_mean": round(fmean(row["teacher_accuracy"] for row in rows), 4),
        "seconds_mean": round(fmean(row["seconds"] for row in rows), 1),
    }
    write_results("demo", {"machine": describe_machine(), "runs": rows, "summary": summary})
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
