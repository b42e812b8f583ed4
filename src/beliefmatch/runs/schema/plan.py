"""The plan in a student.json by which a student was made from its teacher, where it was."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PrunedLayer:
    """A layer of the teacher that lost channels."""

    name: str
    """Its name in the teacher."""
    outputs: tuple[int, ...] | None
    """Positions of the teacher's output channels that are kept, from 0, in rising order. None: all."""
    inputs: tuple[int, ...] | None
    """Likewise of the input channels; None, too, for layers whose inputs are their outputs, such as batch-norm."""
    num_outputs: int
    """Output channels that the layer has in the teacher."""
    num_inputs: int | None
    """Input channels likewise; None for layers whose inputs are their outputs."""


@dataclass(frozen=True, kw_only=True)
class PruningPlan:
    """How a student was made from its teacher: what `load_student` does to the teacher's architecture."""

    num_outputs: int
    """Number of outputs that the teacher's architecture is made with."""
    dropped: tuple[str, ...]
    """Names of the teacher's blocks that are left out: what they would get goes on as it is."""
    layers: tuple[PrunedLayer, ...]
    """Layers that lost channels."""
