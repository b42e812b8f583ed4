"""Loss curves as text: a change of the loop that moves them must be meant.

To accept one: BELIEFMATCH_GOLDEN=write pytest tests/golden, and say why in the commit.
"""

import os
from pathlib import Path

import pytest
import torch

from beliefmatch.training.transfer import Transfer, run_round
from tiny import begin, tiny_transfer, vector_transfer

CURVES: dict[str, Transfer] = {
    "digits": tiny_transfer(rounds=20, batch_size=16),
    "zero_shot": vector_transfer(rounds=20, batch_size=16),
}


@pytest.mark.parametrize("name", CURVES)
def test_the_losses_are_those_on_file(name: str) -> None:
    transfer, state, teacher, fabric = begin(CURVES[name], precision="64-true")
    lines = []
    for _ in range(transfer.rounds):
        record = run_round(transfer, state, teacher, fabric)
        lines.append(f"{record['generator_loss'][-1].item():.12e} {record['student_loss'][-1].item():.12e}")
    path = Path(__file__).parent / f"{name}.txt"
    if os.environ.get("BELIEFMATCH_GOLDEN") == "write":
        path.write_text("\n".join(["generator_loss student_loss", *lines]) + "\n")
    expected, found = (
        [[float(x) for x in line.split()] for line in text] for text in (path.read_text().splitlines()[1:], lines)
    )
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-6, atol=1e-9)
