"""Logits in whatever a network returns."""

from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.inspection import count_classes
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.networks.outputs import choose_output, logits_of
from beliefmatch.networks.taps import outputs_of

LOGITS, MAPS = torch.randn(4, 7), torch.randn(4, 3, 2)


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (MAPS, LOGITS, 3),
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
        (
            (torch.randn(4, 16), LOGITS),
            "tuple of (a tensor of shape (4, 16), a tensor of shape (4, 7)), expected logits (4, classes): say which, "
            "0 or 1, such as teacher.output='1'",
        ),
        ({"a": LOGITS, "b": LOGITS}, ": say which, a or b, such as teacher.output='b'"),
        (SimpleNamespace(scores=LOGITS), "returned SimpleNamespace, expected"),
        (None, "returned NoneType, expected"),
    ],
)
def test_what_cannot_be_understood_is_described(output: Any, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        logits_of(output, network="Net", batch_size=4)
    assert message in str(caught.value)


SPEC = InputSpec(shape=(12,))
FORMS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "1": lambda features, logits: (features, logits),
    "-1": lambda features, logits: [features, logits],
    "scores": lambda features, logits: {"features": features, "scores": logits},
    "answer": lambda features, logits: SimpleNamespace(features=features, answer=logits),
}


class Several(nn.Module):
    """Returns its features beside its logits, as the form has it; in train mode its logits alone."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.body, self.head = form, nn.Linear(12, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Any:
        features = self.body(x).relu()
        return self.head(features) if self.training else FORMS[self.form](features, self.head(features))


@pytest.mark.parametrize("output", FORMS)
def test_the_output_that_is_named_holds_the_logits(output: str) -> None:
    network, batch = Several(output), torch.randn(3, 12)
    expected = network.train()(batch)
    loaded, inspection = GivenNetwork.of(network, output=output).load_inspected(SPEC, role="teacher")
    assert (inspection.num_classes, inspection.head, inspection.returns_logits) == (5, "head", True)
    assert count_classes(loaded, SPEC, role="teacher") == 5
    for training in (False, True):
        assert torch.equal(outputs_of(loaded.train(training), batch).logits, expected)


def test_an_output_that_is_not_there_is_refused() -> None:
    network = Several("1").eval()
    choose_output(network, "7")
    with pytest.raises(NetworkError, match=r"Several returned tuple of \(.*\), which has no output '7'"):
        network(torch.randn(3, 12))
