"""The source that torch.fx makes: what a program consists of passes, and all else is refused before it runs."""

import pytest
import torch
from torch import fx, nn

from beliefmatch.errors import NetworkError
from beliefmatch.networks.loading.converted import ConvertedProgram
from beliefmatch.networks.loading.generated_code import check_source

PLAIN = (
    "conv = self.features.conv(x);  x = None",
    'weight = getattr(self.features, "0").weight',
    'y = getattr(self.features, "0")(x)',
    "y = torch.ops.aten.conv2d.default(x, self.weight, None, [1, 1]);  x = None",
    "y = torch.ops.aten.__and__.Tensor(x, x)",
    "y = x[(slice(None, None, None), 0)]",
    "y = x + 1;  z = -y",
    "y = operator.getitem(x, 0)",
    "y = torch.ops.aten.zeros.default([2], dtype = torch.float32, device = device(type='cpu'), pin_memory = False)",
)
STRANGE = (
    "y = print(x)",
    "y = __import__('os').system('x')",
    'y = getattr(self.a, "b", getattr(__import__("os"), "system")("x")) or getattr(self, "a")',
    'y = getattr(torch, "load")(x)',
    'y = getattr(self, "__class__")(x)',
    "y = self.__class__(x)",
    "y = self.forward.__globals__['os']",
    "y = torch.load('x')",
    "y = torch.ops.aten.save.default(x)",
    "y = torch.ops.load_library('x')",
    "y = operator.call(x, x)",
    "y = x.tofile('x')",
    "y = (lambda: x)()",
    "y = [each for each in x]",
    "y = f'{x}'",
    "import os",
    "exec('x')",
)


@pytest.mark.parametrize("line", PLAIN)
def test_a_program_may_call_its_modules_and_operators(line: str) -> None:
    check_source(f"\n\n\ndef forward(self, x):\n    {line}\n    return x\n", name="model")


@pytest.mark.parametrize("line", STRANGE)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(NetworkError, match="model is refused: it would run"):
        check_source(f"def forward(self, x):\n    {line}\n    return x\n", name="model")


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef forward(self, x):\n    return x",
        "def forward(self, x=print('x')):\n    return x",
        "def forward(self, x: print('x')):\n    return x",
        "@print\ndef forward(self, x):\n    return x",
        "def forward(self, x):\n    def inner():\n        pass\n    return x",
        "def forward(self, x):\n    return x\nprint('x')",
    ],
)
def test_nothing_stands_around_the_one_function(source: str) -> None:
    with pytest.raises(NetworkError, match="model is refused: it would run"):
        check_source(source, name="model")


def test_source_that_is_none_is_refused() -> None:
    with pytest.raises(NetworkError, match="no code can be made"):
        check_source("def forward(self", name="model")


def test_a_program_is_checked_before_it_is_called() -> None:
    graph = fx.Graph()
    graph.output(graph.call_function(print, (graph.placeholder("x"),)))
    program = fx.GraphModule(nn.Module(), graph)
    with pytest.raises(NetworkError, match=r"model is refused: it would run 'print\(x\)'"):
        ConvertedProgram(program, batch_size=None, operators={}, name="model")


def test_programs_within_are_checked_too() -> None:
    inner, outer = fx.Graph(), fx.Graph()
    inner.output(inner.call_function(torch.load, (inner.placeholder("x"),)))
    outer.output(outer.call_module("inner", (outer.placeholder("x"),)))
    root = nn.Module()
    root.inner = fx.GraphModule(nn.Module(), inner)
    program = fx.GraphModule(root, outer)
    with pytest.raises(NetworkError, match="model is refused: it would run"):
        ConvertedProgram(program, batch_size=None, operators={}, name="model")
