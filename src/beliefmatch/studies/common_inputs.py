"""Agreement of all students of a comparison on one set of inputs, where no data was given."""

from collections.abc import Sequence
from typing import Any

import torch

from beliefmatch.measurement.predictions import BATCH_SIZE, run_pair
from beliefmatch.measurement.probe import Probe, make_probe
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.networks.examples import Inputs
from beliefmatch.networks.placement import keep_what_serves
from beliefmatch.setting_names import Setting
from beliefmatch.studies.sweep import Outcome, Row
from beliefmatch.training.precision import make_fabric
from beliefmatch.training.trusted_code import code_named_in

COUNT, REFINING_STEPS = 256, 10
"""Inputs of each family, and steps that refine them. docs/estimate.md judged 160 to 512 inputs and 8 to 30 steps."""


def what_agreement_tells() -> str:
    """Return what agreement on common inputs can tell, and what not."""
    return (
        "no data was given, so no accuracy was measured. Agreement with the teacher is on procedural inputs that are "
        "the same for all runs; recipes are in its order. It does not tell how good a student is on real data. Of two "
        "students of one teacher that differed by 3 points or more on real data, it named the better one in 93 % of "
        f"681 cases (see docs/estimate.md); compare again with {Setting('images', placeholder='FILE.npz')} to measure"
    )


def agree_on_common_inputs(rows: Sequence[Row[Any]]) -> list[tuple[float | None, ...]]:
    """Compute how far each run's student agrees with the teacher on a probe that is the same for all runs.

    The classes of the teacher, or its most probable labels, count evenly.

    Args:
        rows: of the sweep, one a recipe; all have one teacher.

    Returns:
        Of each row the agreement of each run: a fraction of classes or labels in [0, 1], or R^2 of numbers; None for a
        run that came to no end.
    """
    finished = [each for row in rows for each in row.outcomes if each.result]
    if not finished:
        return [(None,) * len(row.outcomes) for row in rows]
    with torch.random.fork_rng(devices=[]):
        teacher = _stored(finished[0]).load_teacher()
        keep_what_serves(teacher.module, teacher.spec, role="teacher")
        probe = make_probe(teacher, count=COUNT, fabric=make_fabric("cpu", "32-true"), refining_steps=REFINING_STEPS)
        return [tuple(_agree(each, probe) if each.result else None for each in row.outcomes) for row in rows]


def _stored(outcome: Outcome[Any]) -> StoredRun:
    """Return a run, whose folder may name the code that the caller named for it."""
    return StoredRun(folder=outcome.folder, trust_code=code_named_in(outcome.cell.transfer(outcome.seed)))


def _agree(outcome: Outcome[Any], probe: Probe) -> float:
    teacher, student = _stored(outcome).load_pair()
    inputs = Inputs(inputs=probe.inputs)
    expected, found = run_pair(
        teacher.module, student, teacher.spec, inputs, batch_size=BATCH_SIZE, read=lambda *outputs: outputs
    )
    return float(teacher.task.agreement(expected, found, probe.weights["balanced"]))
