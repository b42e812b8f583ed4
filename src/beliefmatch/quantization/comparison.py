"""How near an 8-bit file is to the network in 32 bits, on inputs made without data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from beliefmatch.functional.classification import agreement
from beliefmatch.functional.divergences import kl_divergence
from beliefmatch.networks.loading.onnx_session import start_session

PREDICTION_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Closeness:
    """The predictions of two files on the same inputs."""

    agreement: float
    """Fraction of inputs to which both give the same class."""
    divergence: float
    """Mean KL divergence of the 8-bit file's beliefs from those in 32 bits, nats."""


def predict_by_onnxruntime(content: bytes, inputs: Tensor) -> Tensor:
    """Return the outputs of an ONNX file, (count, classes), float32.

    Args:
        content: of the file.
        inputs: (count, *shape): what it takes.
    """
    session = start_session(content)
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: batch.numpy()})[0] for batch in inputs.split(PREDICTION_BATCH)]
    return torch.cat([torch.from_numpy(part) for part in parts])


def compare_logits(in_32_bits: Tensor, in_8_bits: Tensor) -> Closeness:
    """Compare logits (count, classes)."""
    return Closeness(
        agreement=float(agreement(in_32_bits, in_8_bits).float().mean()),
        divergence=float(kl_divergence(in_32_bits, in_8_bits).mean()),
    )
