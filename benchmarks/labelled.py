"""Labelled examples, and the accuracy of one network on them."""

from pathlib import Path

import torch
from torch import Tensor, nn

from beliefmatch.data.images import read_images
from beliefmatch.functional.classification import correct
from beliefmatch.measurement.predictions import BATCH_SIZE, batches
from beliefmatch.networks.examples import AbstractExamples, LabelledImages, examples_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.passes import run_padded


def read_labelled_images(path: Path) -> LabelledImages:
    """Read an .npz file of images, which must have labels.

    Raises:
        ExamplesError: as `read_images` says, or it has no labels.
    """
    data = read_images(path)
    data.needed_labels()
    assert isinstance(data, LabelledImages)
    return data


@torch.no_grad()
def measure_accuracy(
    network: nn.Module,
    spec: InputSpec,
    examples: AbstractExamples | Tensor,
    labels: Tensor | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> float:
    """Measure the fraction of examples that one network, in eval mode, gives their label. See `measure_pair`.

    Raises:
        ExamplesError: there are no labels, or examples are not as `measure_pair` says.
    """
    labelled = examples_of(examples, labels)
    labelled.needed_labels()
    network.eval()
    right: list[Tensor] = []
    for inputs, targets in batches((network,), spec, labelled, batch_size):
        logits = run_padded(network, inputs)
        assert logits.isfinite().all(), "of outputs that are not finite no class follows"
        right.append(correct(logits, targets))
    return int(torch.cat(right).sum()) / len(labelled)
