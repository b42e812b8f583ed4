"""Commands that do one run: demo, toy, and transfer with any recipe."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from beliefmatch.cli.aliases import SHORT_NETWORKS
from beliefmatch.cli.output import print_run, set_display
from beliefmatch.cli.progress import Display, RunProgress, is_first_process, print_text
from beliefmatch.errors import SettingsError, did_you_mean

RECIPES_HELP = (
    "beliefmatch transfer RECIPE --help, where RECIPE is best, zero_shot, digits, dafl, dfad, dfq, deep_inversion, "
    "cmi, fast, nayer, noise, unlabelled, few_shot, fine_tune, toy or toy_generator"
)


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
        display: Progress and tables, errors alone, or JSON lines for scripts.
    """
    from beliefmatch.recipes.digits import NUM_ROUNDS
    from beliefmatch.report.page import write_report
    from beliefmatch.studies.demo import run_demo
    from beliefmatch.training.options import RunOptions

    set_display(display)
    options = RunOptions(folder=folder, resume=resume, accelerator="cpu")
    with RunProgress(rounds or NUM_ROUNDS, display) as progress:
        found = run_demo(options, seed=seed, rounds=rounds, observer=progress)
    page = write_report([folder])
    print_run(folder, display, teacher_seconds=found.teacher_seconds)
    if display == "full":
        print_text(
            f"measured on {found.measurement.num_images} digits that neither network had seen; everything is in "
            f"{folder}, and all of it on one page in {page}"
        )


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
        display: Progress and tables, errors alone, or JSON lines for scripts.
    """
    from beliefmatch.studies.toy import num_rounds, run_toy
    from beliefmatch.training.options import RunOptions

    set_display(display)
    options = RunOptions(folder=folder, resume=resume, accelerator="cpu")
    with RunProgress(rounds or num_rounds(through), display) as progress:
        found = run_toy(options, seed=seed, rounds=rounds, through=through, observer=progress)
    print_run(folder, display)
    if display == "full":
        print_text(f"agreement over the square [-3, 3] x [-3, 3]: {100 * found.agreement:.2f} %")
        print_text(f"pictures: {folder / 'toy.png'} and {folder / 'toy.gif'}")


def transfer() -> None:
    """Transfer a network of yours to a smaller one: beliefmatch transfer RECIPE --help lists the settings."""
    raise SettingsError(f"name a recipe: {RECIPES_HELP}")


def transfer_by(name: str, arguments: Sequence[str]) -> None:
    """Run the recipe of a name with what was typed after it."""
    if name in ("-h", "--help"):
        print_text(f"{transfer.__doc__}\n\n{RECIPES_HELP}")
        return
    from beliefmatch import recipes
    from beliefmatch.training.options import RunOptions
    from beliefmatch.training.run import run
    from beliefmatch.training.trust import code_named_in

    if name not in recipes.ALL:
        raise SettingsError(f"no recipe is called {name!r}; {did_you_mean(name, recipes.ALL)}")
    recipe = recipes.ALL[name]

    def parsed(
        transfer: Annotated[Any, tyro.conf.arg(name="", constructor=recipe)],
        options: Annotated[RunOptions, tyro.conf.arg(name="")],
        display: Annotated[Display, tyro.conf.arg(help=DISPLAY_HELP)] = "full",
    ) -> tuple[Any, RunOptions, Display]:
        return transfer, options, display

    made, options, display = tyro.cli(
        parsed,
        prog=f"beliefmatch transfer {name}",
        description=f"{(inspect.getdoc(recipe) or '').partition('Args:')[0].strip()}\n\n{SHORT_NETWORKS}",
        args=arguments,
        config=(tyro.conf.AvoidSubcommands,),
    )
    set_display(display)
    with RunProgress(made.rounds, display) as progress:
        result = run(made, options, observer=progress)
    if is_first_process():
        print_run(options.folder, display)
        if display == "full":
            print_text(f"the student is in {options.folder}")
        if display == "full" and result.student_accuracy is None:
            why = "no data held back was given" if made.source.reads_data else "no data to measure on was given"
            trust = " --trust-code" if code_named_in(made) else ""
            print_text(
                f"{why}, so nothing was measured; to measure: "
                f"beliefmatch measure {options.folder} --images FILE.npz{trust}"
            )


DISPLAY_HELP = "Progress and tables, errors alone, or JSON lines for scripts."
