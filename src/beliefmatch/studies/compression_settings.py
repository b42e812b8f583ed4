"""What a compression is asked for, and the transfer that it becomes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from beliefmatch import recipes
from beliefmatch.errors import SettingsError, WrongTypeError, did_you_mean
from beliefmatch.networks.loading.given import GivenModule, GivenNetwork, GivenNetworks, is_given
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.loading.torch_checkpoint import (
    explain_pickled,
    explain_torchscript,
    is_torchscript,
    pickled_class,
)
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.model_settings import ModelSettings
from beliefmatch.networks.output_kinds import check_kind
from beliefmatch.networks.teacher import Teacher
from beliefmatch.recipes.datasets import choose_inputs
from beliefmatch.students.base import AbstractStudent, Start
from beliefmatch.students.given import GivenStudent
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.students.quantized import QuantizedStudent
from beliefmatch.training.options import RunOptions
from beliefmatch.training.transfer import Transfer

TeacherLike = GivenModule | AbstractNetwork | str | Path
StudentLike = GivenModule | AbstractStudent | str | Path
RecipeLike = str | Callable[[recipes.Setup], Transfer]
Numbers = float | Iterable[float]
WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
"""How files end that hold weights alone."""


@dataclass(frozen=True, kw_only=True)
class CompressionSettings:
    """What `compress` is asked for; see there."""

    teacher: TeacherLike
    of_teacher: ModelSettings
    student: StudentLike
    start: Start | None = None
    recipe: RecipeLike = "best"
    minutes: float | None = None
    rounds: int | None = None
    batch_size: int | None = None
    seed: int = 0
    began: float | None = None
    """When the minutes began, as `time.monotonic` has it. None: when the networks are loaded."""
    options: RunOptions


def transfer_of(settings: CompressionSettings) -> tuple[Transfer, GivenNetworks]:
    """Return the transfer of a recipe, with the networks that were given in Python; neither is loaded from a file.

    Raises:
        BeliefMatchError: see `compress`.
    """
    check_kind(settings.of_teacher.outputs)
    if settings.start is not None and settings.start not in get_args(Start):
        raise SettingsError(f"no start {settings.start!r}; {did_you_mean(str(settings.start), get_args(Start))}")
    recipe = settings.recipe
    if isinstance(recipe, str):
        if recipe not in recipes.ALL:
            raise SettingsError(f"no recipe is called {recipe!r}; {did_you_mean(recipe, recipes.ALL)}")
        recipe = recipes.ALL[recipe]
    elif not callable(recipe):
        raise WrongTypeError(f"recipe is a {type(recipe).__name__}; expected a name, or a function of a Setup")
    teacher, student = network_of(settings.teacher, settings.of_teacher), _student_of(settings)
    setup = recipes.Setup(
        teacher=teacher,
        student=student,
        dataset=settings.of_teacher.dataset,
        shape=settings.of_teacher.shape,
        mean=settings.of_teacher.mean,
        std=settings.of_teacher.std,
        rounds=settings.rounds,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    try:
        transfer = recipe(setup)  # pyright: ignore[reportCallIssue]
    except TypeError as error:
        # What a function of the user's raises within is its own affair.
        was_called = error.__traceback__ is not None and error.__traceback__.tb_next is not None
        if "missing" not in str(error) or was_called:
            raise
        raise SettingsError(
            f"recipe {settings.recipe} needs more than compress gives it, such as images: use beliefmatch transfer "
            f"{settings.recipe}, or in Python give functools.partial(recipes.{settings.recipe}, source=...)"
        ) from error
    given = teacher.module if isinstance(teacher, GivenNetwork) else None
    # A pruned or quantised student is made of its teacher's architecture.
    made_from = given if isinstance(transfer.student, PrunedStudent | QuantizedStudent) else None
    return transfer, GivenNetworks(
        teacher=given, student=student.given if isinstance(student, GivenStudent) else made_from
    )


def load_alone(model: TeacherLike, settings: ModelSettings) -> Teacher:
    """Load a model as `compress` loads a teacher, where no student is made.

    Raises:
        BeliefMatchError: see `compress`.
    """
    check_kind(settings.outputs)
    network = network_of(model, settings)
    known, name = network.known_inputs(), network.architecture
    inputs = choose_inputs(settings.dataset, settings.shape, settings.mean, settings.std, known, name=name)
    return Teacher.load(network, inputs)


def network_of(model: TeacherLike, settings: ModelSettings) -> AbstractNetwork:
    """Return a trained network as it is to be loaded.

    Raises:
        SettingsError: a file of weights alone is given as the network.
        WrongTypeError: it is nothing that a network can be made of.
    """
    if isinstance(model, AbstractNetwork):
        return model
    if isinstance(model, str | Path):
        return Network(
            architecture=_name(model, "teacher"),
            weights=settings.weights,
            state_key=settings.state_key,
            num_classes=settings.num_classes,
            outputs=settings.outputs,
            output=settings.output,
            allow_untrained=settings.allow_untrained,
        )
    if is_given(model):
        return GivenNetwork.of(
            model,
            weights=settings.weights,
            state_key=settings.state_key,
            outputs=settings.outputs,
            output=settings.output,
            allow_untrained=settings.allow_untrained,
        )
    raise WrongTypeError(f"teacher is a {type(model).__name__}; {_EXPECTED}")


def _student_of(settings: CompressionSettings) -> AbstractStudent:
    student = settings.student
    if isinstance(student, AbstractStudent):
        return student if settings.start is None else replace(student, start=settings.start)
    if isinstance(student, str | Path):
        return NamedStudent(architecture=_name(student, "student"), start=settings.start)
    if is_given(student):
        return GivenStudent.of(student, start=settings.start)
    raise WrongTypeError(f"student is a {type(student).__name__}; {_EXPECTED}")


_EXPECTED = "expected a torch.nn.Module, a function that makes one, a name such as wide_resnet_16_1, or a path"


def _name(network: str | Path, role: str) -> str:
    """Return the name of a network, whether a name or a path was given."""
    path = Path(network)
    if path.is_dir() and (path / "config.json").is_file():
        return f"hf:{path}"
    if is_torchscript(path):
        raise SettingsError(explain_torchscript(path))
    if name := pickled_class(path):
        raise SettingsError(explain_pickled(path, name))
    if path.suffix in WEIGHTS and ":" not in str(network):
        raise SettingsError(
            f"{network} holds weights alone: give the network that they fit as the {role}, such as wide_resnet_40_1 or "
            "my_file.py:make_network, and this file as its weights",
        )
    return str(network)


def numbers(name: str, values: Numbers | None) -> tuple[float, ...] | None:
    """Return numbers, one for each channel; a single one stands for all.

    Raises:
        WrongTypeError: they are something else.
    """
    if values is None:
        return None
    try:
        return tuple(map(float, values)) if isinstance(values, Iterable) else (float(values),)
    except (TypeError, ValueError) as error:
        raise WrongTypeError(
            f"{name} is {values!r}; expected a number for each channel, such as (0.5, 0.5, 0.5)"
        ) from error
