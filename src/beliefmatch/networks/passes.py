"""Passing a batch through a network so that nobody else sees what it does to its inputs in place."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

_CHANGES: WeakKeyDictionary[nn.Module, dict[bool, bool]] = WeakKeyDictionary()
"""By network and by its mode, training or not: whether its first pass changed the inputs."""


def run_network(network: nn.Module, batch: Tensor) -> Any:
    """Return the output of a network for a batch, which stays as it is, whatever the network does in place.

    The first pass in each mode gets a copy and shows whether the network changes it. Only one that does gets a copy
    ever after, so that others cost nothing.

    Args:
        network: maps (batch, *shape) to anything.
        batch: network inputs.
    """
    known = _CHANGES.setdefault(network, {})
    if known.get(network.training) is False:
        return network(batch)
    copy = batch.clone()
    output = network(copy)
    if network.training not in known:
        known[network.training] = was_changed(copy, batch)
    return output


def run_padded(network: nn.Module, batch: Tensor) -> Tensor:
    """Return the logits of a network in eval mode, (batch, classes), for a batch of any size.

    A single example passes with a copy of itself, since networks that squeeze lose the axis of a batch of one.

    Args:
        network: maps two or more examples (batch, *shape) to logits.
        batch: network inputs.
    """
    if len(batch) != 1:
        return run_network(network, batch)
    return run_network(network, batch.repeat(2, *(1 for _ in batch.shape[1:])))[:1]


def changes_inputs(network: nn.Module, batch: Tensor) -> bool:
    """Whether a network changes a batch in place in the mode that it is in; it runs once unless that is known."""
    if network.training not in _CHANGES.get(network, {}):
        with torch.no_grad():
            run_network(network, batch)
    return _CHANGES[network][network.training]


def was_changed(copy: Tensor, batch: Tensor) -> bool:
    """Whether a fresh copy of a batch was changed in place since: by torch's count of changes, or by its values.

    The count misses what goes through `.data` or numpy, the values a ReLU of what was positive.
    """
    counted = not copy.is_inference() and copy._version > 0
    return counted or not torch.equal(copy, batch)
