"""Networks that their owner keeps, named as kept_networks:function, and what happens to them."""

from typing import Any

import torch
from torch import Tensor, nn

from tiny import make_conv_teacher, make_plain_conv

PASSES: list[nn.Module] = []
"""The network of every forward pass, copies among them."""


class Noting(nn.Module):
    """Notes each pass of it or of a copy of it, and returns its outputs in whatever form."""

    def __init__(self, body: nn.Module, form: str = "logits") -> None:
        super().__init__()
        self.body, self.form = body, form

    def forward(self, batch: Tensor) -> Any:
        PASSES.append(self)
        logits = self.body(batch)
        return {"logits": logits, "scores": [logits], "probabilities": logits.softmax(dim=1)}.get(self.form, (logits,))


def _teacher() -> nn.Module:
    network = Noting(make_conv_teacher(), "probabilities").double().train()
    next(network.parameters()).requires_grad_(False)
    network.get_submodule("body.2").eval()
    network.register_forward_hook(lambda *_: None)
    return network


def _student() -> nn.Module:
    network = Noting(make_plain_conv(), "tuple")
    given = network.get_submodule("body.1")
    given.forward = torch.tanh
    return network.eval()


TEACHER, STUDENT = _teacher(), _student()


def teacher() -> nn.Module:
    """The same network each time."""
    return TEACHER


def student() -> nn.Module:
    """The same network each time."""
    return STUDENT


def noting_teacher() -> nn.Module:
    """A teacher of one kind, whose passes are noted."""
    return Noting(make_conv_teacher())


def noting_student() -> nn.Module:
    """A student whose passes are noted."""
    return Noting(make_plain_conv())
