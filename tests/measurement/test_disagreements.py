"""The images that a measurement keeps, since the two networks give different classes to them."""

import base64
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from beliefmatch.measurement.agreement import Measurement, measure_pair
from beliefmatch.measurement.disagreements import MAX_KEPT, MAX_SIDE, encode_png, find_disagreements
from beliefmatch.measurement.predictions import predict
from beliefmatch.networks.examples import AbstractExamples, Images, Inputs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.normalisation import DIGITS
from tiny import make_conv_teacher

IMAGES = torch.randint(256, (300, 8, 8, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(300) % 10


def make_other(amount: float) -> nn.Module:
    """The teacher with noise on its weights."""
    random = torch.Generator().manual_seed(1)
    network = make_conv_teacher().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(amount * torch.randn(parameter.shape, generator=random))
    return network


TEACHER, STUDENT = make_conv_teacher().eval(), make_other(0.5)


def measured(examples: AbstractExamples | Tensor = IMAGES, student: nn.Module = STUDENT, **given: Any) -> Measurement:
    return measure_pair(TEACHER, student, DIGITS, examples, num_resamples=10, **given)


def pixels_of(png: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(png)), formats=("PNG",)) as image:
        return np.asarray(image)


def test_each_is_an_image_to_which_the_two_give_those_classes() -> None:
    found = measured(labels=LABELS).disagreements
    logits = [network(DIGITS.from_pixels(IMAGES)) for network in (TEACHER, STUDENT)]
    classes = [each.argmax(dim=1).tolist() for each in logits]
    assert len(found) == MAX_KEPT == 24
    for each in found:
        assert (each.teacher_class, each.student_class) == tuple(given[each.position] for given in classes)
        assert each.teacher_class != each.student_class
        assert each.label == LABELS[each.position]
        assert (pixels_of(each.png) == IMAGES[each.position, ..., 0].numpy()).all()


def test_those_with_the_largest_divergence_come_first() -> None:
    predictions = predict(TEACHER, STUDENT, DIGITS, Images(images=IMAGES), batch_size=100)
    divergences = predictions.divergence[~predictions.alike].sort(descending=True).values[:MAX_KEPT]
    found = [float(predictions.divergence[each.position]) for each in measured().disagreements]
    assert found == divergences.tolist()


def test_networks_that_agree_leave_none_and_labels_may_be_missing() -> None:
    assert measured(student=TEACHER).disagreements == ()
    assert {each.label for each in measured().disagreements} == {None}


def test_inputs_that_are_made_of_pixels_are_shown_as_pixels() -> None:
    inputs = Inputs(inputs=DIGITS.from_pixels(IMAGES))
    first = measured(inputs).disagreements[0]
    assert (pixels_of(first.png) == IMAGES[first.position, ..., 0].numpy()).all()


@pytest.mark.parametrize("shape", [(8,), (2, 8, 8)])
def test_what_is_no_image_is_not_kept(shape: tuple[int, ...]) -> None:
    predictions = predict(TEACHER, STUDENT, DIGITS, Images(images=IMAGES), batch_size=100)
    spec = InputSpec(shape=shape)
    assert find_disagreements(predictions, Inputs(inputs=torch.zeros(300, *shape)), spec) == ()


def test_a_large_image_is_shrunk_and_keeps_its_colours_and_its_form() -> None:
    large = np.zeros((200, 400, 3), dtype=np.uint8)
    large[..., 0] = 200
    found = pixels_of(encode_png(large))
    assert found.shape == (MAX_SIDE // 2, MAX_SIDE, 3)
    assert found[5, 5].tolist() == [200, 0, 0]
