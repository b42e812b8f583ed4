"""Examples of every form become the same examples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from beliefmatch.data.gather import gather_examples
from beliefmatch.errors import ExamplesError, WrongTypeError
from beliefmatch.networks.examples import Images, Inputs
from beliefmatch.networks.inputs import InputSpec

SPEC = InputSpec(shape=(3, 4, 5), mean=(0.5,) * 3, std=(0.2,) * 3, normalisation_from="user")
IMAGES = torch.randint(0, 256, (6, 4, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
INPUTS = SPEC.from_pixels(IMAGES)


class Pictures:
    """A data set without a transform: pictures of Pillow and Python's whole numbers."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Image.fromarray(IMAGES[index].numpy()), int(LABELS[index])


class Dictionaries(Pictures):
    """The same as Hugging Face's data sets give it."""

    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        return {"image": image, "label": label}


@pytest.mark.parametrize(
    "given",
    [
        (IMAGES, LABELS),
        (IMAGES.numpy(), LABELS.numpy()),
        (IMAGES, LABELS.tolist()),
        (IMAGES.permute(0, 3, 1, 2), LABELS),
        Pictures(),
        Dictionaries(),
        Images(images=IMAGES, labels=LABELS),
        DataLoader(TensorDataset(IMAGES, LABELS), batch_size=4),
    ],
    ids=["tensors", "arrays", "list of labels", "channels first", "pictures", "dictionaries", "examples", "loader"],
)
def test_pixels(given: Any) -> None:
    found = gather_examples(given, spec=SPEC)
    assert isinstance(found, Images)
    assert torch.equal(found.images, IMAGES)
    assert found.labels is not None
    assert torch.equal(found.labels, LABELS)


@pytest.mark.parametrize(
    "given",
    [
        (INPUTS, LABELS),
        (INPUTS.double().numpy(), LABELS),
        TensorDataset(INPUTS, LABELS),
        DataLoader(TensorDataset(INPUTS, LABELS), batch_size=4),
        list(DataLoader(TensorDataset(INPUTS, LABELS), batch_size=4)),
    ],
    ids=["tensors", "arrays", "data set", "loader", "batches"],
)
def test_network_inputs(given: Any) -> None:
    found = gather_examples(given, spec=SPEC)
    assert isinstance(found, Inputs)
    torch.testing.assert_close(found.inputs, INPUTS)
    assert torch.equal(found.needed_labels(), LABELS)


def test_labels_may_be_missing_or_given_beside() -> None:
    assert gather_examples(IMAGES, spec=SPEC).labels is None
    assert torch.equal(gather_examples(IMAGES, LABELS, spec=SPEC).needed_labels(), LABELS)
    assert gather_examples(DataLoader(TensorDataset(INPUTS), batch_size=4), spec=SPEC).labels is None


def test_labels_may_be_as_wide_as_inputs() -> None:
    spec = InputSpec(shape=(6,))
    inputs, labels = torch.randn(50, 6), torch.randn(50, 6)
    found = gather_examples((inputs, labels), spec=spec)
    assert len(found) == 50
    assert found.labels is not None
    assert torch.equal(found.labels, labels)
    with pytest.raises(ExamplesError, match="may be inputs and labels, or two batches: give inputs and labels as a tu"):
        gather_examples([inputs, labels], spec=spec)


def test_grey_images_need_no_axis_of_channels() -> None:
    spec = InputSpec(shape=(1, 4, 5))
    found = gather_examples(IMAGES[..., 0], spec=spec)
    assert isinstance(found, Images)
    assert found.images.shape == (6, 4, 5, 1)


def test_a_folder_with_one_folder_for_each_class_gives_labels(tmp_path: Path) -> None:
    for name, index in (("cat", 0), ("cat", 1), ("dog", 2)):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(IMAGES[index].numpy()).save(tmp_path / name / f"{index}.png")
    (tmp_path / "empty").mkdir()
    found = gather_examples(tmp_path, spec=SPEC)
    assert isinstance(found, Images)
    assert torch.equal(found.images, IMAGES[:3])
    assert found.needed_labels().tolist() == [0, 0, 1]
    flat = gather_examples(str(tmp_path / "cat"), spec=SPEC)
    assert len(flat) == 2
    assert flat.labels is None


def test_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=IMAGES.numpy(), labels=LABELS.numpy())
    assert torch.equal(gather_examples(tmp_path / "few.npz", spec=SPEC).needed_labels(), LABELS)


@pytest.mark.parametrize("given", [3, {"a": 1}, None])
def test_another_type_is_named(given: Any) -> None:
    with pytest.raises(WrongTypeError, match="expected a DataLoader or a Dataset"):
        gather_examples(given, spec=SPEC)


def test_nothing_and_half_labelled_examples_are_refused() -> None:
    with pytest.raises(ExamplesError, match="there are no examples"):
        gather_examples([], spec=SPEC)
    with pytest.raises(ExamplesError, match="1 of 2 items have no label"):
        gather_examples([(INPUTS[0], 1), (INPUTS[1],)], spec=SPEC)
    with pytest.raises(ExamplesError, match="differ in their shapes"):
        gather_examples([(INPUTS[0], 1), (INPUTS[1, :, :2], 1)], spec=SPEC)


def test_items_of_label_and_input_are_refused() -> None:
    swapped = list(zip(LABELS, INPUTS, strict=True))
    with pytest.raises(ExamplesError, match=r"an item has shape \(3, 4, 5\), .* give items as \(input, label\)"):
        gather_examples(swapped, spec=SPEC)
    with pytest.raises(ExamplesError):
        gather_examples(DataLoader(TensorDataset(LABELS, INPUTS), batch_size=4), spec=SPEC)
