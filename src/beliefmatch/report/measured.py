"""What measurement.json holds, as values that are known to have the right shape."""

from dataclasses import dataclass
from typing import Any

from beliefmatch.errors import FolderError
from beliefmatch.runs.folder import RunFiles


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its bootstrap 95 % interval over examples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What one network does on labelled examples. Fractions in [0, 1]."""

    top1: Estimate
    top5: Estimate | None
    calibration_error: Estimate


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """What both networks do on the examples of one class."""

    number: int
    num_images: int
    teacher_accuracy: Estimate | None
    student_accuracy: Estimate | None
    agreement: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Transition:
    """Mean transition curves, and how they were walked."""

    guided_by: str
    num_images: int
    num_steps: int
    step_size: float
    seed: int
    """Of the choice of examples."""
    error: Estimate
    guide: tuple[float, ...]
    """Probability of the class sought at each step, for the network that guides."""
    follower: tuple[float, ...]
    guide_margin: tuple[float, ...]
    """Two standard errors over examples, at each step."""
    follower_margin: tuple[float, ...]

    @property
    def followed_by(self) -> str:
        """The other network."""
        return "teacher" if self.guided_by == "student" else "student"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that was measured on one set of examples, images or others."""

    images: str
    """Name of their file; empty where there was none."""
    num_images: int
    fingerprint: str
    """Of their values and labels; empty where none was recorded."""
    teacher: Scores | None
    """None: the examples have no labels."""
    student: Scores | None
    agreement: Estimate
    divergence: Estimate
    """KL(teacher || student), nats."""
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[Estimate, ...], ...]
    """Fraction of examples by the teacher's class (row) and the student's (column). Empty for many classes."""
    transition: Transition | None

    @property
    def data(self) -> tuple[str, int, str]:
        """What tells one set of examples from another."""
        return self.images, self.num_images, self.fingerprint


def read_measured(files: RunFiles) -> Measured | None:
    """Read measurement.json; None where there is none.

    Raises:
        FolderError: the file is damaged.
    """
    plain = files.read_measurement()
    if plain is None:
        return None
    try:
        return Measured(
            images=str(plain.get("images") or ""),
            num_images=int(plain["num_images"]),
            fingerprint=str(plain.get("fingerprint") or ""),
            teacher=_scores(plain["teacher"]),
            student=_scores(plain["student"]),
            agreement=_needed(plain["agreement"]),
            divergence=_needed(plain["divergence"]),
            classes=tuple(_class(row) for row in plain["classes"]),
            confusion=tuple(tuple(_needed(cell) for cell in row) for row in plain["confusion"] or ()),
            transition=_transition(plain["transition"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FolderError(f"{files.measurement} is damaged ({error!r}): measure the run again") from error


def _needed(plain: dict[str, Any]) -> Estimate:
    return Estimate(value=float(plain["value"]), low=float(plain["low"]), high=float(plain["high"]))


def _estimate(plain: dict[str, Any] | None) -> Estimate | None:
    return None if plain is None else _needed(plain)


def _scores(plain: dict[str, Any] | None) -> Scores | None:
    if plain is None:
        return None
    return Scores(
        top1=_needed(plain["top1"]),
        top5=_estimate(plain["top5"]),
        calibration_error=_needed(plain["calibration_error"]),
    )


def _class(plain: dict[str, Any]) -> ClassScores:
    return ClassScores(
        number=int(plain["class"]),
        num_images=int(plain["images"]),
        teacher_accuracy=_estimate(plain["teacher_accuracy"]),
        student_accuracy=_estimate(plain["student_accuracy"]),
        agreement=_estimate(plain["agreement"]),
    )


def _transition(plain: dict[str, Any] | None) -> Transition | None:
    if plain is None:
        return None
    curves = {
        name: tuple(float(value) for value in plain[name])
        for name in ("guide", "follower", "guide_margin", "follower_margin")
    }
    if len({len(curve) for curve in curves.values()}) != 1 or not curves["guide"]:
        raise ValueError("transition curves differ in length")
    return Transition(
        guided_by=str(plain["guided_by"]),
        num_images=int(plain["images"]),
        num_steps=int(plain["steps"]),
        step_size=float(plain["step_size"]),
        seed=int(plain.get("seed", 0)),
        error=_needed(plain["error"]),
        **curves,
    )
