"""Agreement and time of the toy over seeds.

    python benchmarks/toy.py [--through generator free_points] [--seeds 0 1 2] [--rounds N] [--folder FOLDER]

Runs the toy once for each source and seed in a folder of its own, exactly as `beliefmatch toy` does, and writes
`benchmarks/results/toy.json` (with --rounds in its name where given). Agreement is that of the last iterate over the
square [-3, 3] x [-3, 3].
The last line, one for each source, is a JSON object: {"agreement_mean", "agreement_std", "seconds_mean", "through"};
seconds are those of a whole toy, its teacher's training, its measuring and its drawing included.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from beliefmatch.studies.sweep import Cell, Outcome, sweep
from beliefmatch.studies.toy import Through, ToyResult, toy_cell
from beliefmatch.training.options import RunOptions
from machine import describe_machine, rounded_spread, table, write_results

THROUGH: tuple[Through, ...] = ("generator", "free_points")


def describe(outcome: Outcome[ToyResult]) -> dict[str, Any]:
    found = outcome.measured
    assert found is not None
    return {
        "through": outcome.cell.name,
        "seed": outcome.seed,
        "teacher_accuracy": round(found.teacher_accuracy, 4),
        "student_accuracy": round(found.student_accuracy, 4),
        "agreement": round(found.agreement, 4),
        "seconds": round(outcome.seconds, 1),
    }


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    agreement, deviation = rounded_spread([row["agreement"] for row in rows], 4)
    return {
        "agreement_mean": agreement,
        "agreement_std": deviation or 0.0,
        "seconds_mean": rounded_spread([row["seconds"] for row in rows], 1)[0],
        "through": rows[0]["through"],
    }


def make_cell(through: Through, folder: Path, rounds: int | None) -> Cell[ToyResult]:
    options = RunOptions(folder=folder, accelerator="cpu")
    return toy_cell(
        options, folder=lambda seed: folder / f"{through}_{seed}", rounds=rounds, through=through, name=through
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--through", nargs="+", choices=THROUGH, default=THROUGH)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, help="so many instead of the recipe's, to show that it runs")
    parser.add_argument("--folder", type=Path, default=None, help="keep the runs here; default: nowhere")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        cells = [make_cell(through, folder, arguments.rounds) for through in arguments.through]
        found = sweep(cells, arguments.seeds, report=lambda outcome: print(json.dumps(describe(outcome)), flush=True))
    rows = [[describe(outcome) for outcome in row.outcomes] for row in found]
    summaries = [summarise(each) for each in rows]
    name = f"toy_rounds_{arguments.rounds}" if arguments.rounds else "toy"
    runs = [run for each in rows for run in each]
    write_results(name, {"machine": describe_machine(), "runs": runs, "summary": summaries})
    print(table(runs))
    for summary in summaries:
        print(json.dumps(summary))


if __name__ == "__main__":
    main()
