"""What students share that are made of their teacher's own layers: pruned ones, and those in few bits."""

import copy
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn

from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.output_forms import LogitsHook
from beliefmatch.networks.outputs import logits_of
from beliefmatch.networks.pseudo_inputs import draw_pseudo_inputs
from beliefmatch.networks.teacher import Teacher
from beliefmatch.students.base import AbstractStudent
from beliefmatch.students.named import NamedStudent


@dataclass(frozen=True, kw_only=True)
class AbstractStudentOfTeacher(AbstractStudent):
    """A student whose name asks for one that is made of its teacher. It starts with the teacher's weights."""

    @classmethod
    def of(cls, student: NamedStudent) -> Self:
        """Return what a student stands for that has such a name."""
        return cls(**vars(student))

    @property
    def has_weights(self) -> bool:
        """Whether weights to start from are given by a file."""
        return self.weights is not None


def copy_teacher(teacher: Teacher) -> nn.Module:
    """Return a copy of the teacher's network, on the CPU, in 32 bits."""
    return copy.deepcopy(teacher.module).cpu().float()


def count_outputs(network: nn.Module, teacher: Teacher) -> int:
    """Return the number of outputs before they become logits: a network of a single one has two classes."""
    bare = copy.deepcopy(network)
    for key, hook in list(bare._forward_hooks.items()):
        if isinstance(hook, LogitsHook):
            del bare._forward_hooks[key]
    batch = draw_pseudo_inputs(teacher.spec, 2)
    with evaluating(bare), torch.no_grad():
        output = bare(batch.to(next(iter(bare.parameters()), batch)))
    return logits_of(output, network=type(network).__name__, batch_size=len(batch)).shape[1]
