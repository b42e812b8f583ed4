"""Finding modules that a pass in train mode can skip, as LayerDrop (Fan et al. 2020) skips whole layers at random."""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.recording import noise_for

LOWEST, HIGHEST = 0.0, 1 - 2.0**-24
"""What draws from [0, 1) give in the passes that show what chance can do, however seldom it does."""
NUM_ORDINARY = 4
"""Passes with draws as they come, for networks that skip by what else they count."""
NUM_EXAMPLES = 2
"""Examples of each pass; batch-norm on one value a channel needs two."""
UNIFORM = ("rand", "rand_like", "uniform", "uniform_")
COINS = ("bernoulli", "bernoulli_")
ON_HOST: tuple[tuple[Any, str], ...] = (
    *((random, name) for name in ("random", "uniform")),
    *((np.random, name) for name in ("random", "random_sample", "rand", "uniform")),
)
"""Functions of other packages that networks draw from."""


def find_skipped(network: nn.Module, spec: InputSpec) -> set[str]:
    """Find the modules that run in some passes in train mode and not in all.

    Passes are those of a copy: one in which every draw is as low as can be, one in which it is as high, and some as
    they come. Random states are left as they were. A pass that fails shows nothing.

    Args:
        network: maps (batch, *spec.shape) to anything; on the CPU.
        spec: of its inputs.

    Returns:
        Names of modules.
    """
    copied = copy.deepcopy(network).train()
    ran: list[set[str]] = []
    with torch.random.fork_rng(devices=[]), _host_states_kept(), torch.no_grad():
        torch.manual_seed(0)
        for value in (LOWEST, HIGHEST, *[None] * NUM_ORDINARY):
            with suppress(Exception):  # The preflight says what fails.
                ran.append(_run(copied, spec, value))
    return set[str]().union(*ran) - set(ran[0]).intersection(*ran) if ran else set()


def _run(network: nn.Module, spec: InputSpec, value: float | None) -> set[str]:
    """Return the names of the modules that run in one pass, in which all draws give this value."""
    names: set[str] = set()

    def note(name: str) -> Callable[..., None]:
        return lambda *_: names.add(name)

    handles = [module.register_forward_hook(note(name)) for name, module in network.named_modules()]
    batch = noise_for(network, spec, num_examples=NUM_EXAMPLES)
    try:
        if value is None:
            network(batch)
        else:
            with _Draws(value), _host_draws(value):
                network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return names


class _Draws(TorchDispatchMode):
    """Replaces what torch draws from [0, 1), and its coins, by one value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if isinstance(output, Tensor) and name in (*UNIFORM, *COINS):
            low, high = (*args[1:], 0.0, 1.0)[:2] if name == "uniform_" and len(args) == 3 else (0.0, 1.0)
            output.fill_(round(self.value) if name in COINS else low + (high - low) * self.value)
        return output


@contextmanager
def _host_draws(value: float) -> Iterator[None]:
    """Replace what Python and numpy draw by one value, as `_Draws` does."""
    before = [getattr(package, name) for package, name in ON_HOST]

    def instead(draw: Callable[..., Any], *, is_uniform: bool) -> Callable[..., Any]:
        def give(*args: Any, **named: Any) -> Any:
            low = named.get("low", named.get("a", args[0] if args else 0.0)) if is_uniform else 0.0
            high = named.get("high", named.get("b", args[1] if len(args) > 1 else 1.0)) if is_uniform else 1.0
            return draw(*args, **named) * 0 + low + (high - low) * value

        return give

    try:
        for (package, name), draw in zip(ON_HOST, before, strict=True):
            setattr(package, name, instead(draw, is_uniform=name == "uniform"))
        yield
    finally:
        for (package, name), draw in zip(ON_HOST, before, strict=True):
            setattr(package, name, draw)


@contextmanager
def _host_states_kept() -> Iterator[None]:
    """Seed Python's and numpy's random states while the block lasts."""
    states = random.getstate(), np.random.get_state()
    random.seed(0)
    np.random.seed(0)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
