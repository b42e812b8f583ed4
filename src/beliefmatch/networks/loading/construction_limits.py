"""Limits on what is built by a name or a configuration that somebody else may have written.

The packages that build it know no bounds: ten characters of a name may ask for a million layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import nn
from torch.nn.modules import module as hooks

from beliefmatch.errors import NetworkError
from beliefmatch.memory import check_memory, free_memory

MAX_MODULES = 5000
"""Modules of a network. Those of timm have 1,800 at most."""
MAX_CHARACTERS = 100
"""Characters of a name in a message."""


@contextmanager
def limited_construction(architecture: str) -> Iterator[None]:
    """Refuse a network of too many modules, or whose parameters do not fit in memory, while the block builds it.

    Args:
        architecture: its name, for messages.

    Raises:
        NetworkError: it is too large.
    """
    counter = _Counter(architecture=architecture[:MAX_CHARACTERS], free=free_memory())
    handles = [
        hooks.register_module_module_registration_hook(counter.count_module),
        hooks.register_module_parameter_registration_hook(counter.count_parameter),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class _Counter:
    """What a network that is being built has so far."""

    architecture: str
    free: int | None
    """Bytes of memory before it was begun; None: not known."""
    modules: int = 0
    bytes: int = 0
    sizes: dict[tuple[int, str], int] = field(default_factory=dict)
    """Bytes of each parameter, by its module and name: some are replaced before the network is done."""

    def count_module(self, _parent: nn.Module, _name: str, _child: nn.Module | None) -> None:
        self.modules += 1
        if self.modules > MAX_MODULES:
            raise NetworkError(f"{self.architecture} is too large: a network may have {MAX_MODULES:,} modules")

    def count_parameter(self, parent: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        # It takes no memory until it is filled, and layers register their parameters before that.
        size = 0 if parameter is None else parameter.numel() * parameter.element_size()
        self.bytes += size - self.sizes.get((id(parent), name), 0)
        self.sizes[id(parent), name] = size
        if self.free is not None and self.bytes > self.free:
            what = f"the parameters of {self.architecture}"
            check_memory(self.bytes, what, "take a smaller one", error=NetworkError, free=self.free)
