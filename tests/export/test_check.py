"""When a file agrees, and what both sides are given."""

import pytest
import torch

from beliefmatch.errors import ExamplesError, ExportError
from beliefmatch.export.check import LOGIT_TOLERANCE, both_inputs, check_examples_fit, compare
from beliefmatch.export.graph import Pixels
from beliefmatch.networks.examples import Images, Inputs
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.tasks import TASKS
from beliefmatch.runs.schema.run import StudentMetadata

STUDENT = StudentMetadata(
    architecture="convnet_4",
    plan=None,
    quantization=None,
    num_classes=10,
    task="single_label",
    outputs=None,
    output=None,
    inputs={},
    weights="",
    sha256="",
    made_sha256="",
    how_to_load="",
)
TOLD = torch.tensor([[3.0, 1.0, 0.0], [0.0, 20.0, 1.0], [1.0, 2.0, 3.0]])


def test_rounding_is_forgiven() -> None:
    found = compare(TOLD, TOLD + 1e-5, name="noise", labels=torch.tensor([0, 1, 0]))
    assert (found.num_examples, found.largest_logit, found.agreement) == (3, 20.0, 1.0)
    assert found.max_logit_difference == pytest.approx(1e-5, rel=0.2)
    assert found.accuracy == found.student_accuracy == pytest.approx(2 / 3)


def test_logits_that_grow_are_measured_by_the_largest() -> None:
    compare(TOLD, TOLD + 0.9 * 20 * LOGIT_TOLERANCE, name="noise")
    with pytest.raises(ExportError, match=r"on noise: a logit differs by 0.022 \(logits go up to 20\)"):
        compare(TOLD, TOLD + 1.1 * 20 * LOGIT_TOLERANCE, name="noise")


def test_log_odds_are_compared_as_exactly_as_probabilities_near_1_are_held() -> None:
    """A step of 32 bits below 1 moves a log-odds of 15.94 by 0.69, and one of 3 by next to nothing."""
    below = 1 - 2.0**-23
    first, second = (torch.tensor([[each, 0.5]]).logit() for each in (below, below + 2.0**-24))
    assert float((first - second).abs().max()) > 0.6
    with pytest.raises(ExportError, match=r"a logit differs by 0\.693"):
        compare(first, second, name="noise", task=TASKS["multi_label"])
    compare(first, second, name="noise", task=TASKS["multi_label"], are_of_sigmoid=True)
    with pytest.raises(ExportError, match=r"a logit differs by 0\.1"):
        compare(first, first - torch.tensor([[0.0, 0.1]]), name="noise", task=TASKS["multi_label"], are_of_sigmoid=True)


def test_another_class_is_refused_unless_both_are_as_likely() -> None:
    near = torch.tensor([[0.0, 2e-4, -1.0]])
    with pytest.raises(ExportError, match=r"0.00 % of classes agree; nothing was left"):
        compare(near, near.flip(1).roll(-1, 1), name="noise")
    tie = torch.tensor([[0.0, 2e-6, -1.0]])
    assert compare(tie, tie.flip(1).roll(-1, 1), name="noise").agreement == 1.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_never_agrees(bad: float) -> None:
    answered = TOLD.clone()
    answered[0, 0] = bad
    with pytest.raises(ExportError):
        compare(TOLD, answered, name="noise")


@pytest.mark.parametrize("pixels", ["uint8", "unit"])
def test_both_sides_get_the_same_pixels(pixels: Pixels) -> None:
    inputs = 2 * torch.randn(4, 1, 8, 8)
    student, file = both_inputs(Inputs(inputs=inputs), DIGITS, pixels)
    unit = file.float() / 255 if pixels == "uint8" else file
    assert file.dtype == (torch.uint8 if pixels == "uint8" else torch.float32)
    assert torch.allclose(unit, DIGITS.to_pixels(inputs), atol=0.51 / 255)
    assert torch.allclose(DIGITS.to_pixels(student), unit, atol=1e-6)


def test_without_pixels_pseudo_inputs_stay_as_they_are() -> None:
    inputs = 9 * torch.randn(4, 1, 8, 8)
    assert all(torch.equal(side, inputs) for side in both_inputs(Inputs(inputs=inputs), DIGITS, None))


def test_images_are_not_resized() -> None:
    with pytest.raises(ExamplesError, match="images are 9x8, an exported file takes 8x8 and resizes none"):
        check_examples_fit(Images(images=torch.zeros(2, 9, 8, 1, dtype=torch.uint8)), DIGITS, STUDENT)


def test_labels_agree_one_by_one() -> None:
    labels = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 0]])
    found = compare(TOLD - 0.5, TOLD - 0.5 + 1e-6, name="noise", labels=labels, task=TASKS["multi_label"])
    assert (found.agreement, found.accuracy) == (1.0, pytest.approx(7 / 9))
    flipped = torch.where(TOLD == 1.0, -1e-3, TOLD)
    with pytest.raises(ExportError, match=r"66.67 % of labels agree"):
        compare(torch.where(TOLD == 1.0, 1e-3, TOLD), flipped, name="noise", task=TASKS["multi_label"])


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_numbers_agree_in_any_unit(unit: float) -> None:
    """A tolerance for logits would let any small number through, and no large one."""
    numbers = unit * TOLD
    task = TASKS["regression"]
    found = compare(numbers, numbers * (1 + 1e-6), name="noise", labels=numbers, task=task)
    assert (found.agreement, found.accuracy) == (1.0, None)
    with pytest.raises(ExportError, match=r"a number differs by .* % of numbers agree"):
        compare(numbers, numbers + 0.1 * unit, name="noise", task=task)
    small = numbers.clone()
    small[:, 0] *= 1e-4
    with pytest.raises(ExportError, match="of numbers agree"):
        compare(small, torch.cat([2 * small[:, :1], small[:, 1:]], dim=1), name="noise", task=task)
