"""The plan in a student.json of a student that was trained with few bits, where it was."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class QuantizedLayer:
    """A layer of the teacher that computes with few bits in the student."""

    name: str
    """Its name in the teacher."""
    weight_bits: int
    """Bits of each weight, 2 to 8. The levels of each output channel are as far apart as its `weight_log_step` says."""
    activation_bits: int
    """Bits of each number that the layer gets, 2 to 8."""
    lowest: int
    """Number of levels below 0 of what it gets, as a negative number; 0 for what is never below 0."""


@dataclass(frozen=True, kw_only=True)
class QuantizationPlan:
    """How a student with few bits was made from its teacher: what `load_student` does to the teacher's architecture."""

    num_outputs: int
    """Number of outputs that the teacher's architecture is made with."""
    layers: tuple[QuantizedLayer, ...]
    """Layers that compute with few bits, in the order in which they run."""
