"""The command: parses, calls the library, prints. Heavy imports stand inside the commands, so --help is instant."""

import inspect
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from beliefmatch.console import Display, RunProgress, is_first_process, print_json, print_text
from beliefmatch.errors import BeliefMatchError, SettingsError

if TYPE_CHECKING:
    from beliefmatch.metrics.measurement import Measurement
    from beliefmatch.metrics.transition import TransitionPlan

DESCRIPTION = "Compress a pretrained network into a smaller one without any of the data it was trained on."
RECIPES_HELP = (
    "beliefmatch transfer RECIPE --help, where RECIPE is zero_shot, digits, few_shot, fine_tune, toy or toy_generator"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 after an error that the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(format="%(message)s")
    logging.getLogger().setLevel(logging.INFO if is_first_process() else logging.ERROR)
    try:
        if len(arguments) > 1 and arguments[0] == "transfer":
            _transfer(arguments[1], arguments[2:])
        else:
            commands = {
                "demo": demo,
                "transfer": transfer,
                "measure": measure,
                "report": report,
                "toy": toy,
                "reproduce": reproduce,
            }
            tyro.extras.subcommand_cli_from_dict(
                commands,
                prog="beliefmatch",
                description=DESCRIPTION,
                args=arguments,
                config=(tyro.conf.AvoidSubcommands,),
            )
    except BeliefMatchError as error:
        if is_first_process():
            sys.stderr.write(f"beliefmatch: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        if is_first_process():
            sys.stderr.write("beliefmatch: interrupted; the same command with --resume continues from the checkpoint\n")
        return 130
    except BrokenPipeError:
        # Whoever read the output has read enough. Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        # Other processes fail when the first one does, and it has said why.
        if is_first_process():
            raise
        return 2
    return 0


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
    from beliefmatch.demo import run_demo
    from beliefmatch.engine.run import RunOptions
    from beliefmatch.recipes.digits import NUM_ROUNDS
    from beliefmatch.report.page import write_report

    _set_display(display)
    options = RunOptions(folder=folder, resume=resume, accelerator="cpu")
    with RunProgress(rounds or NUM_ROUNDS, display) as progress:
        found = run_demo(options, seed=seed, rounds=rounds, observer=progress)
    page = write_report([folder])
    _print_run(folder, display, teacher_seconds=found.teacher_seconds)
    if display == "full":
        print_text(
            f"measured on {found.measurement.num_images} digits that neither network had seen; everything is in "
            f"{folder}, and all of it on one page in {page}"
        )


def transfer() -> None:
    """Transfer a network of yours to a smaller one: beliefmatch transfer RECIPE --help lists the settings."""
    raise SettingsError(f"name a recipe: {RECIPES_HELP}")


def _transfer(name: str, arguments: Sequence[str]) -> None:
    if name in ("-h", "--help"):
        print_text(f"{transfer.__doc__}\n\n{RECIPES_HELP}")
        return
    from beliefmatch import recipes
    from beliefmatch.engine.run import RunOptions, run

    if name not in recipes.ALL:
        raise SettingsError(f"no recipe is called {name!r}; there are {', '.join(recipes.ALL)}")
    recipe = recipes.ALL[name]

    def command(
        transfer: Annotated[Any, tyro.conf.arg(name="", constructor=recipe)],
        options: Annotated[RunOptions, tyro.conf.arg(name="")],
        display: Annotated[Display, tyro.conf.arg(help=DISPLAY_HELP)] = "full",
    ) -> None:
        _set_display(display)
        with RunProgress(transfer.rounds, display) as progress:
            result = run(transfer, options, observer=progress)
        if is_first_process():
            _print_run(options.folder, display)
            if display == "full":
                print_text(f"the student is in {options.folder}")
            if display == "full" and result.student_accuracy is None:
                print_text(
                    "no images to measure on were given, so nothing was measured; to measure: "
                    f"beliefmatch measure {options.folder} --images FILE.npz"
                )

    tyro.cli(
        command,
        prog=f"beliefmatch transfer {name}",
        description=(inspect.getdoc(recipe) or "").partition("Args:")[0].strip(),
        args=arguments,
        config=(tyro.conf.AvoidSubcommands,),
    )


DISPLAY_HELP = "Progress and tables, errors alone, or JSON lines for scripts."


@dataclass(frozen=True, kw_only=True)
class NetworkFlags:
    """A network as `transfer` names it, or none."""

    architecture: str | None = None
    """Built-in name such as wide_resnet_40_1, or file.py:function for your own."""
    weights: Path | None = None
    """Safetensors file, or state dict written by torch.save. Only your own function may do without."""
    num_classes: int = 10
    """Number of classes of a built-in architecture."""


def measure(
    run: tyro.conf.Positional[Path | None] = None,
    /,
    *,
    images: Path,
    teacher: NetworkFlags = NetworkFlags(),
    student: NetworkFlags = NetworkFlags(),
    dataset: Literal["cifar10", "svhn"] = "cifar10",
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    resize: bool = False,
    batch_size: int = 500,
    transition: int | None = None,
    guided_by: Literal["student", "teacher"] = "student",
    transition_steps: int = 100,
    transition_seed: int = 0,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    out: Path | None = None,
    display: Display = "full",
) -> None:
    """Measure how far two networks agree on images: those of a run, or any two that you name.

    Numbers of a run go into measurement.json and result.json of its folder.

    Args:
        run: Run folder. Without one, name --teacher.architecture and --student.architecture.
        images: File .npz with an array images (n, height, width, channels) uint8 and, for accuracy, labels (n,).
        teacher: One network, instead of a run's teacher.
        student: The other, instead of a run's student.
        dataset: What two named networks were trained on: sets their normalisation.
        shape: Shape of one input of two named networks instead of the dataset's, such as 1 28 28.
        mean: Mean of each channel that two named networks were trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that two named networks were trained with, in pixels scaled to [0, 1].
        resize: Resize images of another size than the networks take; otherwise they are refused.
        batch_size: Images at a time.
        transition: Measure the mean transition error too, from so many images on which both agree; the paper took 1000.
            It takes far longer than all else: half an hour on two cores for 200 images of WRN-16-1 against WRN-16-2.
        guided_by: Which network's gradient leads from class to class.
        transition_steps: Gradient steps from each image to each other class.
        transition_seed: Of the choice of images.
        accelerator: Kind of device.
        out: JSON file for all numbers, besides what goes into a run's folder.
        display: Tables, errors alone, or JSON for scripts.
    """
    from beliefmatch.data.images import read_images
    from beliefmatch.engine.atomic import write_json
    from beliefmatch.engine.evaluation import describe, measure_networks, measure_run
    from beliefmatch.engine.record import RunFolder
    from beliefmatch.metrics.transition import TransitionPlan
    from beliefmatch.recipes.datasets import choose_inputs

    if batch_size < 1:
        raise SettingsError(f"batch_size must be at least 1; got {batch_size}")
    plan = None
    if transition is not None:
        plan = TransitionPlan(
            num_images=transition, guided_by=guided_by, num_steps=transition_steps, seed=transition_seed
        )
    named = teacher.architecture, student.architecture
    if run is not None and any(named):
        raise SettingsError(f"{run} has its own two networks: give either a run folder or two networks, not both")
    if run is not None:
        RunFolder(run).read()
        data = read_images(images)
        measurement = measure_run(
            RunFolder(run),
            data.images,
            data.labels,
            name=images.name,
            batch_size=batch_size,
            resize=resize,
            transition=plan,
            accelerator=accelerator,
        )
    else:
        first, second = _load("teacher", teacher), _load("student", student)
        spec = choose_inputs(dataset, shape, mean, std)
        data = read_images(images)
        measurement = measure_networks(
            first.load(spec),
            second.load(spec),
            spec,
            data.images,
            data.labels,
            batch_size=batch_size,
            resize=resize,
            transition=plan,
            accelerator=accelerator,
        )
    if out is not None:
        write_json(out, describe(measurement, name=images.name, transition=plan))
    _print_measurement(measurement, plan, images, display)


def _load(role: str, flags: NetworkFlags) -> Any:
    from beliefmatch.models.zoo import Network

    if flags.architecture is None:
        raise SettingsError(f"name a run folder, or two networks: --{role}.architecture is missing")
    return Network(architecture=flags.architecture, weights=flags.weights, num_classes=flags.num_classes)


def _print_measurement(
    measurement: "Measurement", plan: "TransitionPlan | None", images: Path, display: Display
) -> None:
    if display == "json":
        from beliefmatch.engine.evaluation import describe

        print_json(describe(measurement, name=images.name, transition=plan))
    elif display == "full":
        from rich.console import Console

        from beliefmatch.tables import measurement_tables

        for table in measurement_tables(measurement):
            Console().print(table)
        print_text(f"measured on {measurement.num_images} images of {images}")


def report(runs: tyro.conf.Positional[tuple[Path, ...]], /, *, out: Path | None = None) -> None:
    """Write one page about one run or several, side by side: report.html in the first run's folder.

    Args:
        runs: Run folders. Those that differ in their seed alone are averaged.
        out: Where to write the page instead.
    """
    from beliefmatch.report.page import write_report

    if not runs:
        raise SettingsError("name at least one run folder: beliefmatch report RUN [RUN ...]")
    print_text(f"wrote {write_report(runs, out=out)}")


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
        rounds: Rounds of the transfer, instead of the paper's.
        through: Where the pseudo points come from: free parameters as in the paper's notebook, or a generator.
        display: Progress and tables, errors alone, or JSON lines for scripts.
    """
    from beliefmatch.engine.run import RunOptions
    from beliefmatch.toy import num_rounds, run_toy

    _set_display(display)
    options = RunOptions(folder=folder, resume=resume, accelerator="cpu")
    with RunProgress(rounds or num_rounds(through), display) as progress:
        found = run_toy(options, seed=seed, rounds=rounds, through=through, observer=progress)
    _print_run(folder, display)
    if display == "full":
        print_text(f"agreement over the square [-3, 3] x [-3, 3]: {100 * found.agreement:.2f} %")
        print_text(f"pictures: {folder / 'toy.png'} and {folder / 'toy.gif'}")


def reproduce(
    experiment: tyro.conf.Positional[Literal["table1", "figure2", "mte", "toy", "svhn"]],
    /,
    *,
    images: Path | None = None,
    train_images: Path | None = None,
    teachers: tuple[str, ...] = (),
    pairs: tuple[str, ...] | None = None,
    dataset: Literal["cifar10", "svhn"] = "cifar10",
    seeds: tuple[int, ...] = (0, 1, 2),
    rounds: int | None = None,
    budget: float = 1.0,
    batch_size: int = 128,
    transition_images: int = 1000,
    transition_steps: int = 100,
    folder: Path | None = None,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    display: Display = "full",
) -> None:
    """Run an experiment of the paper at any budget and set the paper's numbers, others' and ours side by side.

    Repeat the command to continue: each single run is resumed, and a finished one is not done again.

    Args:
        experiment: table1, figure2, mte (mean transition error), toy, or svhn.
        images: File .npz with test images (n, height, width, channels) uint8 and labels (n,). toy needs none.
        train_images: Likewise, to train the few-shot baselines on. Without it, only data-free runs are made.
        teachers: ARCHITECTURE=FILE, such as wide_resnet_40_2=wrn_40_2.safetensors.
        pairs: TEACHER:STUDENT by depth and factor, such as 40-1:16-1, instead of the experiment's own.
        dataset: What the teachers were trained on, for figure2 and mte.
        seeds: Of the runs; mean and deviation are over them.
        rounds: Rounds of each zero-shot run; all other runs are scaled alike.
        budget: Fraction of the paper's rounds, where rounds are not given.
        batch_size: Images a batch.
        transition_images: Images that transition curves begin from.
        transition_steps: Gradient steps of a transition curve.
        folder: For the runs, the table and the pictures. Default: runs/EXPERIMENT.
        accelerator: Kind of device.
        display: Progress and table, errors alone, or JSON lines for scripts.
    """
    from beliefmatch.metrics.transition import TransitionPlan
    from beliefmatch.reproduction.experiments import Setup
    from beliefmatch.reproduction.reproduce import parse_pairs, parse_teachers, reproduce, reproduce_toy
    from beliefmatch.reproduction.tables import plain

    _set_display(display)
    folder = folder or Path("runs") / experiment

    def follow(name: str, num_rounds: int) -> RunProgress:
        return RunProgress(num_rounds, display, name=name)

    if experiment == "toy":
        done = reproduce_toy(seeds=seeds, folder=folder, rounds=rounds, budget=budget, follow=follow)
    else:
        if images is None:
            raise SettingsError(f"{experiment} is measured on real images: name them with --images FILE.npz")
        setup = Setup(
            teachers=parse_teachers(teachers),
            pairs=parse_pairs(pairs),
            train_images=train_images,
            dataset="svhn" if experiment == "svhn" else dataset,
            rounds=rounds,
            budget=budget,
            batch_size=batch_size,
        )
        done = reproduce(
            experiment,
            setup,
            images=images,
            seeds=seeds,
            folder=folder,
            transition=TransitionPlan(num_images=transition_images, num_steps=transition_steps),
            accelerator=accelerator,
            follow=follow,
        )
    if display == "json":
        print_json({"experiment": experiment, "folder": str(folder), "cells": plain(done.found)})
    elif display == "full":
        print_text(done.table)
        print_text(f"everything is in {folder}")


def _set_display(display: Display) -> None:
    if display != "full":
        logging.getLogger().setLevel(logging.ERROR)


def _print_run(path: Path, display: Display, *, teacher_seconds: float | None = None) -> None:
    """Print what the folder of a finished run says of its two networks."""
    from beliefmatch.engine.files import RunFiles

    result = RunFiles(path).read_result()
    if display == "json":
        print_json({"folder": str(path), **asdict(result)})
    elif display == "full":
        from rich.console import Console

        from beliefmatch.tables import result_table

        Console().print(result_table(result, teacher_seconds=teacher_seconds))
