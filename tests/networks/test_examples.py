"""Examples as stored, and as networks take them."""

import pytest
import torch
from torch import Tensor

from beliefmatch.errors import ExamplesError
from beliefmatch.networks.examples import Images, Inputs, LabelledImages, examples_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import DIGITS

RANDOM = torch.Generator().manual_seed(0)
PIXELS = torch.randint(256, (5, 8, 8, 1), generator=RANDOM, dtype=torch.uint8)
VECTORS = torch.randn(5, 3, generator=RANDOM)
VECTOR = InputSpec(shape=(3,))


def test_images_are_normalised_and_inputs_are_not() -> None:
    rows = slice(1, 3)
    assert torch.equal(Images(images=PIXELS).to_inputs(DIGITS, rows), DIGITS.from_pixels(PIXELS[rows]))
    assert torch.equal(Inputs(inputs=VECTORS).to_inputs(VECTOR, rows), VECTORS[rows])


def test_images_in_network_form_are_what_pixels_become() -> None:
    inputs = Inputs(inputs=DIGITS.from_pixels(PIXELS))
    inputs.check_fit(DIGITS, 10)
    assert torch.equal(inputs.to_inputs(DIGITS), Images(images=PIXELS).to_inputs(DIGITS))
    assert torch.equal(inputs.to_pixels(DIGITS), PIXELS)


def test_a_tensor_is_taken_by_its_type() -> None:
    assert isinstance(examples_of(PIXELS), Images)
    assert isinstance(examples_of(VECTORS.double(), torch.arange(5)), Inputs)
    assert isinstance(examples_of(VECTORS.long()), Inputs)
    given = Inputs(inputs=VECTORS, name="file.npz")
    assert examples_of(given) is given
    assert examples_of(given, name="other").name == "other"
    with pytest.raises(ExamplesError, match="bring their own labels"):
        examples_of(given, torch.arange(5))


@pytest.mark.parametrize(
    ("inputs", "shape", "message"),
    [
        (torch.zeros(2, 4), (3,), r"inputs have shape \(n, 4\), the network takes \(n, 3\)$"),
        (torch.zeros(2, 3, 9), (3, 8), r"inputs have shape \(n, 3, 9\), the network takes \(n, 3, 8\)$"),
        (torch.zeros(2, 8, 8, 1), (1, 8, 8), r"the network takes \(n, 1, 8, 8\) \(images channels first; they are not"),
    ],
)
def test_inputs_of_another_shape_are_refused(inputs: Tensor, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ExamplesError, match=message):
        Inputs(inputs=inputs).check_shape(InputSpec(shape=shape), resize=True)
    with pytest.raises(ExamplesError, match=message):
        Inputs(inputs=inputs).to_inputs(InputSpec(shape=shape))


def test_images_for_vectors_are_refused_with_what_to_store_instead() -> None:
    with pytest.raises(ExamplesError, match=r"which images cannot give: store an array inputs \(n, 3\)"):
        Images(images=PIXELS).check_shape(VECTOR)


def test_labels_that_a_network_cannot_give_are_refused() -> None:
    with pytest.raises(ExamplesError, match="there is a label 4, but the network knows classes 0 to 3 only"):
        Inputs(inputs=VECTORS, labels=torch.arange(5)).check_fit(VECTOR, 4)


def test_labels_that_are_needed_are_asked_for() -> None:
    assert Inputs(inputs=VECTORS, labels=torch.arange(5)).needed_labels().tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ExamplesError, match=r"x\.npz has no array 'labels', and labels are needed"):
        Inputs(inputs=VECTORS, name="x.npz").needed_labels()
    with pytest.raises(TypeError, match="labels"):
        LabelledImages(images=PIXELS)  # pyright: ignore[reportCallIssue]
