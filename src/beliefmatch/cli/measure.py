"""The command `measure`: two networks on real data."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from beliefmatch.cli.output import print_table
from beliefmatch.cli.printing import print_text
from beliefmatch.errors import SettingsError
from beliefmatch.networks.model_settings import Dataset, NetworkSettings
from beliefmatch.setting_names import Setting
from beliefmatch.training.progress import Display, print_json

if TYPE_CHECKING:
    from beliefmatch.measurement.agreement import Measurement


@dataclass(frozen=True, kw_only=True)
class _Named:
    architecture: str | None = None
    """Built-in name such as wide_resnet_40_1; timm:NAME, torchvision:NAME, hf:FOLDER, file.py:function for your own, a
    program exported as .pt2, or an .onnx file."""


@dataclass(frozen=True, kw_only=True)
class NetworkFlags(NetworkSettings, _Named):
    """A network as `transfer` names it, or none."""


def measure(
    run: tyro.conf.Positional[Path | None] = None,
    /,
    *,
    images: Path,
    teacher: NetworkFlags = NetworkFlags(),
    student: NetworkFlags = NetworkFlags(),
    dataset: Dataset | None = None,
    shape: tuple[int, ...] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    resize: bool = False,
    batch_size: int = 100,
    transition: int | None = None,
    guided_by: Literal["student", "teacher"] = "student",
    transition_steps: int = 100,
    transition_seed: int = 0,
    transition_memory: int | None = None,
    class_names: tuple[str, ...] | None = None,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    out: Path | None = None,
    trust_code: bool = False,
    display: Display = "full",
) -> None:
    """Measure how far two networks agree on real data: those of a run, or any two that you name.

    Numbers of a run go into measurement.json and result.json of its folder. --teacher NAME and --student NAME are short
    for --teacher.architecture and --student.architecture.

    Args:
        run: Run folder. Without one, name --teacher and --student.
        images: File .npz with an array images (n, height, width, channels) uint8, or inputs (n, *shape) of numbers
            that are network inputs already (vectors, signals), and, for accuracy, labels: (n,) classes, (n, labels) of
            0 and 1 for multi-label networks, (n,) or (n, outputs) numbers for regressions.
        teacher: One network, instead of a run's teacher.
        student: The other, instead of a run's student. Its outputs are of the teacher's kind.
        dataset: What two named networks were trained on: sets shape and normalisation.
        shape: Shape of one input of two named networks instead of the dataset's, such as 1 28 28.
        mean: Mean of each channel that two named networks were trained with, in pixels scaled to [0, 1].
        std: Standard deviation of each channel that two named networks were trained with, in pixels scaled to [0, 1].
        resize: Resize images of another size than the networks take; otherwise they are refused.
        batch_size: Examples at a time.
        transition: Measure the mean transition error too, from so many examples on which both agree; the paper took
            1000 images.
            It takes far longer than all else: half an hour on two cores for 200 images of WRN-16-1 against WRN-16-2.
        guided_by: Which network's gradient leads from class to class.
        transition_steps: Gradient steps from each example to each other class.
        transition_seed: Of the choice of examples.
        transition_memory: MiB that the activations of one batch of walks may take. Default: 128 on a CPU, else 4096.
        class_names: Name of each class or label in their order, for tables and report; or one text file with a name a
            line. Default: those in the teacher's own configuration (id2label).
        accelerator: Kind of device.
        out: JSON file for all numbers, besides what goes into a run's folder.
        trust_code: Import a Python file that the run folder names as one of its networks, file.py:function. It may do
            anything, so read it first where you did not make the folder yourself.
        display: Tables, warnings and errors alone, or JSON for scripts.
    """
    from beliefmatch.data.images import read_examples
    from beliefmatch.measurement.class_names import read_class_names
    from beliefmatch.measurement.run import describe, measure_networks, measure_run
    from beliefmatch.measurement.transition import TransitionPlan
    from beliefmatch.networks.normalisation import warn_of_default_normalisation
    from beliefmatch.recipes.datasets import choose_inputs
    from beliefmatch.runs.atomic import write_json
    from beliefmatch.runs.folder import RunFolder
    from beliefmatch.setting_names import settings_of_run

    if batch_size < 1:
        raise SettingsError(f"{Setting('batch_size')} must be at least 1; got {batch_size}")
    plan = None
    if transition is not None:
        plan = TransitionPlan(
            num_images=transition,
            guided_by=guided_by,
            num_steps=transition_steps,
            seed=transition_seed,
            memory_budget=None if transition_memory is None else transition_memory * 2**20,
        )
    given_names = None if class_names is None else read_class_names(class_names)
    named = teacher.architecture, student.architecture
    if run is not None and any(named):
        raise SettingsError(f"{run} has its own two networks: give either a run folder or two networks, not both")
    if run is not None:
        RunFolder(run).read_run()
        networks = {
            f"{role}.{name}": value
            for role, flags in (("teacher", teacher), ("student", student))
            for name, value in asdict(flags).items()
        }
        inputs = {"dataset": dataset, "shape": shape, "mean": mean, "std": std}
        with settings_of_run(run, networks | inputs):
            data = read_examples(images)
            measurement = measure_run(
                RunFolder(run),
                data,
                batch_size=batch_size,
                resize=resize,
                transition=plan,
                accelerator=accelerator,
                class_names=given_names,
                trust_code=trust_code,
            )
    else:
        first, second = _load("teacher", teacher), _load("student", student)
        known, name = first.known_inputs() or second.known_inputs(), first.architecture
        spec = choose_inputs(dataset, shape, mean, std, known, name=name)
        warn_of_default_normalisation(spec)
        data = read_examples(images)
        network, inspection = first.load_inspected(spec, role="teacher")
        if second.outputs is None and inspection.task != "single_label":
            second = replace(second, outputs=inspection.task)
        measurement = measure_networks(
            network,
            second.load_inspected(spec, role="student")[0],
            spec,
            data,
            batch_size=batch_size,
            resize=resize,
            transition=plan,
            accelerator=accelerator,
            class_names=given_names,
            task=inspection.task,
        )
    record = describe(measurement, data, transition=plan)
    if out is not None:
        write_json(out, asdict(record))
    if display == "json":
        print_json(asdict(record))
    elif display == "full":
        _print_tables(measurement, images)


def _load(role: str, flags: NetworkFlags) -> Any:
    from beliefmatch.networks.loading.network import Network

    if flags.architecture is None:
        raise SettingsError(f"name a run folder, or two networks: --{role} NAME is missing")
    return Network(**asdict(flags))


def _print_tables(measurement: "Measurement", images: Path) -> None:
    from beliefmatch.cli.tables import measurement_tables

    for table in measurement_tables(measurement):
        print_table(table)
    print_text(f"measured on {measurement.num_images} examples of {images}")
