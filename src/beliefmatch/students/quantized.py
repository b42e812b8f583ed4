"""A student that is its teacher in few bits: quantized:w4a8 has weights in 4 bits, activations in 8."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from beliefmatch.errors import SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.pseudo_inputs import draw_pseudo_inputs
from beliefmatch.networks.quantization.layers import MAX_BITS, MIN_BITS
from beliefmatch.networks.quantization.plan import quantize_layers
from beliefmatch.networks.teacher import Teacher
from beliefmatch.paths import make_absolute
from beliefmatch.setting_names import Setting
from beliefmatch.students.base import check_start, load_given_weights
from beliefmatch.students.of_teacher import AbstractStudentOfTeacher, copy_teacher, count_outputs

METHOD = "quantized"
"""What a name begins with, before a colon."""
NUM_OBSERVED = 32
"""Pseudo inputs by which the first steps of activations are chosen, and as much noise where inputs are no pixels."""


@dataclass(frozen=True, kw_only=True)
class QuantizationRequest:
    """What a name such as quantized:w4a8 asks for."""

    weight_bits: int
    activation_bits: int

    @classmethod
    def parse(cls, name: str) -> "QuantizationRequest":
        """Read a name.

        Raises:
            SettingsError: it does not name bits of weights and activations from 2 to 8.
        """
        bits = re.fullmatch(rf"{METHOD}:w([0-9]{{1,3}})a([0-9]{{1,3}})", name.lower())
        found = tuple(int(number) for number in bits.groups()) if bits else ()
        if not found or not all(MIN_BITS <= number <= MAX_BITS for number in found):
            raise SettingsError(
                f"{Setting('student', name)} must name the bits of weights and of activations, from {MIN_BITS} to "
                f"{MAX_BITS} each, such as {METHOD}:w4a8"
            )
        return cls(weight_bits=found[0], activation_bits=found[1])

    def __str__(self) -> str:
        """Return the one name that stands for all that ask for this."""
        return f"{METHOD}:w{self.weight_bits}a{self.activation_bits}"


def asks_for_quantization(name: str) -> bool:
    """Whether the name of a student asks for its teacher in few bits."""
    return name.partition(":")[0].lower() == METHOD


@dataclass(frozen=True, kw_only=True)
class QuantizedStudent(AbstractStudentOfTeacher):
    """The teacher in few bits. It starts with the teacher's weights, and learns how far apart its levels are."""

    architecture: str
    """quantized:w4a8 has weights in 4 bits and activations in 8; the first layer and the last have 8 of both."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", str(QuantizationRequest.parse(self.architecture)))
        make_absolute(self, "weights")
        if self.start == "fresh":
            raise SettingsError(
                f"{Setting('student.start', self.start)} contradicts student {self.architecture}, since it is its "
                "teacher in few bits: leave one out"
            )
        check_start(self)

    def build(self, teacher: Teacher) -> nn.Module:
        """Copy the teacher and make the layers of the copy compute with few bits.

        Raises:
            NetworkError: no layer can.
            WeightsError: weights are given, and cannot be read or do not fit.
        """
        request = QuantizationRequest.parse(self.architecture)
        student = copy_teacher(teacher)
        quantize_layers(
            student,
            _inputs_to_observe(teacher.spec),
            weight_bits=request.weight_bits,
            activation_bits=request.activation_bits,
            num_outputs=count_outputs(student, teacher),
        )
        if self.weights is not None:
            load_given_weights(student, self)
        return student.train().requires_grad_(requires_grad=True)


def _inputs_to_observe(spec: InputSpec) -> Tensor:
    """Return inputs, (batch, *shape), the same in every call. Inputs that are no pixels have no bounds."""
    drawn = draw_pseudo_inputs(spec, NUM_OBSERVED)
    if spec.is_made_of_pixels and spec.mean is not None:
        return drawn
    return torch.cat([drawn, torch.randn(drawn.shape, generator=torch.Generator().manual_seed(0))])
