"""The command: parses, calls the library, prints. Heavy imports stand inside the commands, so --help is instant."""

import inspect
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from beliefmatch.console import NetworkRow, RunProgress, comparison_table, is_first_process
from beliefmatch.errors import BeliefMatchError, SettingsError

RECIPES_HELP = "beliefmatch transfer zero_shot --help, beliefmatch transfer digits --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 after an error that the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO if is_first_process() else logging.ERROR, format="%(message)s")
    try:
        if len(arguments) > 1 and arguments[0] == "transfer":
            _transfer(arguments[1], arguments[2:])
        else:
            commands = {"demo": demo, "transfer": transfer, "measure": measure}
            tyro.extras.subcommand_cli_from_dict(commands, prog="beliefmatch", description=DESCRIPTION, args=arguments)
    except BeliefMatchError as error:
        if is_first_process():
            sys.stderr.write(f"beliefmatch: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        if is_first_process():
            sys.stderr.write("beliefmatch: interrupted; the same command with --resume continues from the checkpoint\n")
        return 130
    except Exception:
        # Other processes fail when the first one does, and it has said why.
        if is_first_process():
            raise
        return 2
    return 0


DESCRIPTION = "Compress a pretrained network into a smaller one without any of the data it was trained on."


def demo(
    *,
    folder: Path = Path("runs/demo"),
    resume: bool = False,
    seed: int = 0,
    rounds: int | None = None,
) -> None:
    """Train a teacher on real digits, let go of the data, transfer to a student, measure. Two minutes on two cores.

    Args:
        folder: Run folder; made if missing. A run in it is never overwritten.
        resume: Continue the demo in the folder from its last checkpoint; begin it if there is none.
        seed: Of fresh weights and of all noise.
        rounds: Rounds of the transfer, instead of the recipe's.
    """
    from beliefmatch.demo import run_demo
    from beliefmatch.engine.run import RunOptions
    from beliefmatch.recipes.digits import NUM_ROUNDS

    options = RunOptions(folder=folder, resume=resume, accelerator="cpu")
    with RunProgress(rounds or NUM_ROUNDS) as progress:
        found = run_demo(options, seed=seed, rounds=rounds, observer=progress)
    _print_run(folder, teacher_seconds=found.teacher_seconds)
    _print(
        f"measured on {found.measurement.num_images} digits that neither network had seen; everything is in {folder}"
    )


def transfer() -> None:
    """Transfer a network of yours to a smaller one: beliefmatch transfer RECIPE --help, RECIPE zero_shot or digits."""
    raise SettingsError(f"name a recipe: {RECIPES_HELP}")


def _transfer(name: str, arguments: Sequence[str]) -> None:
    if name in ("-h", "--help"):
        sys.stdout.write(f"{transfer.__doc__}\n\nRecipes: {RECIPES_HELP}\n")
        return
    from beliefmatch import recipes
    from beliefmatch.engine.run import RunOptions, run

    if name not in recipes.ALL:
        raise SettingsError(f"no recipe is called {name!r}; there are {', '.join(recipes.ALL)}")
    recipe = recipes.ALL[name]

    def command(
        transfer: Annotated[Any, tyro.conf.arg(name="", constructor=recipe)],
        options: Annotated[RunOptions, tyro.conf.arg(name="")],
    ) -> None:
        with RunProgress(transfer.rounds) as progress:
            result = run(transfer, options, observer=progress)
        if is_first_process():
            _print_run(options.folder)
            _print(f"the student is in {options.folder}")
            if result.student_accuracy is None:
                _print(
                    "no data was given, so nothing was measured; to measure: "
                    f"beliefmatch measure {options.folder} --images FILE.npz"
                )

    tyro.cli(
        command,
        prog=f"beliefmatch transfer {name}",
        description=(inspect.getdoc(recipe) or "").partition("Args:")[0].strip(),
        args=arguments,
        config=(tyro.conf.AvoidSubcommands,),
    )


def measure(run: tyro.conf.Positional[Path], /, *, images: Path, resize: bool = False, batch_size: int = 500) -> None:
    """Measure the student and the teacher of a run on labelled images, and enter the numbers into its result.json.

    Args:
        run: Run folder.
        images: File .npz with arrays images (n, height, width, channels) uint8 and labels (n,) integers.
        resize: Resize images of another size than the networks take; otherwise they are refused.
        batch_size: Images at a time.
    """
    from beliefmatch.data.images import read_images
    from beliefmatch.engine.evaluation import measure_run
    from beliefmatch.engine.record import RunFolder

    if batch_size < 1:
        raise SettingsError(f"batch_size must be at least 1; got {batch_size}")
    folder = RunFolder(run)
    folder.read()
    data = read_images(images)
    measurement = measure_run(folder, data.images, data.labels, batch_size=batch_size, resize=resize)
    _print_run(run)
    _print(f"measured on {measurement.num_images} images of {images}")


def _print_run(path: Path, *, teacher_seconds: float | None = None) -> None:
    """Print what the folder of a finished run says of its two networks."""
    from rich.console import Console

    from beliefmatch.engine.evaluation import load_pair
    from beliefmatch.engine.record import RunFolder
    from beliefmatch.models.cost import measure_cost

    folder = RunFolder(path)
    result = folder.read_result()
    teacher, student = load_pair(folder)
    rows = [
        NetworkRow(
            name=name,
            parameters=(cost := measure_cost(network, teacher.spec)).parameters,
            macs=cost.macs,
            bytes=cost.bytes,
            accuracy=accuracy,
            agreement=result.agreement,
            seconds=seconds,
        )
        for name, network, accuracy, seconds in (
            ("teacher", teacher.module, result.teacher_accuracy, teacher_seconds),
            ("student", student, result.student_accuracy, result.seconds),
        )
    ]
    Console().print(comparison_table(rows))


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
