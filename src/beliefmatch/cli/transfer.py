"""The command `transfer`: one run of any recipe."""

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import field, fields, make_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from beliefmatch.checks import check_length
from beliefmatch.cli.aliases import SHORT_NETWORKS
from beliefmatch.cli.flag_words import flags_in_words
from beliefmatch.cli.output import print_run, say_if_finished, set_display
from beliefmatch.cli.printing import is_first_process, print_text
from beliefmatch.cli.stored_help import stored_help
from beliefmatch.errors import SettingsError, did_you_mean
from beliefmatch.recipe_overviews import OVERVIEWS, any_of
from beliefmatch.setting_names import Names, calling_settings
from beliefmatch.training.progress import Display, RunProgress

if TYPE_CHECKING:
    from beliefmatch.runs.schema.result import Result
    from beliefmatch.training.options import RunOptions
    from beliefmatch.training.transfer import Transfer

RECIPES_HELP = f"beliefmatch transfer RECIPE --help, where RECIPE is {any_of(OVERVIEWS)}"


def transfer() -> None:
    """Transfer a network of yours to a smaller one: beliefmatch transfer RECIPE --help lists the settings."""
    raise SettingsError(f"name a recipe: {RECIPES_HELP}")


def transfer_by(name: str, arguments: Sequence[str]) -> None:
    """Run the recipe of a name with what was typed after it."""
    if name in ("-h", "--help"):
        print_text(f"{transfer.__doc__}\n\n{RECIPES_HELP}")
        return
    if page := stored_help(name, arguments):
        print_text(page.rstrip())
        return
    began = time.monotonic()
    from beliefmatch import recipes
    from beliefmatch.training.budget import choose_rounds
    from beliefmatch.training.options import RunOptions
    from beliefmatch.training.run import run

    if name not in recipes.ALL:
        raise SettingsError(f"no recipe is called {name!r}; {did_you_mean(name, recipes.ALL)}")
    own = {each.name for each in (*fields(recipes.Setup), *fields(RunOptions))} | {"minutes", "display"}
    with calling_settings(Names(frozenset(own), has_nested=True, are_flags=True)):
        made, options, display = _parse(name, recipes.ALL[name], arguments)
        set_display(display)
        say_if_finished(options.folder, display, resume=options.resume)
        made = choose_rounds(made, options, began=began)
        with RunProgress(made.rounds, display) as progress:
            result = run(made, options, progress=False, on_round=progress)
        if is_first_process():
            _print_end(made, options, display, result)


def _parse(
    name: str, recipe: "Callable[..., Transfer]", arguments: Sequence[str]
) -> "tuple[Transfer, RunOptions, Display]":
    """Return the transfer that was typed, and how it is run and shown."""
    from beliefmatch.training.options import RunOptions

    def parsed(
        transfer: Annotated[Any, tyro.conf.arg(name="", constructor=_with_flags(name, recipe))],
        options: Annotated[RunOptions, tyro.conf.arg(name="")],
        display: Annotated[Display, tyro.conf.arg(help=DISPLAY_HELP)] = "full",
    ) -> tuple[Any, RunOptions, Display]:
        return transfer, options, display

    return tyro.cli(
        parsed,
        prog=f"beliefmatch transfer {name}",
        description="\n\n".join(
            [(inspect.getdoc(recipe) or "").partition("Args:")[0].strip(), f"Example: {_example(name)}", EVERYDAY]
        ),
        args=arguments,
        config=(tyro.conf.AvoidSubcommands,),
        registry=flags_in_words(),
    )


def _example(name: str) -> str:
    """Return a command that runs a recipe with its everyday settings."""
    from beliefmatch import recipes

    defaults, source = recipes.defaults_of(name), inspect.signature(recipes.ALL[name]).parameters["source"]
    return " ".join(
        [
            f"beliefmatch transfer {name} --teacher my_model.py:net --teacher.weights w.pt",
            *([] if defaults.student else ["--student wide_resnet_16_1"]),
            *([] if defaults.inputs else ["--shape 3 32 32 --mean .49 .48 .45 --std .2 .2 .2"]),
            *(["--student.weights runs/first/student.safetensors"] if name == "fine_tune" else []),
            *(["--source.images train.npz"] if source.default is inspect.Parameter.empty else []),
            "--minutes 10 --folder runs/mine",
        ]
    )


def _print_end(made: "Transfer", options: "RunOptions", display: Display, result: "Result") -> None:
    from beliefmatch.training.trusted_code import code_named_in

    print_run(options.folder, display)
    if display == "full":
        print_text(f"the student is in {options.folder}")
    if display == "full" and result.student_accuracy is None:
        why = "no data held back was given" if made.source.reads_data else "no data to measure on was given"
        trust = " --trust-code" if code_named_in(made) else ""
        print_text(
            f"{why}, so nothing was measured; to measure: beliefmatch measure {options.folder} --images FILE.npz{trust}"
        )


def _with_flags(name: str, recipe: "Callable[..., Transfer]") -> "Callable[..., Transfer]":
    """Return a recipe whose setup has flags without a prefix, and the recipe's own defaults in their help."""
    from beliefmatch import recipes
    from beliefmatch.networks.loading.network import Network
    from beliefmatch.students.named import NamedStudent

    defaults = recipes.defaults_of(name)
    rounds = f"Rounds, each of {defaults.each_round}. Default: {defaults.rounds}."
    setup = make_dataclass(
        "Setup",
        [
            ("teacher", Network, field()),
            ("student", NamedStudent, field(default=defaults.student) if defaults.student else field()),
            ("rounds", Annotated[int | None, tyro.conf.arg(help=rounds)], None),
            ("batch_size", int, defaults.batch_size),
            ("minutes", Annotated[float | None, tyro.conf.arg(help=MINUTES_HELP)], None),
        ],
        bases=(recipes.Setup,),
        frozen=True,
        kw_only=True,
    )

    def make(setup: Any, **settings: Any) -> "Transfer":
        check_length(minutes=setup.minutes, rounds=setup.rounds)
        return replace(recipe(setup, **settings), minutes=setup.minutes)

    signature = inspect.signature(recipe)
    flat = signature.parameters["setup"].replace(annotation=Annotated[setup, tyro.conf.arg(name="")])
    parameters = [flat if each.name == "setup" else each for each in signature.parameters.values()]
    make.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportFunctionMemberAccess]
    make.__annotations__ = {each.name: each.annotation for each in parameters}
    make.__doc__ = recipe.__doc__
    return make


EVERYDAY = f"""Everyday settings:
- --teacher NAME, --teacher.weights FILE: the trained network
- --student NAME: the smaller one that learns
- --shape, --mean, --std, or --dataset alone: the inputs that the teacher was trained on
- --minutes or --rounds: how long
- --folder, --resume: where all of it is written, and to continue what is there

All others have defaults that serve. {SHORT_NETWORKS}"""
MINUTES_HELP = (
    "Wall time of all of it, with loading and timing, instead of rounds: some are timed first, and as many are done as "
    "fit. A run that is continued keeps their number."
)
DISPLAY_HELP = "Progress and tables, warnings and errors alone, or JSON lines for scripts."
