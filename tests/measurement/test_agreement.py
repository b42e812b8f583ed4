"""A pair of networks on images, against scikit-learn and SciPy on the same answers."""

import io
from typing import Any

import pytest
import torch
from rich.console import Console
from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score
from torch import Tensor, nn

from beliefmatch.cli.tables import measurement_tables
from beliefmatch.errors import ExamplesError, NetworkError, SettingsError
from beliefmatch.measurement.agreement import Measurement, measure_pair
from beliefmatch.measurement.run import measure_networks
from beliefmatch.measurement.transition import TransitionPlan
from beliefmatch.networks.examples import Images
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import DIGITS
from labelled import measure_accuracy
from scipy_oracle import binned_calibration_error
from tiny import make_conv_teacher, make_seven_classes

RANDOM = torch.Generator().manual_seed(0)
IMAGES = torch.randint(256, (300, 8, 8, 1), generator=RANDOM, dtype=torch.uint8)
LABELS = torch.randint(9, (300,), generator=RANDOM)
"""No image has the last label."""
TEACHER = make_conv_teacher().eval()


def make_student() -> nn.Module:
    """The teacher with noise on its weights, so that the two agree on some of the images."""
    random = torch.Generator().manual_seed(1)
    network = make_conv_teacher().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return network


STUDENT = make_student()


def measured(labels: Tensor | None = LABELS, **settings: Any) -> Measurement:
    return measure_pair(TEACHER, STUDENT, DIGITS, IMAGES, labels, batch_size=77, num_resamples=200, **settings)


@torch.no_grad()
def logits(network: nn.Module) -> Tensor:
    return network(DIGITS.from_pixels(IMAGES))


def test_every_number_is_that_of_the_oracles() -> None:
    found = measured()
    classes = [logits(network).argmax(dim=1) for network in (TEACHER, STUDENT)]
    for network, scores in ((TEACHER, found.teacher), (STUDENT, found.student)):
        assert scores is not None
        assert scores.top5 is not None
        answers = logits(network)
        assert scores.top1.value == pytest.approx(accuracy_score(LABELS, answers.argmax(dim=1)))
        top5 = top_k_accuracy_score(LABELS, answers, k=5, labels=range(10))
        assert scores.top5.value == pytest.approx(top5)
        error = binned_calibration_error(answers, LABELS)
        assert scores.calibration_error.value == pytest.approx(error, abs=1e-6)
    assert found.agreement.value == pytest.approx(accuracy_score(*classes))
    beliefs = [logits(network).double().softmax(dim=1) for network in (TEACHER, STUDENT)]
    divergence = (beliefs[0] * (beliefs[0] / beliefs[1]).log()).sum(dim=1).mean()
    assert found.divergence.value == pytest.approx(float(divergence), rel=1e-5)
    assert found.confusion is not None
    expected = torch.from_numpy(confusion_matrix(*classes, labels=range(10))) / 300
    cells = torch.tensor([[cell.value for cell in row] for row in found.confusion])
    torch.testing.assert_close(cells, expected.float(), atol=1e-6, rtol=0)


def test_each_class_counts_its_own_images() -> None:
    found = measured()
    assert [scores.num_images for scores in found.classes] == LABELS.bincount(minlength=10).tolist()
    right = logits(TEACHER).argmax(dim=1) == LABELS
    for scores in found.classes[:9]:
        assert scores.teacher_accuracy is not None
        assert scores.teacher_accuracy.value == pytest.approx(float(right[scores.number == LABELS].double().mean()))
    assert (found.classes[9].num_images, found.classes[9].agreement, found.classes[9].teacher_accuracy) == (
        0,
        None,
        None,
    )


def test_every_value_lies_in_its_interval() -> None:
    found = measured()
    assert found.teacher is not None
    assert found.confusion is not None
    cells = [cell for row in found.confusion for cell in row]
    for estimate in (found.agreement, found.divergence, found.teacher.top1, found.teacher.calibration_error, *cells):
        assert estimate.low <= estimate.value <= estimate.high


