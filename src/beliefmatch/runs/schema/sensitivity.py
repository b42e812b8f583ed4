"""sensitivity.json: what a network loses with each group of channels, and with each residual block."""

from dataclasses import dataclass

from beliefmatch.runs.schema.ranges import check_ranges


@dataclass(frozen=True, kw_only=True)
class GroupSensitivity:
    """What a network loses with one group of channels."""

    name: str
    """The layer of whose outputs they are."""
    channels: int
    """Number of them."""
    macs_fraction: float
    """Part of the network's multiply-accumulates that goes with half of the channels."""
    agreements: tuple[float, ...]
    """For each of `fractions`: how often the network without so many gives the class that it gives with all."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("agreements",), counts=("channels",))


@dataclass(frozen=True, kw_only=True)
class BlockSensitivity:
    """What a network loses with one residual block."""

    name: str
    """Its name in the network."""
    macs_fraction: float
    """Part of the network's multiply-accumulates that goes with it."""
    agreement: float
    """How often the network without it gives the class that it gives with it."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("agreement",))


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """All groups and blocks, in the order of the network."""

    fractions: tuple[float, ...]
    """Parts of a group that are removed in turn, the least important channels first."""
    num_compared: int
    """Pseudo inputs on which classes are compared."""
    groups: tuple[GroupSensitivity, ...]
    """Groups of channels that can be removed. Empty: not measured, or none."""
    blocks: tuple[BlockSensitivity, ...]
    """Residual blocks that can be left out. Empty: not measured, or none."""

    def __post_init__(self) -> None:
        check_ranges(self, fractions=("fractions",), counts=("num_compared",))
        if any(len(group.agreements) != len(self.fractions) for group in self.groups):
            raise ValueError("a group has another number of agreements than there are fractions")
