"""Sensitivity of a pruned student's teacher to lost channels and blocks, measured at the end of a run."""

import copy
import logging

from beliefmatch.errors import BeliefMatchError
from beliefmatch.log_once import log_once
from beliefmatch.networks.pruning.sensitivity import FRACTIONS, NUM_COMPARED, measure_sensitivity
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.pruning import write_sensitivity
from beliefmatch.runs.schema.result import Result
from beliefmatch.students.pruned import PrunedStudent, PruningRequest
from beliefmatch.training.prepare import Prepared

logger = logging.getLogger(__name__)

TRAINING_FRACTION = 0.05
"""Multiply-accumulates that it may cost, as a part of those of the training."""
AT_LEAST, AT_MOST = 1e11, 2e12
"""Multiply-accumulates that it may cost in any case, some seconds on a CPU, and that it never exceeds."""
MOST_LAYERS = 100
"""A network of more takes long to trace."""
LEAST_COMPARED = 64
"""Pseudo inputs below which nothing is measured."""
PASS_WITH_GRADIENT = 3
"""What such a pass costs, in passes without."""


def record_sensitivity(prepared: Prepared, result: Result, folder: RunFolder) -> None:
    """Write sensitivity.json where the student is a pruned one and it costs little beside the training.

    Args:
        prepared: of a run that has finished, without hooks of its own.
        result: of it.
        folder: of it.
    """
    student, teacher = prepared.transfer.student, prepared.teacher
    if not isinstance(student, PrunedStudent):
        return
    is_thin = PruningRequest.parse(student.architecture).method == "thin"
    num_layers = sum(parameter.dim() > 1 for parameter in teacher.module.parameters())
    for_one_input = num_layers * (len(FRACTIONS) if is_thin else 1) * (result.teacher_macs or 1)
    num_affordable = int(_affordable(result) // max(1, for_one_input))
    if num_layers > MOST_LAYERS or num_affordable < LEAST_COMPARED:
        log_once(
            logger,
            logging.INFO,
            "the teacher's sensitivity is not measured, which would take long; the command inspect does it",
        )
        return
    try:
        found = measure_sensitivity(
            copy.deepcopy(teacher.module).cpu().float(),
            teacher.spec,
            num_compared=min(NUM_COMPARED, num_affordable),
            with_groups=is_thin,
            with_blocks=not is_thin,
        )
    except BeliefMatchError as error:
        log_once(logger, logging.INFO, "the teacher's sensitivity is not measured: %s", error)
        return
    write_sensitivity(folder, found)


def _affordable(result: Result) -> float:
    """Return the multiply-accumulates that it may cost."""
    of_student = PASS_WITH_GRADIENT * (result.student_passes or 0) * (result.student_macs or 0)
    of_teacher = (result.teacher_passes or 0) * (result.teacher_macs or 0)
    return min(AT_MOST, max(AT_LEAST, TRAINING_FRACTION * (of_student + of_teacher)))
