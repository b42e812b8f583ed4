"""What two networks do on examples that training never saw, each number with its 95 % interval."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from beliefmatch.errors import SettingsError
from beliefmatch.functional.calibration_error import (
    NUM_BINS,
    calibration_error,
    debiased_calibration_error,
    extend_error_interval,
)
from beliefmatch.functional.confidence_intervals import NUM_RESAMPLES, bootstrap
from beliefmatch.log_once import each_message_once
from beliefmatch.measurement.conversion import NUM_EXAMPLES, giving_logits
from beliefmatch.measurement.disagreements import find_disagreements
from beliefmatch.measurement.estimates import estimates_of, fractions_of
from beliefmatch.measurement.labels import measure_labels
from beliefmatch.measurement.numbers import measure_numbers
from beliefmatch.measurement.predictions import BATCH_SIZE, TOP, Predictions, batches, predict
from beliefmatch.measurement.repeatability import warn_unless_repeatable
from beliefmatch.measurement.summary import as_html, as_text
from beliefmatch.measurement.transition import TransitionCurves, TransitionPlan, measure_transition
from beliefmatch.networks.examples import AbstractExamples, examples_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.labels import check_classes
from beliefmatch.runs.schema.measurement import (
    ClassScores,
    Disagreement,
    Estimate,
    LabelMeasurement,
    LabelScores,
    NetworkScores,
    NumberMeasurement,
)
from beliefmatch.runs.schema.task import DESCRIPTIONS, TaskName

MAX_CONFUSION_CLASSES = 50
"""With more classes most pairs hold no example, and a table of them all says nothing."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What two networks do on the same examples. Fractions in [0, 1]."""

    num_images: int
    teacher: NetworkScores | None
    """None: the examples have no labels, or outputs are no classes."""
    student: NetworkScores | None
    agreement: Estimate
    """Fraction of examples to which both networks give the same class, or of their labels that both predict alike. Of a
    regression R^2 of the student's numbers for the teacher's."""
    divergence: Estimate
    """Mean KL(teacher || student), in nats, summed over labels. Of a regression half the mean squared difference, in
    units of the variance of the teacher's numbers, summed over outputs."""
    classes: tuple[ClassScores, ...] = field(repr=False)
    confusion: tuple[tuple[Estimate, ...], ...] | None = field(repr=False)
    """Fraction of all examples with each pair of the teacher's class (row) and the student's (column). None for more
    than 50 classes."""
    transition: TransitionCurves | None
    """Where the two part on the way from one class to another. None: not asked for."""
    disagreements: tuple[Disagreement, ...] = field(default=(), repr=False)
    """Images to which the two give different classes, at most 24 of them. Empty for examples that are no images."""
    class_names: tuple[str, ...] | None = field(default=None, repr=False)
    """Name of each class, in their order. None: not known."""
    task: TaskName = "single_label"
    """What the outputs of both networks predict."""
    labels: LabelMeasurement | None = None
    """How near labels are. None: outputs are no labels of which several may be true."""
    numbers: NumberMeasurement | None = None
    """How near numbers are. None: outputs are no numbers."""

    @property
    def teacher_accuracy(self) -> float | None:
        """Fraction of examples whose label the teacher finds most likely, or of labels that it predicts right."""
        return _accuracy(self.teacher, self.labels and self.labels.teacher)

    @property
    def student_accuracy(self) -> float | None:
        """Fraction of examples whose label the student finds most likely, or of labels that it predicts right."""
        return _accuracy(self.student, self.labels and self.labels.student)

    def __str__(self) -> str:
        """Return a short table, ready to print."""
        return as_text(self)

    def _repr_html_(self) -> str:
        """Return the same table for a notebook."""
        return as_html(self)


@each_message_once()
def measure_pair(
    teacher: nn.Module,
    student: nn.Module,
    spec: InputSpec,
    examples: AbstractExamples | Tensor,
    labels: Tensor | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    num_resamples: int = NUM_RESAMPLES,
    transition: TransitionPlan | None = None,
    task: TaskName = "single_label",
) -> Measurement:
    """Measure teacher and student on the same examples, both in eval mode.

    Args:
        teacher: maps (batch, *spec.shape) to logits, or to what they follow from: probabilities, a single output for or
            against class 1 of two, or something that holds them, as a dictionary does.
        student: likewise, with as many classes, on the same device.
        spec: of the inputs of both.
        examples: to measure on; or a tensor: (n, height, width, channels) uint8 images, or (n, *spec.shape) network
            inputs of another type.
        labels: of a tensor: (n,) integers; for multi-label networks (n, labels) of 0 and 1; for regressions (n,) or (n,
            outputs) numbers. Without labels there are no accuracies.
        batch_size: examples at a time.
        num_resamples: draws of the bootstrap, by which means have their intervals; those of fractions are Wilson's.
        transition: how to walk for the mean transition error, which takes far longer than all else; None: not at all.
        task: what the outputs of both predict.

    Raises:
        SettingsError: the mean transition error is asked for, and outputs are no classes.
        ExamplesError: examples are not as above, a network gives outputs that are not finite for some, or fewer than
            the walks shall begin from have the agreement of both.
        NetworkError: outputs are not as above, or the two networks know different numbers of classes.

    Example:
        >>> import torch
        >>> from beliefmatch import InputSpec, measure_pair
        >>> network = torch.nn.Linear(4, 3)
        >>> measured = measure_pair(network, network, InputSpec(shape=(4,)), torch.randn(50, 4))
        >>> measured.num_images, measured.agreement.value
        (50, 1.0)
        >>> round(measured.agreement.low, 3)  # Wilson's interval is no point, even where all agree
        0.929
    """
    data = examples_of(examples, labels)
    few, _ = next(batches((teacher, student), spec, data, NUM_EXAMPLES))
    with giving_logits(teacher, student, few, task) as num_classes:
        data.check_fit(spec, num_classes, resize=True, task=task)
        for role, network in (("teacher", teacher), ("student", student)):
            warn_unless_repeatable(network, spec, role=role)
        return measure_logits(
            teacher,
            student,
            spec,
            data,
            batch_size=batch_size,
            num_resamples=num_resamples,
            transition=transition,
            task=task,
        )


