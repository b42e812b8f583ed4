"""Agreement and time of the toy over seeds.

    python benchmarks/toy.py [--through generator free_points] [--seeds 0 1 2] [--folder FOLDER]

Runs the toy once for each source and seed in a folder of its own, exactly as `beliefmatch toy` does, and writes
`benchmarks/results/toy.json`. Agreement is that of the last iterate over the square [-3, 3] x [-3, 3].
The last line, one for each source, is a JSON object: {"agreement_mean", "agreement_std", "seconds_mean", "through"};
seconds are those of a whole toy, its teacher's training, its measuring and its drawing included.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from beliefmatch.studies.toy import Through, run_toy
from beliefmatch.training.options import RunOptions
from machine import describe_machine, table, write_results

THROUGH: tuple[Through, ...] = ("generator", "free_points")


def run_seed(through: Through, seed: int, folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    found = run_toy(RunOptions(folder=folder / f"{through}_{seed}", accelerator="cpu"), seed=seed, through=through)
    return {
        "through": through,
        "seed": seed,
        "teacher_accuracy": round(found.teacher_accuracy, 4),
        "student_accuracy": round(found.student_accuracy, 4),
        "agreement": round(found.agreement, 4),
        "seconds": round(time.perf_counter() - began, 1),
    }


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    agreements = [row["agreement"] for row in rows]
    return {
        "agreement_mean": round(fmean(agreements), 4),
        "agreement_std": round(stdev(agreements), 4) if len(rows) > 1 else 0.0,
        "seconds_mean": round(fmean(row["seconds"] for row in rows), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--through", nargs="+", choices=THROUGH, default=THROUGH)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=None, help="keep the runs here; default: nowhere")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for through in arguments.through:
            for seed in arguments.seeds:
                rows.append(run_seed(through, seed, arguments.folder or Path(temporary)))
                print(json.dumps(rows[-1]), flush=True)
    summaries = [
        summarise([row for row in rows if row["through"] == through]) | {"through": through}
        for through in arguments.through
    ]
    write_results("toy", {"machine": describe_machine(), "runs": rows, "summary": summaries})
    print(table(rows))
    for summary in summaries:
        print(json.dumps(summary))


if __name__ == "__main__":
    main()
