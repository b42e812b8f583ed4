"""The program of the fresh process: load an exported file as its user would, and write its predictions.

`python -m beliefmatch.export.prediction_program` reads arrays of inputs from the standard input and writes arrays of
logits to the standard output, until there are no more. An ONNX file is loaded by onnxruntime alone, without torch.
"""

import io
import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]
"""Takes inputs (batch, *shape) and returns logits (batch, classes)."""

LENGTH = struct.Struct("<Q")


def load_onnx(file: Path, _metadata: dict[str, Any]) -> Predict:
    """Load with onnxruntime."""
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda inputs: np.asarray(session.run(["logits"], {name: inputs})[0])


def load_pt2(file: Path, _metadata: dict[str, Any]) -> Predict:
    """Load with torch.export."""
    import torch  # noqa: PLC0415

    # A file that is open needs no name that ends in .pt2.
    with file.open("rb") as opened:
        network = torch.export.load(opened).module()
    return lambda inputs: network(torch.from_numpy(inputs)).detach().numpy()


def load_safetensors(file: Path, metadata: dict[str, Any]) -> Predict:
    """Load into the architecture that student.json names, with the lines that the model card shows."""
    import torch  # noqa: PLC0415

    from beliefmatch.networks.inputs import InputSpec  # noqa: PLC0415
    from beliefmatch.networks.loading.network import Network  # noqa: PLC0415
    from beliefmatch.networks.output_kinds import kind_of  # noqa: PLC0415

    made = Network(
        architecture=metadata["architecture"],
        weights=file,
        num_classes=metadata["num_classes"],
        outputs=kind_of(metadata["task"], metadata.get("outputs")),
        output=metadata.get("output"),
    )
    network = made.load(InputSpec(shape=tuple(metadata["inputs"]["shape"]))).eval()
    return lambda inputs: network(torch.from_numpy(inputs)).detach().numpy()


LOADERS: dict[str, Callable[[Path, dict[str, Any]], Predict]] = {
    "onnx": load_onnx,
    "pt2": load_pt2,
    "safetensors": load_safetensors,
}
"""By format; `formats.FORMATS` writes them. They stand here because ONNX must do without torch."""


def write_array(stream: IO[bytes], array: np.ndarray) -> None:
    """Write an array, its length before it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    stream.write(LENGTH.pack(buffer.tell()))
    stream.write(buffer.getbuffer())
    stream.flush()


def read_array(stream: IO[bytes]) -> np.ndarray | None:
    """Read what `write_array` wrote; None at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return np.load(io.BytesIO(stream.read(*LENGTH.unpack(head))), allow_pickle=False)


def main(file: str, name: str, metadata: str) -> None:
    """Write predictions until the standard input ends.

    Args:
        file: to load.
        name: of its format.
        metadata: JSON of what student.json holds; it names the architecture, for files that do not hold it.
    """
    # Whatever a library prints must not come between the arrays.
    predictions = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    predict = LOADERS[name](Path(file), json.loads(metadata))
    with predictions:
        while (inputs := read_array(sys.stdin.buffer)) is not None:
            write_array(predictions, predict(inputs))


if __name__ == "__main__":
    main(*sys.argv[1:])
