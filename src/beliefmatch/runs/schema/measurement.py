"""measurement.json: what two networks do on examples that training never saw."""

from dataclasses import dataclass, field
from typing import Literal

from beliefmatch.runs.schema.ranges import check_ranges
from beliefmatch.runs.schema.task import TaskName

OVER_EXAMPLES = "95 % intervals over examples"
INTERVALS: dict[TaskName, str] = {
    "single_label": f"{OVER_EXAMPLES}: Wilson's of fractions, bootstrap of means and calibration errors",
    "multi_label": f"{OVER_EXAMPLES}: Wilson's of fractions, bootstrap of F1 and means",
    "regression": f"{OVER_EXAMPLES}: bootstrap of errors and R\N{SUPERSCRIPT TWO}",
}
"""Which intervals stand beside the numbers of a measurement, by what outputs predict."""
LABEL_TITLES = {
    "accuracy": "accuracy of labels",
    "exact_match": "all labels right",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
}
NUMBER_TITLES = {
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "root mean squared error",
    "r2": "R\N{SUPERSCRIPT TWO}",
}
"""By field of `LabelScores`, fractions, and of `NumberScores`: what it is called."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval over examples; see `INTERVALS`."""

    value: float
    """The number, over all examples."""
    low: float
    """Lower end of the interval, in the unit of the number."""
    high: float
    """Upper end of the interval, in the unit of the number."""


@dataclass(frozen=True, kw_only=True)
class NetworkScores:
    """What one classifier does on labelled examples."""

    top1: Estimate
    """Fraction of examples whose label is the most likely class."""
    top5: Estimate | None
    """Fraction of examples whose label is among the five most likely classes. None where there are at most five."""
    calibration_error: Estimate
    """Expected calibration error over 15 bins, in [0, 1] (Guo et al. 2017). Few examples make it too large. The
    interval reaches as far as the gap between mean confidence and accuracy may, and is that alone where all are right,
    or none."""
    debiased_calibration_error: Estimate
    """The same without that bias: about 0 where the network is calibrated, and with an interval that covers it."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("top1", "top5", "calibration_error", "debiased_calibration_error"))


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """What both networks do on the examples of one label, or without labels of one class of the teacher.

    Of a multi-label network: whether they predict one label right and alike, over all examples.
    """

    number: int
    """Number of the class or label, from 0."""
    num_images: int
    """Number of its examples: those for which it is true, or without labels those for which the teacher predicts it."""
    teacher_accuracy: Estimate | None
    """Fraction of them whose label the teacher finds most likely. None: no examples, or no labels."""
    student_accuracy: Estimate | None
    """Fraction of them whose label the student finds most likely. None: no examples, or no labels."""
    agreement: Estimate | None
    """Fraction of them to which both networks give the same class. None where there is no example of this class."""

    def __post_init__(self) -> None:
        check_ranges(
            self, fractions=("teacher_accuracy", "student_accuracy", "agreement"), counts=("number", "num_images")
        )


@dataclass(frozen=True, kw_only=True)
class LabelScores:
    """How near predicted labels are to others. A label is predicted where its probability is above a half."""

    accuracy: Estimate
    """Fraction of all labels of all examples that are predicted right."""
    exact_match: Estimate
    """Fraction of examples of which all labels are predicted right."""
    micro_f1: Estimate
    """F1 of all labels of all examples together, in [0, 1]."""
    macro_f1: Estimate
    """Mean over labels of F1, in [0, 1]; that of a label that is neither true nor predicted anywhere is 0."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("accuracy", "exact_match", "micro_f1", "macro_f1"))


@dataclass(frozen=True, kw_only=True)
class LabelMeasurement:
    """What two multi-label networks do on the same examples."""

    teacher: LabelScores | None
    """The teacher's labels against those of the examples. None: the examples have no labels."""
    student: LabelScores | None
    """The student's labels against those of the examples, likewise."""
    pair: LabelScores
    """The student's labels against the teacher's."""


@dataclass(frozen=True, kw_only=True)
class NumberScores:
    """How near predicted numbers are to others; of several numbers, the mean over them."""

    mean_absolute_error: Estimate
    """Mean absolute difference, in the unit of the numbers."""
    root_mean_squared_error: Estimate
    """Root of the mean squared difference, in the unit of the numbers."""
    r2: Estimate
    """Part of the variance of the others that the predicted ones explain: 1 where all are equal, 0 for their mean."""


