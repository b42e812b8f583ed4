"""Agreement of all students of a comparison on one set of inputs, where no data was given."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from beliefmatch.export.pseudo_inputs import draw_pseudo
from beliefmatch.measurement.predictions import BATCH_SIZE, predict
from beliefmatch.measurement.run import load_pair, load_teacher
from beliefmatch.networks.examples import Inputs
from beliefmatch.recipes.stored import read_transfer
from beliefmatch.studies.sweep import Outcome, Row
from beliefmatch.training.trusted_code import TrustedCode, code_named_in

WHAT_IT_TELLS = (
    "no data was given, so no accuracy was measured. Agreement with the teacher is on one set of inputs for all runs, "
    "an equal part from each recipe's own source: it tells which student follows the teacher on made-up inputs, and "
    "not how good any is on real data; repeat the command with --images FILE.npz for that"
)
"""What agreement on common inputs can tell, and what not."""


def agree_on_common_inputs(rows: Sequence[Row[Any]]) -> list[tuple[float | None, ...]]:
    """Compute how often each run's student gives the teacher's class on inputs that are the same for all runs.

    Args:
        rows: of the sweep, one a recipe.

    Returns:
        Of each row the agreement of each run, in [0, 1]; None for a run that came to no end.
    """
    with torch.random.fork_rng(devices=[]):
        inputs = [_draw(finished[0]) for row in rows if (finished := [each for each in row.outcomes if each.result])]
        if not inputs:
            return [(None,) * len(row.outcomes) for row in rows]
        common = Inputs(inputs=torch.cat(inputs))
        return [tuple(_agree(each, common) if each.result else None for each in row.outcomes) for row in rows]


def _trusted(outcome: Outcome[Any]) -> TrustedCode:
    """Return the code that the folder may name: what the caller named for this run."""
    return code_named_in(outcome.cell.transfer(outcome.seed))


def _draw(outcome: Outcome[Any]) -> Tensor:
    """Return inputs of the source of a finished run, (256, *shape)."""
    trusted = _trusted(outcome)
    teacher = load_teacher(outcome.folder, trust_code=trusted)
    transfer = read_transfer(outcome.folder, trust_code=trusted)
    return draw_pseudo(outcome.folder, transfer, teacher, trust_code=trusted).inputs


def _agree(outcome: Outcome[Any], common: Inputs) -> float:
    teacher, student = load_pair(outcome.folder, trust_code=_trusted(outcome))
    found = predict(teacher.module, student, teacher.spec, common, batch_size=BATCH_SIZE)
    return float(found.alike.double().mean())
