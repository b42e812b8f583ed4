"""Examples from a file, or images from a folder, with or without labels."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from beliefmatch.errors import BeliefMatchError, ExamplesError, first_line
from beliefmatch.networks.examples import AbstractExamples, Images, Inputs, LabelledImages
from beliefmatch.paths import as_path
from beliefmatch.runs.arrays import names_in, read_arrays

COLOURS = {1: "L", 3: "RGB"}
"""Pillow's name of the mode, by number of channels."""
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
"""Pillow's names of what is read, whatever a file's name says: for some others it starts programs."""
MAX_PIXELS = 8 * 10**7
"""Of an image file."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")

EXPECTED = (
    "expected an .npz with an array images (n, height, width, channels) uint8, or an array inputs (n, *shape) of "
    "numbers that are network inputs already, and where there are labels an array labels (n,) integers"
)


def read_examples(path: Path | str) -> AbstractExamples:
    """Read an .npz file with an array `images` or `inputs` and, if it has one, `labels`; pickles are refused.

    Args:
        path: of the file. `images` are (n, height, width, channels), uint8; `inputs` are (n, *shape), of any floating
            type or integers, as the network takes them.

    Returns:
        `Images` (`LabelledImages` where there are labels) or `Inputs`, by the name of the file.

    Raises:
        ExamplesError: the file is missing or damaged, or an array is missing, one too many, or has another dtype or
            shape, or a value that is not finite.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from beliefmatch import read_examples
        >>> np.savez("test.npz", images=np.zeros((2, 8, 8, 1), np.uint8), labels=np.array([3, 1]))
        >>> examples = read_examples(Path("test.npz"))
        >>> type(examples).__name__, len(examples), examples.labels
        ('LabelledImages', 2, tensor([3, 1]))
    """
    path = as_path(path, "path")
    arrays = _read_arrays(path)
    try:
        tensors = {name: _tensor(array, name) for name, array in arrays.items()}
        labels = tensors.get("labels")
        if "inputs" in tensors:
            return Inputs(inputs=tensors["inputs"], labels=labels, name=path.name)
        if labels is None:
            return Images(images=tensors["images"], name=path.name)
        return LabelledImages(images=tensors["images"], labels=labels, name=path.name)
    except ExamplesError as error:
        raise ExamplesError(f"{path}: {error}") from error


def _read_arrays(path: Path) -> dict[str, Any]:
    """Read the arrays of examples, and check that there are inputs of one kind."""
    if not path.exists():
        raise ExamplesError(f"no file at {path}; {EXPECTED}")
    try:
        names = names_in(path)
        found = [name for name in ("images", "inputs") if name in names]
        if not found:
            raise ExamplesError(f"{path} has no array 'images' or 'inputs' (it has {names[:8]})")
        if len(found) > 1:
            raise ExamplesError(f"{path} has both 'images' and 'inputs': leave one out")
        return read_arrays(path, (*found, "labels"))
    except BeliefMatchError as error:
        raise ExamplesError(f"{error}; {EXPECTED}") from error


def read_images(path: Path | str) -> Images:
    """Read an .npz file of images as `read_examples` does.

    Raises:
        ExamplesError: as there, or it holds no images.
    """
    data = read_examples(path)
    if not isinstance(data, Images):
        raise ExamplesError(f"{path} has an array 'inputs' where 'images' are needed; read_examples reads either")
    return data


def read_image_folder(path: Path, *, shape: tuple[int, ...]) -> Images:
    """Read all image files of a folder and of those within it, in the order of their names, without labels.

    Args:
        path: of the folder.
        shape: (channels, height, width) to bring every image to; one channel is grey, three are RGB.

    Raises:
        ExamplesError: there are none, one is damaged, or images cannot have so many channels.
    """
    # It comes with matplotlib, and no other part of the library needs it.
    from PIL import Image  # noqa: PLC0415

    if len(shape) != 3:
        raise ExamplesError(f"the network takes inputs of shape {shape}, which image files cannot give")
    channels, height, width = shape
    if channels not in COLOURS:
        raise ExamplesError(f"image files give 1 or 3 channels, not {channels}: name an .npz file instead of {path}")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ExamplesError(f"no image files in {path}; expected files that end in {', '.join(IMAGE_SUFFIXES)}")
    images = np.empty((len(files), height, width, channels), dtype=np.uint8)
    for index, file in enumerate(files):
        try:
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ExamplesError(f"{file} has more than {MAX_PIXELS:,} pixels")
                resized = image.convert(COLOURS[channels]).resize((width, height), Image.Resampling.BILINEAR)
        except ExamplesError:
            raise
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ExamplesError(f"{file} cannot be read as an image ({first_line(error)})") from error
        images[index] = np.asarray(resized).reshape(height, width, channels)
    return Images(images=torch.from_numpy(images), name=path.name)


def _tensor(array: Any, name: str) -> Tensor:
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise ExamplesError(f"{name} have dtype {array.dtype}, expected numbers; {EXPECTED}") from error
