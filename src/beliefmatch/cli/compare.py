"""The command `compare`: recipes side by side."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from beliefmatch.cli.measure import NetworkFlags
from beliefmatch.cli.output import print_table
from beliefmatch.cli.printing import print_text
from beliefmatch.errors import SettingsError
from beliefmatch.networks.model_settings import Dataset
from beliefmatch.training.progress import Display, follow_runs, print_json

if TYPE_CHECKING:
    from beliefmatch.students.named import NamedStudent
    from beliefmatch.studies.compare import Comparison


@dataclass(frozen=True, kw_only=True)
class StudentFlags:
    """The student as `transfer` names it; none where each recipe has its own."""

    architecture: str | None = None
    """Built-in name such as wide_resnet_16_1, or what else `transfer` takes."""
    weights: Path | None = None
    """Safetensors file or state dict to start from. None: fresh weights, or those that the name asks for."""
    start: Literal["teacher", "fresh"] | None = None
    """teacher: what layers of the same name have in the teacher; fresh: random weights. None: what each recipe finds
    right, so say fresh to compare ways to find inputs alone."""


def compare(
    recipes: tyro.conf.Positional[tuple[str, ...]],
    /,
    *,
    minutes: float,
    teacher: NetworkFlags = NetworkFlags(),
    student: StudentFlags = StudentFlags(),
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    batch_size: int | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    images: Path | None = None,
    resize: bool = False,
    folder: Path = Path("runs/compare"),
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "bf16-mixed", "32-true", "64-true"] = "auto",
    display: Display = "full",
) -> None:
    """Compare recipes side by side: the same networks, equal wall time, several seeds, one page.

    Some rounds of each recipe are timed first; how many fit is kept, so schedules are whole. Repeat the command to
    continue: a finished run is not done again, and recipes and seeds may be added. --teacher NAME and --student NAME
    are short for --teacher.architecture and --student.architecture.

    Args:
        recipes: Recipes that need no images, such as zero_shot digits. Their own settings stay theirs.
        minutes: Wall time of one run, with the loading of its networks, such as 10, or 0.5 for half a minute.
        teacher: Trained network to learn from.
        student: Smaller network that learns. Default: that of each recipe, where it has one.
        dataset: What the teacher was trained on: sets the inputs of recipes that take any.
        shape: Shape of one input instead of the dataset's, such as 1 28 28.
        mean: Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1].
        batch_size: Examples a batch. Default: each recipe's own.
        seeds: Of the runs; mean and deviation are over them.
        images: File .npz to measure every run on, afterwards; see beliefmatch measure. Without it agreement alone is
            measured, on procedural inputs that are the same for all runs, and recipes are put into its order.
        resize: Resize images of another size than the networks take; otherwise they are refused.
        folder: For the runs, RECIPE/seed_N each, and report.html.
        accelerator: Kind of device.
        precision: Floating-point precision; see beliefmatch transfer RECIPE --help.
        display: Progress and table, warnings and errors alone, or JSON lines for scripts.
    """
    from beliefmatch.networks.loading.network import Network
    from beliefmatch.recipes.setup import Setup
    from beliefmatch.studies.compare import compare
    from beliefmatch.studies.recipe_checks import check_recipes
    from beliefmatch.training.options import RunOptions

    check_recipes(recipes)
    if teacher.architecture is None:
        raise SettingsError("name the network to learn from: --teacher NAME is missing")
    setup = Setup(
        teacher=Network(**asdict(teacher)),
        student=_name_student(student),
        dataset=dataset,
        shape=shape,
        mean=mean,
        std=std,
        batch_size=batch_size,
    )
    options = RunOptions(folder=folder, accelerator=accelerator, precision=precision)
    found = compare(
        recipes,
        setup,
        minutes=minutes,
        seeds=seeds,
        options=options,
        images=images,
        resize=resize,
        follow=follow_runs(display),
    )
    _print(found, minutes, images, display)


def _name_student(flags: StudentFlags) -> "NamedStudent | None":
    """Return the student that all recipes are given; None where each has its own."""
    from beliefmatch.students.named import NamedStudent

    if flags.architecture is not None:
        return NamedStudent(architecture=flags.architecture, weights=flags.weights, start=flags.start)
    if flags.weights is not None or flags.start is not None:
        raise SettingsError("name the student that these weights or this start are for: --student NAME is missing")
    return None


def _print(found: "Comparison", minutes: float, images: Path | None, display: Display) -> None:
    if display == "json":
        print_json({"minutes": minutes, "recipes": [asdict(each) for each in found.compared]})
    elif display == "full":
        from beliefmatch.cli.tables import comparison_table

        print_table(comparison_table(found))
        if images is None:
            from beliefmatch.studies.common_inputs import what_agreement_tells

            print_text(what_agreement_tells())
        print_text(f"all runs on one page: {found.report}")
