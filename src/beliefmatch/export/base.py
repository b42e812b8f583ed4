"""The interface of a format, and what the code in model cards has in common. One file a format implements it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from beliefmatch.export.graph import DeployedGraph
from beliefmatch.export.normalising import constants_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network

FormatName = Literal["onnx", "pt2", "safetensors"]

NUM_EXAMPLES = 2
"""In the code of model cards."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way to write a network. `predictions.LOADERS` reads it again."""

    title: str
    """In the model card."""
    write: Callable[[DeployedGraph, InputSpec], bytes]
    write_code: Callable[[str, str | None, InputSpec, Network], list[str]]
    """Returns lines of Python that load a file and end with `logits`, (batch, classes). It takes the name of the file,
    the pixels that it takes, the student's inputs, and how to build the student."""
    needs: str
    """What must be installed to load a file, in Markdown."""
    holds_graph: bool
    """Whether the file holds what is computed, and not the weights alone."""
    modules: tuple[str, ...] = ()
    """What must be installed besides torch to write and check it."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """How numpy or torch spells what makes inputs of images."""

    name: str
    zeros_type: str
    permute: str
    to_float: str
    constant: str


NUMPY = Library(
    name="np",
    zeros_type=", dtype=np.float32",
    permute="transpose",
    to_float=".astype(np.float32)",
    constant="np.float32",
)
TORCH = Library(name="torch", zeros_type="", permute="permute", to_float="", constant="torch.tensor")


def input_name(pixels: str | None) -> str:
    """Return the name of a file's input, after what it takes."""
    return "inputs" if pixels is None else "pixels"


def input_lines(library: Library, pixels: str | None, spec: InputSpec) -> list[str]:
    """Return lines of Python that make what a file takes, called by `input_name`."""
    np = library.name
    if len(spec.shape) != 3:
        return [f"inputs = {np}.zeros({(NUM_EXAMPLES, *spec.shape)}{library.zeros_type})  # yours"]
    channels, height, width = spec.shape
    shape = (NUM_EXAMPLES, height, width, channels)
    images = f"images = {np}.zeros({shape}, dtype={np}.uint8)  # yours: (batch, height, width, channels)"
    first = f"{library.permute}(0, 3, 1, 2)"
    if pixels is not None:
        return [images, f"pixels = images.{first}{f'{library.to_float} / 255' if pixels == 'unit' else ''}"]
    mean, std = (f"{library.constant}({values})" for values in constants_of(spec))
    return [
        images,
        f"mean, std = {mean}, {std}",
        f"inputs = ((images{library.to_float} / 255 - mean) / std).{first}",
    ]


def quoted(text: str) -> str:
    """Return a text as a string in Python code, whatever is in it."""
    return json.dumps(text, ensure_ascii=False).encode(errors="backslashreplace").decode()


def without_folder(architecture: str) -> str:
    """Return the name of an architecture without the folder in which a file of the user's own lies."""
    parts = (PurePath(part) for part in architecture.split(":"))
    return ":".join(part.name if part.is_absolute() else str(part) for part in parts)
