"""The command `transfer`: one run of any recipe."""

import inspect
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from beliefmatch.cli.aliases import SHORT_NETWORKS
from beliefmatch.cli.output import print_run, set_display
from beliefmatch.cli.progress import Display, RunProgress, is_first_process, print_text
from beliefmatch.errors import SettingsError, did_you_mean

RECIPES_HELP = (
    "beliefmatch transfer RECIPE --help, where RECIPE is best, zero_shot, digits, dafl, dfad, dfq, deep_inversion, "
    "cmi, fast, nayer, noise, unlabelled, few_shot, fine_tune, toy or toy_generator"
)


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
