"""The command `demo`: the whole path on real digits."""

from pathlib import Path

from beliefmatch.cli.output import print_run, say_if_finished
from beliefmatch.cli.printing import print_text
from beliefmatch.training.progress import Display, RunProgress


def demo(
    *,
    folder: Path = Path("runs/demo"),
    resume: bool = False,
    seed: int = 0,
    rounds: int | None = None,
    display: Display = "full",
) -> None:
    """Train a teacher on real digits, let go of the data, transfer to a student, measure. Two minutes on two cores.

    Args:
        folder: Run folder; made if missing. A run in it is never overwritten.
        resume: Continue the demo in the folder from its last checkpoint; begin it if there is none.
        seed: Of fresh weights and of all noise.
        rounds: Rounds of the transfer, instead of the recipe's.
        display: Progress and tables, warnings and errors alone, or JSON lines for scripts.
    """
    from beliefmatch.recipes.digits import DEFAULTS
    from beliefmatch.report.page import write_report
    from beliefmatch.studies.demo import run_demo
    from beliefmatch.training.options import RunOptions

    say_if_finished(folder, display, resume=resume)
    options = RunOptions(folder=folder, resume=resume, accelerator="cpu")
    with RunProgress(rounds or DEFAULTS.rounds, display) as progress:
        found = run_demo(options, seed=seed, rounds=rounds, observer=progress)
    page = write_report([folder])
    print_run(folder, display, teacher_seconds=found.teacher_seconds)
    if display == "full":
        print_text(
            f"measured on {found.measurement.num_images} digits that neither network had seen; everything is in "
            f"{folder}, and all of it on one page in {page}"
        )
