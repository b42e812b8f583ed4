"""What a user or a configuration says of a network's outputs: what they predict, and in which form."""

import logging
from typing import TYPE_CHECKING, Any, Literal, get_args

from beliefmatch.errors import NetworkError, SettingsError, did_you_mean
from beliefmatch.log_once import log_once
from beliefmatch.runs.schema.task import TaskName
from beliefmatch.setting_names import Setting, where_known

if TYPE_CHECKING:
    from beliefmatch.networks.output_forms import OutputForm

logger = logging.getLogger(__name__)

OutputKind = Literal["logits", "probabilities", "sigmoid", "binary", "multi_label", "regression"]
"""logits, probabilities, sigmoid: see `OutputForm`, of classes of which one is right. binary: one output, for or
against class 1. multi_label: several labels may be true at once. regression: numbers to predict."""
OF_PROBLEM: dict[str, OutputKind] = {
    "multi_label_classification": "multi_label",
    "regression": "regression",
    "single_label_classification": "logits",
}
"""By problem_type of a configuration of transformers."""


def check_kind(kind: str | None) -> None:
    """Check that a kind of outputs is one that we know.

    Raises:
        SettingsError: it is not.
    """
    if kind is not None and kind not in get_args(OutputKind):
        raise SettingsError(f"no outputs {kind!r}; {did_you_mean(str(kind), get_args(OutputKind))}")


def resolve_kind(kind: OutputKind | None, *, num_columns: int, role: str) -> "tuple[TaskName, OutputForm | None]":
    """Return what outputs of a kind predict, and their form; None: it is detected.

    Raises:
        NetworkError: the network has another number of outputs than the kind.
        SettingsError: there is no such kind.
    """
    check_kind(kind)
    match kind:
        case "multi_label":
            return "multi_label", None
        case "regression":
            return "regression", "logits"
        case "binary":
            if num_columns != 1:
                setting = Setting(f"{role}.outputs", kind)
                raise NetworkError(f"{setting} is for one output, and the {role} has {num_columns}")
            return "single_label", None
        case _:
            return "single_label", kind


def kind_of(task: TaskName, form: "OutputForm | None") -> OutputKind | None:
    """Return the kind that stands for a task and a form; None: nothing has to be said."""
    return form if task == "single_label" else task


def configured_kind(config: Any) -> OutputKind | None:
    """Return what a configuration of transformers says; a single output is a regression to it. None: it does not."""
    if not hasattr(config, "problem_type"):
        return None
    kind = OF_PROBLEM.get(str(config.problem_type))
    return kind or ("regression" if getattr(config, "num_labels", None) == 1 else None)


def warn_of_unknown_kind(form: "OutputForm", *, num_columns: int, role: str) -> None:
    """Write to the log what a teacher's outputs are taken for, where neither user nor configuration says.

    A student's kind is its teacher's.
    """
    if role != "teacher":
        return
    if num_columns == 1:
        log_once(
            logger,
            logging.WARNING,
            "the teacher has one output, taken for or against class 1 of two. If it is a regression, results will be "
            "wrong: say %s. If it is not, say %s.",
            Setting("teacher.outputs", "regression"),
            Setting("teacher.outputs", "binary"),
        )
    elif form == "sigmoid":
        log_once(
            logger,
            logging.WARNING,
            "the teacher gives each class a probability by itself, taken as classes of which one is right. If several "
            "labels can be true at once, results will be wrong: say %s. If not, say %s.",
            Setting("teacher.outputs", "multi_label"),
            Setting("teacher.outputs", "sigmoid"),
        )
    elif form == "logits":
        log_once(
            logger,
            logging.INFO,
            "the teacher's %d outputs are taken as logits of classes of which one is right%s",
            num_columns,
            where_known("; otherwise say {} or regression", Setting("teacher.outputs", "multi_label")),
        )
