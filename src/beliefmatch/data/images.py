"""Images from a file or a folder, with or without labels."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from beliefmatch.errors import ImagesError, first_line
from beliefmatch.models.inputs import check_pixels

COLOURS = {1: "L", 3: "RGB"}
"""How Pillow calls images of so many channels."""
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")

EXPECTED = (
    "expected an .npz with an array images (n, height, width, channels) uint8, and where there are labels an array "
    "labels (n,) integers"
)


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images as stored.

    Raises:
        ImagesError: a dtype or a shape is not as below, there are no images, or a label is below 0.
    """

    images: Tensor
    """(images, height, width, channels), uint8."""
    labels: Tensor | None = None
    """(images,), int64, from 0; None where there are none."""

    def __post_init__(self) -> None:
        check_pixels(self.images, self.labels)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, kw_only=True)
class LabelledImages(Images):
    """Images as stored, with their labels."""

    labels: Tensor  # pyright: ignore[reportGeneralTypeIssues]
    """(images,), int64, from 0."""


def read_images(path: Path) -> Images:
    """Read an .npz file with an array `images` and, if it has one, `labels`; pickles are refused.

    Raises:
        ImagesError: the file is missing or damaged, or an array is missing or has another dtype or shape.
    """
    if not path.is_file():
        raise ImagesError(f"no images at {path}")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ImagesError(f"{path} holds a single array; {EXPECTED}")
            if "images" not in file.files:
                raise ImagesError(f"{path} has no array 'images' (it has {file.files}); {EXPECTED}")
            images = _tensor(file["images"], "images")
            labels = _tensor(file["labels"], "labels") if "labels" in file.files else None
    except ImagesError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ImagesError(f"{path} cannot be read ({first_line(error)}); {EXPECTED}") from error
    try:
        if labels is None:
            return Images(images=images)
        return LabelledImages(images=images, labels=labels if labels.is_floating_point() else labels.long())
    except ImagesError as error:
        raise ImagesError(f"{path}: {error}") from error


def read_image_folder(path: Path, *, shape: tuple[int, int, int]) -> Images:
    """Read all image files of a folder and of those within it, in the order of their names, without labels.

    Args:
        path: of the folder.
        shape: (channels, height, width) to bring every image to; one channel is grey, three are RGB.

    Raises:
        ImagesError: there are none, one is damaged, or images cannot have so many channels.
    """
    # It comes with matplotlib, and no other part of the library needs it.
    from PIL import Image  # noqa: PLC0415

    channels, height, width = shape
    if channels not in COLOURS:
        raise ImagesError(f"image files give 1 or 3 channels, not {channels}: name an .npz file instead of {path}")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ImagesError(f"no image files in {path}; expected files that end in {', '.join(IMAGE_SUFFIXES)}")
    images = np.empty((len(files), height, width, channels), dtype=np.uint8)
    for index, file in enumerate(files):
        try:
            with Image.open(file) as image:
                resized = image.convert(COLOURS[channels]).resize((width, height), Image.Resampling.BILINEAR)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ImagesError(f"{file} cannot be read as an image ({first_line(error)})") from error
        images[index] = np.asarray(resized).reshape(height, width, channels)
    return Images(images=torch.from_numpy(images))


def read_labelled_images(path: Path) -> LabelledImages:
    """Read an .npz file as `read_images` does, insisting on labels.

    Raises:
        ImagesError: as there, or it has no labels.
    """
    data = read_images(path)
    if not isinstance(data, LabelledImages):
        raise ImagesError(f"{path} has no array 'labels', and labels are needed; {EXPECTED}")
    return data


def _tensor(array: Any, name: str) -> Tensor:
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise ImagesError(f"{name} have dtype {array.dtype}; {EXPECTED}") from error
