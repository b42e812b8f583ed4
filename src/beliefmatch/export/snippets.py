"""The few lines of Python that load an exported file, for its model card."""

import json
from pathlib import PurePath

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.exports import Export

NUM_EXAMPLES = 2


def snippet(name: str, export: Export, spec: InputSpec, architecture: str, num_classes: int) -> str:
    """Write code that ends with `logits`, (batch, classes).

    Args:
        name: of the file, beside which the code runs.
        export: what the file is.
        spec: of the student's inputs.
        architecture: of the student.
        num_classes: that it knows.
    """
    if export.format == "onnx":
        taken = "inputs" if export.pixels is None else "pixels"
        lines = [
            "import numpy as np",
            "import onnxruntime",
            "",
            f'session = onnxruntime.InferenceSession("{name}")',
            *_numpy_inputs(spec, export.pixels),
            f'(logits,) = session.run(["logits"], {{"{taken}": {taken}}})',
        ]
        return "\n".join(lines)
    run = [*_torch_inputs(spec, export.pixels), "with torch.no_grad():"]
    if export.format == "pt2":
        lines = [
            "import os",
            "",
            "import torch",
            "",
            'os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # tensors are read, nothing is unpickled',
            f'network = torch.export.load("{name}").module()',
            *run,
            f"    logits = network({'inputs' if export.pixels is None else 'pixels'})",
        ]
        return "\n".join(lines)
    made = f'Network(architecture={json.dumps(shown(architecture))}, weights=Path("{name}"), num_classes={num_classes})'
    lines = [
        "from pathlib import Path",
        "",
        "import torch",
        "",
        "from beliefmatch import InputSpec, Network",
        "",
        f"network = {made}",
        f"student = network.load(InputSpec(shape={spec.shape})).eval()",
        *run,
        "    logits = student(inputs)",
    ]
    return "\n".join(lines)


def shown(architecture: str) -> str:
    """Leave out where a file or folder of the user's own lies."""
    parts = (PurePath(part) for part in architecture.split(":"))
    return ":".join(part.name if part.is_absolute() else str(part) for part in parts)


def _numpy_inputs(spec: InputSpec, pixels: str | None) -> list[str]:
    if len(spec.shape) != 3:
        return [f"inputs = np.zeros({(NUM_EXAMPLES, *spec.shape)}, dtype=np.float32)  # yours"]
    channels, height, width = spec.shape
    lines = [
        f"images = np.zeros({(NUM_EXAMPLES, height, width, channels)}, dtype=np.uint8)"
        "  # yours: (batch, height, width, channels)"
    ]
    first = "transpose(0, 3, 1, 2)"
    if pixels == "uint8":
        return [*lines, f"pixels = images.{first}"]
    if pixels == "unit":
        return [*lines, f"pixels = images.{first}.astype(np.float32) / 255"]
    mean, std = normalisation(spec)
    return [
        *lines,
        f"mean, std = np.float32({mean}), np.float32({std})",
        f"inputs = ((images.astype(np.float32) / 255 - mean) / std).{first}",
    ]


def _torch_inputs(spec: InputSpec, pixels: str | None) -> list[str]:
    if len(spec.shape) != 3:
        return [f"inputs = torch.zeros({(NUM_EXAMPLES, *spec.shape)})  # yours"]
    channels, height, width = spec.shape
    lines = [
        f"images = torch.zeros({(NUM_EXAMPLES, height, width, channels)}, dtype=torch.uint8)"
        "  # yours: (batch, height, width, channels)"
    ]
    first = "permute(0, 3, 1, 2)"
    if pixels is not None:
        return [*lines, f"pixels = images.{first}{' / 255' if pixels == 'unit' else ''}"]
    mean, std = normalisation(spec)
    return [
        *lines,
        f"mean, std = torch.tensor({mean}), torch.tensor({std})",
        f"inputs = ((images / 255 - mean) / std).{first}",
    ]


def normalisation(spec: InputSpec) -> tuple[list[float], list[float]]:
    """Give mean and standard deviation of each channel, in pixels scaled to [0, 1]."""
    channels = spec.shape[0]
    return list(spec.mean or (0.0,) * channels), list(spec.std or (1.0,) * channels)
