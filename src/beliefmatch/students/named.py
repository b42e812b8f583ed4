"""A student whose architecture is named."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from beliefmatch.errors import SettingsError
from beliefmatch.networks.loading.network import asks_for_weights, locate, make_network
from beliefmatch.networks.loading.weights import fit_weights, read_weights
from beliefmatch.networks.teacher import Teacher
from beliefmatch.students.base import AbstractStudent
from beliefmatch.students.weight_selection import select_weights

logger = logging.getLogger(__name__)

Start = Literal["fresh", "teacher"]


@dataclass(frozen=True, kw_only=True)
class NamedStudent(AbstractStudent):
    """A network made by name, with fresh weights or with given ones to start from."""

    architecture: str
    """Built-in name such as wide_resnet_16_1; timm:NAME, torchvision:NAME, hf:FOLDER, file.py:function for your own."""
    weights: Path | None = None
    """Safetensors file or state dict to start from. None: fresh weights, or those that the name asks for."""
    strip_prefix: str | None = None
    """What keys of the weights begin with, such as module.; by default it is detected, and logged."""
    start: Start | None = None
    """teacher: what layers of the same name have in the teacher, their first channels where the student is narrower;
    the two must be of one family. fresh: random weights. None: the weights that are given, or else what the recipe
    finds right, which mostly is fresh."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", locate(self.architecture))
        object.__setattr__(self, "weights", self.weights and self.weights.absolute())

    @property
    def has_weights(self) -> bool:
        """Whether weights to start from are given, by a file or by the name."""
        return self.weights is not None or asks_for_weights(self.architecture)

    def build(self, teacher: Teacher) -> nn.Module:
        """Build the network with as many channels and classes as the teacher has, where its name leaves them open.

        Raises:
            NetworkError: it cannot be made.
            ExtraError: the package that it comes from is missing.
            SettingsError: weights are given and another start is asked for.
            WeightsError: the weights cannot be read or do not fit.
        """
        if self.start and self.has_weights:
            raise SettingsError(
                f"student.start {self.start} contradicts the weights that are given to start from: leave one out"
            )
        student = make_network(
            self.architecture,
            in_channels=teacher.spec.shape[0],
            num_classes=teacher.num_classes,
            pretrained=self.weights is None,
        )
        if self.weights is not None:
            weights = read_weights(self.weights)
            fit_weights(student, weights, name=str(self.weights), strip_prefix=self.strip_prefix)
        elif self.start == "teacher":
            copied = select_weights(student, teacher.module)
            logger.info("%d of the student's %d tensors start as the teacher's", len(copied), len(student.state_dict()))
        return student.float()
