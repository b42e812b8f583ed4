"""Settings of every generator that maps noise to inputs, which a user may replace by a generator of their own."""

from dataclasses import dataclass

import torch
from torch import nn

from beliefmatch.checks import check_positive
from beliefmatch.errors import SettingsError
from beliefmatch.networks.architectures.generators import make_generator
from beliefmatch.networks.loading.network import locate
from beliefmatch.networks.placement import move_to_device
from beliefmatch.networks.teacher import Teacher
from beliefmatch.setting_names import Setting


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """Settings of a generator that maps noise to inputs."""

    noise_size: int = 256
    """Length of the noise vector z, which a generator maps to an input."""
    generator: str | None = None
    """Your own generator as file.py:function, called without arguments: it returns a module that maps (batch, noise
    size) to (batch, *input shape). None: one that fits the input shape."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "generator", self.generator and locate(self.generator))

    def check_generator(self) -> None:
        """Check the length of the noise, and how the user's own generator is named.

        Raises:
            SettingsError: the length is not above 0, or the name is not file.py:function.
        """
        check_positive(self, "source", "noise_size")
        if self.generator is not None and ":" not in self.generator:
            raise SettingsError(
                f"{Setting('source.generator')} is {self.generator!r}; expected my_file.py:make_generator"
            )

    def make_generator(self, teacher: Teacher, device: torch.device) -> nn.Module:
        """Build a fresh generator for the teacher's inputs on a device; weights follow torch's own seed."""
        generator = make_generator(self.noise_size, teacher.spec, own=self.generator)
        move_to_device(generator, device, teacher.dtype)
        return generator
