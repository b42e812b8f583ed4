"""Logits in whatever a network returns."""

from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from beliefmatch.errors import NetworkError
from beliefmatch.networks.outputs import logits_of

LOGITS, MAPS = torch.randn(4, 7), torch.randn(4, 3, 2)


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (MAPS, LOGITS, torch.randn(4, 9)),
        [LOGITS],
        {"logits": LOGITS, "features": torch.randn(4, 9)},
        OrderedDict(out=LOGITS, maps=MAPS),
        SimpleNamespace(logits=LOGITS),
    ],
    ids=lambda output: type(output).__name__,
)
def test_they_are_found(output: Any) -> None:
    assert logits_of(output, network="Net", batch_size=4) is LOGITS


@pytest.mark.parametrize("form", [lambda numbers: numbers, lambda numbers: (numbers,)], ids=("alone", "tuple"))
def test_one_number_for_each_example_is_one_output(form: Callable[[Tensor], Any]) -> None:
    numbers = LOGITS[:, 0]
    assert torch.equal(logits_of(form(numbers), network="Net", batch_size=4), numbers[:, None])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (MAPS, "Net returned a tensor of shape (4, 3, 2), expected logits (4, classes)"),
        (LOGITS.long(), "a int64 tensor of shape (4, 7)"),
        ((LOGITS[:, 0], 3), "tuple of (a tensor of shape (4,), int)"),
        ((MAPS, 3), "tuple of (a tensor of shape (4, 3, 2), int)"),
        ({"a": LOGITS, "b": LOGITS}, "dict of {a: a tensor of shape (4, 7), b: a tensor of shape (4, 7)}"),
        (SimpleNamespace(scores=LOGITS), "returned SimpleNamespace, expected"),
        (None, "returned NoneType, expected"),
    ],
)
def test_what_cannot_be_understood_is_described(output: Any, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        logits_of(output, network="Net", batch_size=4)
    assert message in str(caught.value)
