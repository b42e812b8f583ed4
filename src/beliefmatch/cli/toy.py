"""The command `toy`: decision boundaries matched in the plane."""

from pathlib import Path
from typing import Literal

from beliefmatch.cli.output import print_run, say_if_finished
from beliefmatch.cli.printing import print_text
from beliefmatch.training.progress import Display, RunProgress


def toy(
    *,
    folder: Path = Path("runs/toy"),
    resume: bool = False,
    seed: int = 0,
    rounds: int | None = None,
    through: Literal["free_points", "generator"] = "free_points",
    display: Display = "full",
) -> None:
    """Match decision boundaries in the plane and film it: the paper's toy experiment. Two minutes on two cores.

    Args:
        folder: Run folder; made if missing. A run in it is never overwritten.
        resume: Continue the run in the folder from its last checkpoint; begin it if there is none.
        seed: Of the points, of fresh weights and of all noise.
        rounds: Rounds of the transfer, instead of 400 (free points) or 1000 (generator).
        through: Where the pseudo points come from: free parameters as in the paper's notebook, or a generator.
        display: Progress and tables, warnings and errors alone, or JSON lines for scripts.
    """
    from beliefmatch.studies.toy import num_rounds, run_toy
    from beliefmatch.training.options import RunOptions

    say_if_finished(folder, display, resume=resume)
    options = RunOptions(folder=folder, resume=resume, accelerator="cpu")
    with RunProgress(rounds or num_rounds(through), display) as progress:
        found = run_toy(options, seed=seed, rounds=rounds, through=through, observer=progress)
    print_run(folder, display)
    if display == "full":
        print_text(f"agreement over the square [-3, 3] x [-3, 3]: {100 * found.agreement:.2f} %")
        print_text(f"pictures: {folder / 'toy.png'} and {folder / 'toy.gif'}")
