"""Labelled images from a file."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from beliefmatch.errors import ImagesError, first_line


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Images as stored, with their labels."""

    images: Tensor
    """(images, height, width, channels), uint8."""
    labels: Tensor
    """(images,), int64, from 0."""

    def __len__(self) -> int:
        return len(self.labels)


def read_images(path: Path) -> LabelledImages:
    """Read an .npz file with arrays `images` (n, height, width, channels) and `labels` (n,), pickles refused.

    Raises:
        ImagesError: the file is missing or damaged, or an array is missing or has another dtype or shape.
    """
    expected = "expected an .npz with arrays images (n, height, width, channels) uint8 and labels (n,) integers"
    if not path.is_file():
        raise ImagesError(f"no images at {path}")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ImagesError(f"{path} holds a single array; {expected}")
            missing = {"images", "labels"} - set(file.files)
            if missing:
                raise ImagesError(f"{path} has no array {sorted(missing)[0]!r} (it has {file.files}); {expected}")
            images, labels = file["images"], file["labels"]
    except ImagesError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ImagesError(f"{path} cannot be read ({first_line(error)}); {expected}") from error
    return check_images(images, labels, name=str(path))


def check_images(images: np.ndarray, labels: np.ndarray, *, name: str) -> LabelledImages:
    """Check arrays and turn them into tensors.

    Args:
        images: (n, height, width, channels), uint8.
        labels: (n,), integers from 0.
        name: what to call them in errors.

    Raises:
        ImagesError: a dtype or a shape is not as above, there are no images, or a label is below 0.
    """
    if images.dtype != np.uint8:
        raise ImagesError(f"images of {name} have dtype {images.dtype}, expected uint8 pixels from 0 to 255")
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ImagesError(f"images of {name} have shape {images.shape}, expected (n, height, width, 1 or 3 channels)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ImagesError(f"labels of {name} have dtype {labels.dtype}, expected integers")
    if labels.shape != images.shape[:1]:
        raise ImagesError(
            f"labels of {name} have shape {labels.shape}, expected {images.shape[:1]} as there are images"
        )
    if images.size == 0:
        raise ImagesError(f"{name} holds no images, or images without pixels")
    if labels.min() < 0:
        raise ImagesError(f"labels of {name} go down to {labels.min()}, expected 0 and above")
    return LabelledImages(images=torch.from_numpy(images), labels=torch.from_numpy(labels.astype(np.int64)))
