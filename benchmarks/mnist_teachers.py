"""Teachers of our own on MNIST, for tasks that settings are chosen on, and the images that they are measured on.

A teacher learns from the first 50,000 training images; a student is measured on the other 10,000. MNIST's test images
are not read.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from beliefmatch import LabelledImages
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import make_network
from labelled import read_labelled_images

MEAN, STD = (0.1307,), (0.3081,)
NUM_TEACHER_IMAGES = 50_000
NUM_EPOCHS = 4
BATCH_SIZE = 128


def train_network(network: nn.Module, inputs: Tensor, labels: Tensor, *, epochs: int) -> None:
    """Train on real examples by Adam with a cosine, in place; inputs are (count, *shape), labels (count,)."""
    steps = len(inputs) // BATCH_SIZE
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for chosen in order[: steps * BATCH_SIZE].split(BATCH_SIZE):
            cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()


@dataclass(frozen=True, kw_only=True)
class MnistTeacher:
    """A teacher of MNIST's images, or of the first of its classes."""

    architecture: str
    """A name, or FILE.py:FUNCTION."""
    size: int = 28
    """Side of its inputs, in pixels; images are resized."""
    num_classes: int = 10

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one input."""
        return 1, self.size, self.size

    def train(self, data: Path) -> nn.Module:
        """Train the teacher (four epochs, Adam, a cosine)."""
        examples = self.read(data, slice(NUM_TEACHER_IMAGES))
        inputs = InputSpec(shape=self.shape, mean=MEAN, std=STD).from_pixels(examples.images)
        network = make_network(self.architecture, in_channels=1, num_classes=self.num_classes)
        train_network(network, inputs, examples.labels, epochs=NUM_EPOCHS)
        return network

    def read_held_out(self, data: Path) -> LabelledImages:
        """Read the images that the teacher does not learn from."""
        return self.read(data, slice(NUM_TEACHER_IMAGES, None))

    def read(self, data: Path, part: slice) -> LabelledImages:
        """Read a part of the training images of the teacher's classes."""
        examples = read_labelled_images(data / "mnist/train.npz")
        images, labels = examples.images[part], examples.labels[part]
        known = labels < self.num_classes
        return LabelledImages(images=images[known], labels=labels[known])


OTHER_FAMILIES = Path(__file__).parent / "reference" / "other_families.py"
LENET_BN = MnistTeacher(architecture="lenet_5_bn")
LENET_TANH = MnistTeacher(architecture="lenet_5_tanh")
CNN_16 = MnistTeacher(architecture=f"{OTHER_FAMILIES}:make_cnn_16", size=16)
CNN_28 = MnistTeacher(architecture=f"{OTHER_FAMILIES}:make_cnn_28")
TANH_CNN_3 = MnistTeacher(architecture=f"{OTHER_FAMILIES}:make_tanh_cnn_3", num_classes=3)