def test_without_labels_agreement_is_measured_and_accuracy_is_not() -> None:
    labelled, bare = measured(), measured(None)
    assert (bare.teacher, bare.student, bare.teacher_accuracy) == (None, None, None)
    assert bare.agreement == labelled.agreement
    assert bare.divergence == labelled.divergence
    assert bare.confusion == labelled.confusion
    counts = logits(TEACHER).argmax(dim=1).bincount(minlength=10).tolist()
    assert [scores.num_images for scores in bare.classes] == counts
    assert all(scores.teacher_accuracy is None for scores in bare.classes)


def test_the_batch_size_changes_nothing() -> None:
    assert measure_pair(TEACHER, STUDENT, DIGITS, IMAGES, LABELS, num_resamples=200) == measured()


def test_many_classes_have_no_table_of_confusions() -> None:
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 60))
    found = measure_pair(wide, wide, DIGITS, IMAGES, LABELS, num_resamples=20)
    assert found.confusion is None
    assert len(found.classes) == 60


def test_few_classes_have_no_top_five() -> None:
    narrow = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    found = measure_pair(narrow, narrow, DIGITS, IMAGES, LABELS % 4, num_resamples=20)
    assert found.student is not None
    assert found.student.top5 is None


@pytest.mark.parametrize("guided_by", ["student", "teacher"])
def test_transition_curves_are_walked_where_they_are_asked_for(guided_by: Any) -> None:
    curves = measured(transition=TransitionPlan(num_images=3, num_steps=2, guided_by=guided_by)).transition
    assert curves is not None
    assert curves.guided_by == guided_by
    assert curves.guide.shape == (3, 9, 2)


def test_fewer_agreeing_images_than_asked_for_are_counted() -> None:
    alike = int((logits(TEACHER).argmax(dim=1) == logits(STUDENT).argmax(dim=1)).sum())
    with pytest.raises(ExamplesError, match=rf"300 examples .* were asked for; there are {alike}: ask for fewer"):
        measured(transition=TransitionPlan(num_images=300))