def measure_logits(
    teacher: nn.Module,
    student: nn.Module,
    spec: InputSpec,
    data: AbstractExamples,
    *,
    batch_size: int = BATCH_SIZE,
    num_resamples: int = NUM_RESAMPLES,
    transition: TransitionPlan | None = None,
    task: TaskName = "single_label",
) -> Measurement:
    """Measure two networks that give logits, or numbers, (batch, classes) by themselves; see `measure_pair`."""
    if task != "single_label":
        if transition is not None:
            raise SettingsError(
                "the mean transition error leads from class to class, and the teacher is "
                f"{DESCRIPTIONS[task]}: leave it out"
            )
        measure = measure_labels if task == "multi_label" else measure_numbers
        found = measure(teacher, student, spec, data, batch_size=batch_size, num_resamples=num_resamples)
        return Measurement(
            num_images=len(data), teacher=None, student=None, confusion=None, transition=None, task=task, **found
        )
    if data.labels is not None:
        check_classes(data.labels)
    predictions = predict(teacher, student, spec, data, batch_size=batch_size)
    overall = _Overall(predictions, num_resamples)
    return Measurement(
        num_images=len(data),
        teacher=overall.scores(0),
        student=overall.scores(1),
        agreement=overall.agreement,
        divergence=overall.divergence,
        classes=_by_class(predictions, data.labels),
        confusion=overall.confusion,
        transition=transition and measure_transition(teacher, student, spec, data, transition, predictions=predictions),
        disagreements=find_disagreements(predictions, data, spec),
    )


def _accuracy(scores: NetworkScores | None, labels: LabelScores | None) -> float | None:
    if scores is not None:
        return scores.top1.value
    return None if labels is None else labels.accuracy.value


class _Overall:
    """Statistics over all examples: fractions of them, and means of what each has."""

    def __init__(self, predictions: Predictions, num_resamples: int) -> None:
        self.predictions = predictions
        self.num_classes = predictions.num_classes
        self.labelled = predictions.right.shape[1] == 2
        columns = [predictions.alike[:, None], predictions.right, predictions.top]
        if self.num_classes <= MAX_CONFUSION_CLASSES:
            pairs = predictions.teacher_class * self.num_classes + predictions.student_class
            columns.append(one_hot(pairs, self.num_classes**2))
        self.fractions = fractions_of(torch.cat([column.double() for column in columns], dim=1))
        means = torch.cat([predictions.divergence[:, None].double(), predictions.gaps.double()], dim=1)
        self.means = estimates_of(*bootstrap(means, self._statistics, num_resamples=num_resamples))

    def _statistics(self, means: Tensor) -> Tensor:
        """Return the mean divergence, and one calibration error of the bins of each network."""
        divergence, gaps = means[..., :1], means[..., 1:]
        errors = calibration_error(gaps.unflatten(-1, (2 if self.labelled else 0, NUM_BINS)))
        return torch.cat([divergence, errors], dim=-1)

    @property
    def agreement(self) -> Estimate:
        return self.fractions[0]

    @property
    def divergence(self) -> Estimate:
        return self.means[0]

    def scores(self, network: int) -> NetworkScores | None:
        """Return the scores of the teacher (0) or the student (1)."""
        if not self.labelled:
            return None
        right, top, error = self.fractions[1 + network], self.fractions[3 + network], self.means[1 + network]
        confidence, correct = self.predictions.confidence_and_right(network)
        ends = extend_error_interval(error.value, error.low, error.high, confidence, correct)
        value, low, high = debiased_calibration_error(confidence, correct)
        return NetworkScores(
            top1=right,
            top5=top if self.num_classes > TOP else None,
            calibration_error=Estimate(value=error.value, low=ends[0], high=ends[1]),
            debiased_calibration_error=Estimate(value=value, low=low, high=high),
        )

    @property
    def confusion(self) -> tuple[tuple[Estimate, ...], ...] | None:
        if self.num_classes > MAX_CONFUSION_CLASSES:
            return None
        cells, size = self.fractions[-(self.num_classes**2) :], self.num_classes
        return tuple(tuple(cells[row * size : (row + 1) * size]) for row in range(size))


def _by_class(predictions: Predictions, labels: Tensor | None) -> tuple[ClassScores, ...]:
    classes = predictions.teacher_class if labels is None else labels.cpu()
    columns = torch.cat([predictions.alike[:, None], predictions.right], dim=1).double()
    scores = []
    for number in range(predictions.num_classes):
        rows = columns[classes == number]
        found: list[Estimate | None] = [None, None, None]
        if len(rows):
            estimates = fractions_of(rows)
            found[: len(estimates)] = estimates
        scores.append(
            ClassScores(
                number=number,
                num_images=len(rows),
                agreement=found[0],
                teacher_accuracy=found[1],
                student_accuracy=found[2],
            )
        )
    return tuple(scores)
