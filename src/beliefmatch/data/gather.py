"""Examples in whatever form a caller has them: a loader, a data set, tensors, arrays, a folder or a file."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from beliefmatch.data.images import IMAGE_SUFFIXES, read_examples, read_image_folder
from beliefmatch.errors import ExamplesError, WrongTypeError
from beliefmatch.networks.examples import AbstractExamples, Images, Inputs
from beliefmatch.networks.inputs import InputSpec

logger = logging.getLogger(__name__)

INPUT_KEYS = ("inputs", "pixel_values", "images", "image", "img", "x")
LABEL_KEYS = ("labels", "label", "y")
"""Keys under which items of a data set hold input and label, where they are dictionaries."""
EXPECTED = (
    "expected a DataLoader or a Dataset of (input, label), tensors or arrays (inputs, labels), a folder of images, or "
    "an .npz file"
)


def gather_examples(given: Any, labels: Any = None, *, spec: InputSpec) -> AbstractExamples:
    """Return examples of any form as networks are measured on them.

    Whole numbers of 8 bits are pixels, which are normalised as the networks need; other numbers are network inputs,
    already normalised. Labels are optional.

    Args:
        given: `Images` or `Inputs`; a DataLoader, a Dataset with `__getitem__` and `__len__`, or a list of batches,
            each of inputs, of (input, label) or of dictionaries; a tensor or an array, (n, *spec.shape) numbers,
            (n, height, width, channels) uint8 or (n, channels, height, width) uint8; a pair of these and
            labels, a tuple where both have one shape; a folder of image files, in one folder for each class if they
            have labels; or an .npz file, see `read_examples`.
        labels: (n,) integers from 0, of a tensor or an array alone; (n, labels) zeros and ones for a multi-label
            network, and (n,) or (n, outputs) numbers for a regression.
        spec: of the networks' inputs.

    Raises:
        ExamplesError: they cannot be read, or are not as above.
        WrongTypeError: they are of another type.
    """
    if labels is None and isinstance(given, list | tuple) and len(given) == 2 and _is_pair(given):
        given, labels = given
    if isinstance(given, Tensor | np.ndarray):
        return _of_tensors(_tensor(given), None if labels is None else _tensor(labels), spec)
    if labels is not None:
        raise WrongTypeError(f"labels go with a tensor or an array of inputs, not with a {type(given).__name__}")
    if isinstance(given, AbstractExamples):
        return given
    if isinstance(given, str | Path):
        path = Path(given)
        return _read_folder(path, spec) if path.is_dir() else read_examples(path)
    if isinstance(given, DataLoader):
        return _join([_split(batch) for batch in given], spec)
    if hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, Mapping):
        items = [_split(given[index]) for index in range(len(given))]
        if items and all(inputs.ndim > len(spec.shape) for inputs, _ in items):
            return _join(items, spec)
        return _join([(one[None], None if label is None else _label_of_one(label)) for one, label in items], spec)
    raise WrongTypeError(f"examples are a {type(given).__name__}; {EXPECTED}")


def _is_pair(given: Any) -> bool:
    """Whether two things are inputs and labels rather than two examples.

    Raises:
        ExamplesError: they may be either.
    """
    inputs, labels = given
    both = isinstance(inputs, Tensor | np.ndarray) and isinstance(labels, Tensor | np.ndarray | list | tuple)
    if not both or len(inputs) != len(labels) or np.ndim(labels) not in (1, 2):
        return False
    if np.ndim(labels) == 2 and np.shape(labels) == np.shape(inputs) and isinstance(given, list):
        shape = tuple(np.shape(inputs))
        raise ExamplesError(
            f"a list of two arrays of shape {shape} may be inputs and labels, or two batches: give inputs and labels "
            "as a tuple, and batches joined into one array"
        )
    return True


def _tensor(value: Any) -> Tensor:
    """Return numbers, or a picture of Pillow, as a tensor on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    try:
        return torch.from_numpy(np.array(value))
    except TypeError as error:
        raise ExamplesError(f"examples hold a {type(value).__name__}, which is no number; {EXPECTED}") from error


def _split(item: Any) -> tuple[Tensor, Tensor | None]:
    """Return input and label of an item of a data set, or of a batch."""
    if isinstance(item, Mapping):
        found = next((item[key] for key in INPUT_KEYS if key in item), None)
        if found is None:
            raise ExamplesError(f"items have the keys {', '.join(map(str, item))}; expected one of {INPUT_KEYS}")
        label = next((item[key] for key in LABEL_KEYS if key in item), None)
    elif isinstance(item, list | tuple):
        found, label = item[0], item[1] if len(item) > 1 else None
    else:
        found, label = item, None
    return _tensor(found), None if label is None else _tensor(label)


def _label_of_one(label: Tensor) -> Tensor:
    """Return the label of one item, (), or its labels or numbers, (labels,), as those of a batch of one."""
    if label.ndim > 1:
        raise ExamplesError(
            f"the second part of an item has shape {tuple(label.shape)}, and is its label, a number or one for each "
            "output: give items as (input, label)"
        )
    return label[None]


def _join(parts: Iterable[tuple[Tensor, Tensor | None]], spec: InputSpec) -> AbstractExamples:
    parts = list(parts)
    if not parts:
        raise ExamplesError(f"there are no examples; {EXPECTED}")
    labels = [label for _, label in parts if label is not None]
    if labels and len(labels) < len(parts):
        raise ExamplesError(f"{len(parts) - len(labels)} of {len(parts)} items have no label")
    if len({part.shape[1:] for part, _ in parts}) > 1:
        raise ExamplesError("examples differ in their shapes: give the data set a transform that resizes them")
    return _of_tensors(torch.cat([part for part, _ in parts]), torch.cat(labels) if labels else None, spec)


def _of_tensors(inputs: Tensor, labels: Tensor | None, spec: InputSpec) -> AbstractExamples:
    if inputs.dtype != torch.uint8:
        return Inputs(inputs=inputs, labels=labels)
    if spec.is_made_of_pixels:
        if inputs.dim() == 3 and spec.shape[0] == 1:
            inputs = inputs[..., None]
        elif inputs.dim() == 4 and inputs.shape[-1] != spec.shape[0] == inputs.shape[1]:
            inputs = inputs.permute(0, 2, 3, 1)
    return Images(images=inputs, labels=labels)


def _read_folder(path: Path, spec: InputSpec) -> Images:
    """Read a folder of images; where all lie in folders within it, these are the classes, in the order of names."""
    folders = sorted(each for each in path.iterdir() if each.is_dir() and _holds_images(each))
    loose = any(each.suffix.lower() in IMAGE_SUFFIXES for each in path.iterdir() if each.is_file())
    if not folders or loose:
        return read_image_folder(path, shape=spec.shape)
    parts = [read_image_folder(folder, shape=spec.shape) for folder in folders]
    counts = torch.tensor([len(part) for part in parts])
    labels = torch.arange(len(parts)).repeat_interleave(counts)
    logger.info("classes by folder: %s", ", ".join(f"{index} {each.name}" for index, each in enumerate(folders)))
    return Images(images=torch.cat([part.images for part in parts]), labels=labels, name=path.name)


def _holds_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in folder.rglob("*"))