def test_a_transition_plan_out_of_range_is_refused() -> None:
    with pytest.raises(SettingsError, match="num_images of transition curves must be above 0"):
        TransitionPlan(num_images=0)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.float(), LABELS, "dtype float32, expected uint8"),
        (IMAGES[0], LABELS, r"shape \(8, 8, 1\), expected"),
        (IMAGES, LABELS[:5], r"labels have shape \(5,\), expected \(300,\)"),
        (IMAGES, LABELS + 2, "there is a label 10, but the network knows classes 0 to 9"),
        (IMAGES, LABELS - 1, "labels go down to -1"),
        (IMAGES, LABELS.float(), "labels are floating-point numbers, expected integers"),
        (IMAGES[:, :4], LABELS, "images are 4x8, the network takes 8x8"),
        (IMAGES.expand(-1, -1, -1, 3), LABELS, "images have 3 channels, the network takes 1"),
    ],
)
def test_images_that_do_not_fit_are_refused(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(ExamplesError, match=message):
        Images(images=images, labels=labels).check_fit(DIGITS, 10)


def test_images_for_vectors_are_refused() -> None:
    with pytest.raises(ExamplesError, match="which images cannot give"):
        Images(images=IMAGES, labels=LABELS).check_fit(InputSpec(shape=(64,)), 10)


def test_networks_of_other_classes_are_refused() -> None:
    from beliefmatch.measurement.run import measure_networks  # noqa: PLC0415

    with pytest.raises(NetworkError, match="the teacher knows 10 classes and the student 7"):
        measure_networks(make_conv_teacher(), make_seven_classes(), DIGITS, IMAGES, LABELS, accelerator="cpu")


def test_images_are_streamed_and_never_held_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[int] = []
    from_pixels = InputSpec.from_pixels

    def watched(spec: InputSpec, pixels: Tensor) -> Tensor:
        converted.append(len(pixels))
        return from_pixels(spec, pixels)

    monkeypatch.setattr(InputSpec, "from_pixels", watched)
    found = measured()
    assert measure_accuracy(TEACHER, DIGITS, IMAGES, LABELS, batch_size=77) == found.teacher_accuracy
    assert max(converted) == 77
    # Sixteen images show first what the networks return.
    assert sum(converted) == 2 * len(IMAGES) + 16


def test_no_fraction_has_an_interval_of_width_zero() -> None:
    found = measure_pair(TEACHER, TEACHER, DIGITS, IMAGES[:54], logits(TEACHER)[:54].argmax(dim=1))
    assert found.teacher is not None
    assert found.teacher.top5 is not None
    assert found.confusion is not None
    by_class = [scores.agreement for scores in found.classes if scores.agreement is not None]
    cells = [cell for row in found.confusion for cell in row]
    for fraction in (found.agreement, found.teacher.top1, found.teacher.top5, *by_class, *cells):
        assert fraction.low < fraction.high
    assert (round(found.agreement.low, 3), found.agreement.high) == (0.934, 1.0)


class Constant(nn.Module):
    """Gives the first of ten classes a probability of .958, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.958, *[0.042 / 9] * 9]).log())

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.expand(len(x), -1)


@pytest.mark.parametrize(
    ("label", "value", "low", "high"),
    # Of 50 examples that are all right Wilson's interval is .9287 to 1, and 0 to .0713 of as many that are wrong.
    [(0, 0.042, 0.0, 0.042), (1, 0.958, 0.8867, 0.958)],
    ids=("all right", "none right"),
)
def test_a_calibration_error_without_any_spread_has_an_interval(
    label: int, value: float, low: float, high: float
) -> None:
    network, labels = Constant(), torch.full((50,), label)
    found = measure_pair(network, network, DIGITS, IMAGES[:50], labels).teacher
    assert found is not None
    error = found.calibration_error
    assert (error.value, error.low, error.high) == pytest.approx((value, low, high), abs=1e-4)
    error = found.debiased_calibration_error
    assert error.low < error.high
    few = measure_pair(network, network, DIGITS, IMAGES[:50], torch.cat([labels[1:], 1 - labels[:1]])).teacher
    assert few is not None
    assert few.calibration_error.low < few.calibration_error.high


def test_a_calibration_error_near_0_by_chance_has_an_interval() -> None:
    # 66 of 101 are right, and the network is as sure as that: nearly all resampled errors are larger.
    sure = torch.tensor([0.655, *[0.345 / 9] * 9])
    network, labels = Constant(), (torch.arange(101) >= 66).long()
    with torch.no_grad():
        network.logits.copy_(sure.log())
    found = measure_pair(network, network, DIGITS, IMAGES[:101], labels).teacher
    assert found is not None
    error = found.calibration_error
    assert error.value == pytest.approx(0.655 - 66 / 101, abs=1e-6)
    # Wilson's interval of 66 of 101 is .5568 to .7388.
    assert error.low <= error.value
    assert error.high == pytest.approx(0.655 - 0.5568, abs=1e-3)


def test_no_divergence_is_below_0() -> None:
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(2)]
    with torch.no_grad():
        for parameter in [*networks[0].parameters(), *networks[1].parameters()]:
            parameter.mul_(1e-6)
    found = measure_pair(networks[0], networks[1], DIGITS, IMAGES[:50]).divergence
    assert 0 <= found.low <= found.value <= found.high < 1e-6


def test_one_example_has_no_interval_of_means(caplog: pytest.LogCaptureFixture) -> None:
    for count in (2, 1):
        assert not caplog.messages
        measure_networks(TEACHER, STUDENT, DIGITS, IMAGES[:count], LABELS[:count], accelerator="cpu")
    assert caplog.messages == [
        "one example does not show how others vary: intervals of means, such as KL's, have no width"
    ]


def test_which_intervals_they_are_stands_beside() -> None:
    found = measured()
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(*measurement_tables(found))
    assert "Wilson's of fractions, bootstrap of means" in " ".join(console.export_text().split())
