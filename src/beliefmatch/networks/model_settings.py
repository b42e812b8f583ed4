"""What a user gives with a trained network, for commands and for functions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from beliefmatch.networks.output_kinds import OutputKind

Dataset = Literal["cifar10", "cifar100", "svhn", "mnist", "fashion_mnist", "imagenet"]
"""What a network was trained on, as far as we know the shape and the normalisation of it."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Weights and outputs of a network, where both networks are given in parts, as to `transfer`."""

    weights: Path | None = None
    """Safetensors file, or state dict written by torch.save. Names that bring their weights may do without."""
    num_classes: int | None = None
    """Number of outputs; a single one stands for two classes. None: those of a network that brings its weights, or 10
    where a file of weights fills an architecture."""
    strip_prefix: str | None = None
    """What keys of the weights begin with, such as module.; by default it is detected, and logged."""
    state_key: str | None = None
    """Which of several state dicts in the file of weights, such as ema; None: the only one."""
    allow_untrained: bool = False
    """Take a function of yours that loads no weights, so that the network is random."""
    outputs: OutputKind | None = None
    """What it returns: logits; probabilities, which sum to 1; sigmoid, a probability for each class by itself; or
    binary, a single output that is that of class 1 of two; or multi_label, labels of which several may be true; or
    regression, numbers. None: what its configuration says, or else one class is right, in the form that its values for
    noise have."""
    output: str | None = None
    """Which of several outputs holds them, where that is ambiguous: an index, such as 1 for the second, or a key. None:
    the entry or attribute logits, or the only tensor (batch, classes)."""


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Weights, inputs and outputs of a model. Each is a flag of commands, with the words that follow it in helps."""

    weights: Annotated[Path | None, "FILE"] = None
    """File with the model's weights: safetensors, or a state dict written by torch.save."""
    state_key: Annotated[str | None, "KEY"] = None
    """Which of several state dicts in that file, such as ema. Default: the only one."""
    dataset: Dataset | None = None
    """What the model was trained on, instead of shape, mean and std. No data is read."""
    shape: Annotated[tuple[int, ...] | None, "SIZE ..."] = None
    """Shape of one input, such as 3 32 32 for colour images or 64 for a vector. Default: what the model's own
    configuration says."""
    mean: Annotated[tuple[float, ...] | None, "NUMBER ..."] = None
    """Mean of each channel that the model was trained with, in pixels scaled to [0, 1]."""
    std: Annotated[tuple[float, ...] | None, "NUMBER ..."] = None
    """Standard deviation of each channel that the model was trained with, likewise."""
    num_classes: Annotated[int | None, "COUNT"] = None
    """Number of outputs, where a file of weights fills an architecture. Default: 10."""
    outputs: OutputKind | None = None
    """What the model returns: multi_label for labels of which several may be true, regression for numbers.
    Default: what its configuration says, or else one class is right, in a form that is detected."""
    output: Annotated[str | None, "KEY"] = None
    """Which of several outputs holds the logits: an index, such as 1 for the second, or a key."""
    allow_untrained: bool = False
    """Take a function of yours that loads no weights, so that the model is random."""
