"""What the outputs of a network mean: which kinds are supported, and which are refused by their name."""

import logging
from typing import Literal

from beliefmatch.errors import NetworkError
from beliefmatch.networks.output_forms import OutputForm

logger = logging.getLogger(__name__)

OutputKind = Literal["logits", "probabilities", "sigmoid", "binary", "multi_label", "regression"]
"""logits, probabilities, sigmoid: see `OutputForm`, of classes of which one is right. binary: one output, for or
against class 1. multi_label: several labels may be true at once. regression: numbers to predict."""
UNSUPPORTED = {
    "multi_label": "a multi-label classifier, whose labels may be true together",
    "regression": "a regression, whose outputs are numbers to predict",
}


def resolve_form(kind: OutputKind | None, *, num_columns: int, role: str) -> OutputForm | None:
    """Return the form of outputs of a kind; None: it is detected by their values.

    Raises:
        NetworkError: the kind is not supported, or has another number of outputs.
    """
    if kind in ("multi_label", "regression"):
        raise NetworkError(
            f"the {role} is {UNSUPPORTED[kind]}; that is not supported yet: a student learns which one of several "
            f"classes is right, and would be wrong here. If the {role} is a classifier of that kind after all, say "
            f"--{role}.outputs {'binary' if num_columns == 1 else 'logits'}"
        )
    if kind == "binary":
        if num_columns != 1:
            raise NetworkError(f"--{role}.outputs binary is for one output, and the {role} has {num_columns}")
        return None
    return kind


def warn_of_unknown_kind(form: OutputForm, *, num_columns: int, role: str) -> None:
    """Write a warning to the log where a teacher's outputs may be of a kind that is not supported.

    Logits of several classes are what nearly all classifiers give; they are mentioned in the model card alone.
    A student's kind is its teacher's.
    """
    if role != "teacher":
        return
    if num_columns == 1:
        logger.warning(
            "the teacher has one output, taken for or against class 1 of two. If it is a regression, results will be "
            "wrong: that is not supported. If it is not, say --teacher.outputs binary."
        )
    elif form == "sigmoid":
        logger.warning(
            "the teacher gives each class a probability by itself, taken as classes of which one is right. If several "
            "labels can be true at once (multi-label), results will be wrong: that is not supported. If not, say "
            "--teacher.outputs sigmoid."
        )
