"""One round of adversarial belief matching as its released code does it: the yardstick of benchmarks/round.py.

In 32 bits and contiguous memory; the generator runs anew in each of the eleven sub-steps and gradients flow back into
it in all of them; gradients are computed for the parameters of all networks that they pass, the teacher's too; each
optimiser goes tensor by tensor. For 40-2 -> 16-1 that is 768 GMAC a round.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize, softmax
from torch.nn.utils import clip_grad_norm_

from beliefmatch.networks.taps import Outputs, outputs_of
from reference.plain_generator import plain_generator

NOISE_SIZE = 100
NUM_STUDENT_STEPS = 10
ATTENTION_WEIGHT = 250.0
CLIP = 5.0


@dataclass
class NaiveRound:
    """Teacher, student and generator on one device, contiguous, and what moves them."""

    teacher: nn.Module
    student: nn.Module
    generator: nn.Module
    optimisers: tuple[torch.optim.Adam, torch.optim.Adam]
    batch_size: int
    device: torch.device

    @classmethod
    def start(
        cls, teacher: nn.Module, student: nn.Module, shape: tuple[int, int, int], batch_size: int, device: torch.device
    ) -> "NaiveRound":
        """Put the networks on a device and make a generator and both optimisers."""
        generator = plain_generator(NOISE_SIZE, shape).to(device)
        teacher, student = teacher.to(device).eval(), student.to(device).train()
        optimisers = (
            torch.optim.Adam(generator.parameters(), lr=1e-3, foreach=False),
            torch.optim.Adam(student.parameters(), lr=2e-3, foreach=False),
        )
        return cls(teacher, student, generator, optimisers, batch_size, device)

    def next(self) -> None:
        """Do one round: a generator step, then ten student steps, all on the same noise."""
        noise = torch.randn(self.batch_size, NOISE_SIZE, device=self.device)
        inputs = self.generator(noise)
        teacher_outputs, student_outputs = self._answer(self.teacher, inputs), self._answer(self.student, inputs)
        self._step(-_divergence(teacher_outputs, student_outputs), self.generator, self.optimisers[0])
        for number in range(NUM_STUDENT_STEPS):
            inputs = self.generator(noise)
            if number == 0:
                with torch.no_grad():
                    teacher_outputs = self._answer(self.teacher, inputs)
            student_outputs = self._answer(self.student, inputs)
            loss = _divergence(teacher_outputs, student_outputs) + ATTENTION_WEIGHT * _attention(
                teacher_outputs, student_outputs
            )
            self._step(loss, self.student, self.optimisers[1])

    def _answer(self, network: nn.Module, inputs: Tensor) -> Outputs:
        return outputs_of(network, inputs, outputs=getattr(network, "attention_taps", ()))

    def _step(self, loss: Tensor, network: nn.Module, optimiser: torch.optim.Adam) -> None:
        for each in (self.teacher, self.student, self.generator):
            each.zero_grad()
        loss.backward()
        clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()


def _divergence(teacher_outputs: Outputs, student_outputs: Outputs) -> Tensor:
    target = softmax(teacher_outputs.logits, dim=1)
    return (target * (target.clamp_min(1e-30).log() - log_softmax(student_outputs.logits, dim=1))).mean()


def _attention(teacher_outputs: Outputs, student_outputs: Outputs) -> Tensor:
    terms = [
        (_map(first) - _map(second)).pow(2).mean()
        for first, second in zip(
            teacher_outputs.activations.values(), student_outputs.activations.values(), strict=True
        )
    ]
    return torch.stack(terms).sum() if terms else torch.zeros((), device=teacher_outputs.logits.device)


def _map(activation: Tensor) -> Tensor:
    return normalize(activation.pow(2).mean(dim=1).flatten(1), dim=1)
