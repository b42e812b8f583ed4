"""Compiled networks and rounds against eager ones. Compiling takes a C++ compiler."""

import copy
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from beliefmatch.networks.taps import TapPair, outputs_of
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.execution.choice import choose_execution
from beliefmatch.training.execution.compiled import CompiledForward
from beliefmatch.training.options import ExecutionName
from tiny import begin, make_conv_teacher, named, tiny_transfer

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="torch.compile needs a C++ compiler"
)


def test_a_compiled_network_answers_is_read_and_learns_as_an_eager_one() -> None:
    eager = make_conv_teacher().train()
    network = copy.deepcopy(eager)
    passes: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: passes.append(len(inputs[0])))
    compiled = CompiledForward(network, outputs=["2"], inputs=["1"])
    batch = torch.randn(6, 1, 8, 8)
    for _ in range(2):
        # Without taps first: reading some later must not depend on what was there when it was compiled.
        outputs_of(network, batch)
        outputs_of(eager, batch)
        ours, theirs = (outputs_of(each, batch, outputs=["2"], inputs=["1"]) for each in (network, eager))
        assert_close(ours.logits, theirs.logits)
        assert_close(ours.activations, theirs.activations)
        assert_close(ours.inputs, theirs.inputs)
        for each in (ours, theirs):
            (each.logits.square().mean() + each.activations["2"].mean()).backward()
    assert passes == [6] * 4
    for mine, other in zip(network.parameters(), eager.parameters(), strict=True):
        assert_close(mine.grad, other.grad)
    assert_close(dict(network.named_buffers()), dict(eager.named_buffers()))

    compiled.remove()
    assert "forward" not in vars(network)
    assert not any(module._forward_hooks for module in network.modules())
    assert not any(module._forward_pre_hooks for module in list(network.modules())[1:])
    assert isinstance(network, nn.Sequential)


@pytest.mark.long
# torch's compiler looks at every attribute of its inputs.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_rounds_with_compiled_networks_agree_with_eager_ones() -> None:
    """With attention, statistics of batch-norm layers, and everything float64: compiling changes the order of sums."""
    transfer = replace(
        tiny_transfer(),
        student=NamedStudent(architecture=named("make_conv_teacher")),
        objective=BeliefMatching(attention_weight=1.0, taps=(TapPair(teacher="1", student="2"),)),
    )
    found = []
    executions: tuple[ExecutionName, ...] = ("eager", "compiled")
    for execution in executions:
        resolved, state, teacher, fabric = begin(transfer, precision="64-true")
        doing = choose_execution(execution, resolved, state, teacher, fabric)
        records = [doing.next() for _ in range(3)]
        doing.close()
        found.append((records, state.student.state_dict()))
    for ours, theirs in zip(found[1][0], found[0][0], strict=True):
        assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
    assert_close(found[1][1], found[0][1], rtol=1e-6, atol=1e-9)


def test_a_forward_pass_that_a_network_was_given_comes_back() -> None:
    network = nn.Linear(2, 2)
    given = network.forward = lambda input: 2 * input  # noqa: A006
    CompiledForward(network).remove()
    assert network.forward is given
