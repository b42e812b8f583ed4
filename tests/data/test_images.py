"""Reading examples: images or network inputs of any shape, with labels or without, and what a file may not hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beliefmatch.data.gather import gather_examples
from beliefmatch.data.images import read_examples, read_images
from beliefmatch.errors import BeliefMatchError, ExamplesError
from beliefmatch.networks.examples import Images, Inputs, LabelledImages
from beliefmatch.networks.inputs import InputSpec

PIXELS = np.zeros((4, 8, 8, 1), np.uint8)
FEATURES = np.arange(12.0).reshape(4, 3)
LABELS = np.array([0, 1, 2, 1], np.uint8)


def stored(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "some.npz", **arrays)
    return folder / "some.npz"


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.uint8, np.int16, np.int64])
def test_features_of_any_number_type_are_read_as_float32(tmp_path: Path, kind: Any) -> None:
    data = read_examples(stored(tmp_path, inputs=FEATURES.astype(kind), labels=LABELS))
    assert isinstance(data, Inputs)
    assert data.name == "some.npz"
    assert data.labels is not None
    assert data.labels.dtype == torch.int64
    assert torch.equal(data.stored, torch.from_numpy(FEATURES).float())


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 33), (4, 3, 8, 9), (4, 1)])
def test_inputs_have_any_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = read_examples(stored(tmp_path, inputs=np.ones(shape, np.float32)))
    assert (tuple(data.stored.shape), data.labels) == (shape, None)


def test_images_are_read_as_before(tmp_path: Path) -> None:
    bare, labelled = read_examples(stored(tmp_path, images=PIXELS)), tmp_path / "labelled"
    assert type(bare) is Images
    labelled.mkdir()
    path = stored(labelled, images=PIXELS, labels=LABELS)
    assert isinstance(read_images(path), LabelledImages)


NAN, INF = FEATURES.copy(), FEATURES.copy()
NAN[2, 1], INF[1:3, 0] = np.nan, np.inf


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": NAN}, "1 of 4 inputs have values that are not finite in float32, the first in row 2"),
        ({"inputs": INF}, "2 of 4 inputs have values that are not finite in float32, the first in row 1"),
        ({"inputs": 1e300 * np.ones((2, 3))}, "2 of 2 inputs have values that are not finite in float32"),
        ({"inputs": FEATURES[:, 0]}, r"inputs have shape \(4,\), expected \(n, \*shape\), such as \(n, features\)"),
        ({"inputs": FEATURES[:0]}, "there are no inputs"),
        ({"inputs": FEATURES > 1}, "inputs have dtype bool, expected floats, or integers"),
        ({"inputs": FEATURES + 1j}, "inputs have dtype complex128, expected floats, or integers"),
        ({"inputs": FEATURES.astype(str)}, "inputs have dtype .*, expected numbers"),
        ({"inputs": FEATURES, "images": PIXELS}, "has both 'images' and 'inputs': leave one out"),
        ({"features": FEATURES}, r"has no array 'images' or 'inputs' \(it has \['features'\]\); expected an .npz with"),
        (
            {"inputs": FEATURES, "labels": LABELS[:3]},
            r"labels have shape \(3,\), expected \(4,\), one for each example",
        ),
        ({"inputs": FEATURES, "labels": np.full(4, np.nan)}, "labels have values that are not finite"),
        ({"inputs": FEATURES, "labels": FEATURES[None]}, r"labels have shape \(1, 4, 3\), expected \(4,\)"),
        ({"inputs": FEATURES, "labels": LABELS.astype(int) - 1}, "labels go down to -1, expected 0 and above"),
        ({"images": FEATURES}, r"images have dtype float64, .* go into an array inputs"),
        ({"images": FEATURES.astype(np.uint8)}, r"images have shape \(4, 3\), .* give them as floats"),
    ],
)
def test_what_does_not_serve_is_told(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(ExamplesError, match=f"some.npz:? .*{message}"):
        read_examples(stored(tmp_path, **arrays))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError, match=r"no file at .*none.npz; expected an .npz with"):
        read_examples(tmp_path / "none.npz")


def test_where_images_are_needed_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BeliefMatchError, match="has an array 'inputs' where 'images' are needed"):
        read_images(stored(tmp_path, inputs=FEATURES))


@pytest.mark.parametrize("kind", [np.bool_, np.complex64])
@pytest.mark.parametrize("form", ["file", "arrays"])
def test_labels_that_are_no_integers_are_refused(tmp_path: Path, form: str, kind: Any) -> None:
    labels = np.array([0, 1, 0, 1]).astype(kind)
    name = np.dtype(kind).name
    given = (FEATURES, labels) if form == "arrays" else stored(tmp_path, inputs=FEATURES, labels=labels)
    with pytest.raises(ExamplesError, match=f"labels have dtype {name}, expected integers"):
        gather_examples(given, spec=InputSpec(shape=(3,)))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.int64])
def test_labels_of_any_integers_become_int64(tmp_path: Path, kind: Any) -> None:
    labels = np.array([0, 1, 200, 1]).astype(kind)
    for data in (
        read_examples(stored(tmp_path, images=PIXELS, labels=labels)),
        gather_examples(FEATURES, labels, spec=InputSpec(shape=(3,))),
    ):
        assert data.labels is not None
        assert data.labels.dtype == torch.int64
        assert data.labels.tolist() == [0, 1, 200, 1]