@dataclass(frozen=True, kw_only=True)
class NumberMeasurement:
    """What two regressions do on the same examples."""

    teacher: NumberScores | None
    """The teacher's numbers against the labels of the examples. None: the examples have no labels."""
    student: NumberScores | None
    """The student's numbers against the labels of the examples, likewise."""
    pair: NumberScores
    """The student's numbers against the teacher's."""
    by_output: tuple[NumberScores, ...] = field(repr=False)
    """`pair` of each number by itself, in the order of the outputs."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """Mean transition curves, and how they were walked."""

    guided_by: Literal["student", "teacher"]
    """The network whose gradient leads from class to class."""
    num_images: int
    """Number of examples from which the walks begin."""
    num_steps: int
    """Gradient steps from each example to each other class."""
    step_size: float
    """Learning rate of a gradient step, on network inputs."""
    seed: int
    """Seed of the choice of examples."""
    error: Estimate
    """Mean transition error: mean absolute difference of both networks' curves, in [0, 1]."""
    guide: tuple[float, ...]
    """Mean probability of the class sought at each step, for the network that guides."""
    follower: tuple[float, ...]
    """Mean probability of the class sought at each step, for the other network."""
    guide_margin: tuple[float, ...]
    """Two standard errors over examples of `guide`, at each step."""
    follower_margin: tuple[float, ...]
    """Two standard errors over examples of `follower`, at each step."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("error",), counts=("num_images", "num_steps", "step_size"))
        lengths = {len(curve) for curve in (self.guide, self.follower, self.guide_margin, self.follower_margin)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError("the transition curves differ in length or are empty")

    @property
    def followed_by(self) -> Literal["student", "teacher"]:
        """The other network."""
        return "teacher" if self.guided_by == "student" else "student"


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """An image to which the two networks give different classes."""

    position: int
    """Position of the image among the examples, from 0."""
    label: int | None
    """Its label. None: there are no labels."""
    teacher_class: int
    """Class that the teacher gives."""
    student_class: int
    """Class that the student gives."""
    png: str = field(repr=False)
    """The image as a PNG file in base64, at most 64 pixels a side."""

    def __post_init__(self) -> None:
        check_ranges(self, counts=("position", "label", "teacher_class", "student_class"))


@dataclass(frozen=True, kw_only=True)
class MeasurementRecord:
    """All that was measured on one set of examples. Fractions are in [0, 1]."""

    images: str
    """Name of the examples, images or others; empty where they have none."""
    fingerprint: str
    """SHA-256 of the examples' values and labels, hexadecimal."""
    num_images: int
    """Number of examples."""
    teacher: NetworkScores | None
    """Scores of the teacher. None: the examples have no labels, or outputs are no classes."""
    student: NetworkScores | None
    """Scores of the student. None: likewise."""
    agreement: Estimate | None
    """Fraction of examples to which both networks give the same class, or of their labels that both predict alike.
    None: outputs are numbers."""
    divergence: Estimate | None
    """Mean KL(teacher || student), in nats, summed over labels. None: outputs are numbers."""
    classes: tuple[ClassScores, ...] = field(repr=False)
    """Scores by class."""
    confusion: tuple[tuple[Estimate, ...], ...] | None = field(repr=False)
    """Fraction of all examples with each pair of the teacher's class (row) and the student's (column). None for more
    than 50 classes."""
    transition: Transition | None
    """Where the two part on the way from one class to another. None: not measured."""
    class_names: tuple[str, ...] | None = field(default=None, repr=False)
    """Name of each class, in their order. None: not known."""
    disagreements: tuple[Disagreement, ...] = field(default=(), repr=False)
    """Images to which the two give different classes: at most 24, those with the largest divergence first. Empty where
    there are none, or the examples are no images, or outputs are no classes."""
    task: TaskName = "single_label"
    """What the outputs of both networks predict."""
    labels: LabelMeasurement | None = None
    """How near labels are. None: outputs are no labels of which several may be true."""
    numbers: NumberMeasurement | None = None
    """How near numbers are. None: outputs are no numbers."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("agreement",), counts=("num_images",))
        if (self.task == "multi_label") != (self.labels is not None):
            raise ValueError("labels must be there where the task is multi_label, and only there")
        if (self.task == "regression") != (self.numbers is not None):
            raise ValueError("numbers must be there where the task is regression, and only there")
        if self.task != "regression" and (self.agreement is None or self.divergence is None):
            raise ValueError("agreement or divergence is missing")
        if self.class_names is not None and self.numbers is None and len(self.class_names) != len(self.classes):
            raise ValueError(f"class_names has {len(self.class_names)} names for {len(self.classes)} classes")

    @property
    def data(self) -> tuple[str, int, str]:
        """What tells one set of examples from another."""
        return self.images, self.num_images, self.fingerprint
