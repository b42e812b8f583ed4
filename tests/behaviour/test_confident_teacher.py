"""A real teacher so confident that its probabilities underflow, which gave NaN in the first rounds elsewhere."""

from pathlib import Path

import torch

from beliefmatch.networks.loading.network import Network
from beliefmatch.recipes import zero_shot
from beliefmatch.recipes.setup import Setup
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.loop import run_round
from shared_folder import DATA, needs_data
from tiny import begin


@needs_data
def test_the_fashion_lenet_teacher_stays_finite() -> None:
    weights: Path = DATA / "models" / "fashion_mnist" / "lenet5_shitrit.safetensors"
    transfer = zero_shot(
        Setup(
            teacher=Network(architecture="lenet_5", weights=weights),
            student=NamedStudent(architecture="lenet_5_half"),
            shape=(1, 28, 28),
            mean=(0.5,),
            std=(0.5,),
            rounds=4,
            batch_size=32,
        )
    )
    transfer, state, teacher, fabric = begin(transfer)
    least = 1.0
    for _ in range(transfer.rounds):
        run_round(transfer, state, teacher, fabric)
        inputs = transfer.source.samples(state.source, fabric)
        least = min(least, torch.softmax(teacher.outputs(inputs).logits, dim=1).min().item())
    assert state.first_bad_round.item() == -1
    assert all(parameter.isfinite().all() for parameter in state.student.parameters())
    assert least < 1e-38, "the case needs a probability that underflows"
