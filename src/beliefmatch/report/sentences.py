"""What came out, in a sentence or two for each group."""

from collections.abc import Sequence

from beliefmatch.report.groups import Group
from beliefmatch.report.quantities import UNMEASURED, plainly, show, show_bounds, show_mean
from beliefmatch.report.results import estimate_of, missing_words, values_of
from beliefmatch.report.transition import alike, tell_error

MEASURED = (
    ("Student accuracy", "student_accuracy"),
    ("teacher accuracy", "teacher_accuracy"),
    ("agreement", "agreement"),
)


def headline_sentences(groups: Sequence[Group]) -> list[str]:
    """Say for each group in a sentence or two what came out."""
    single = len(groups) == 1
    told = [f"{'' if single else f'{group.label}: '}{_sentence(group, alone=single)}" for group in groups]
    # Numbers stay on one line with their units.
    return [text.replace(" ± ", "\N{NBSP}±\N{NBSP}").replace(" %", "\N{NBSP}%") for text in told]


def _sentence(group: Group, *, alone: bool) -> str:
    mixed = "" if group.is_measured_alike else ", measured on different data"
    over = f" (mean ± standard deviation over {group.description}{mixed})" if len(group.runs) > 1 else ""
    said = [f"{title} {told}" for title, name in MEASURED if (told := _told(group, name))]
    if all(run.is_cut_short for run in group.runs):
        who = "The run" if len(group.runs) == 1 else "No run"
        text = f"{who} has {'not ' if len(group.runs) == 1 else ''}come to its end, so there is no result yet."
    elif said:
        text = f"{'; '.join(said)}{over}."
    else:
        text = f"{UNMEASURED[0].upper()}{UNMEASURED[1:]}."
    errors = [tell_error(walks) for walks in alike(group)]
    return " ".join(
        (text, *(f"{error[0].upper()}{error[1:]}." for error in errors), _smaller(group) if alone else "")
    ).strip()


def _told(group: Group, name: str) -> str:
    values = values_of(group.runs, name)
    if not values:
        return missing_words(group.runs, name) if values_of(group.runs, "agreement") else ""
    partly = f" ({len(values)} of {len(group.runs)} runs)" if len(values) < len(group.runs) else ""
    estimate = estimate_of(group.runs[0].measured, name)
    if len(group.runs) == 1 and estimate is not None:
        return f"{show('fraction', estimate.value)} {show_bounds('fraction', estimate)}"
    same_teacher = name == "teacher_accuracy" and not group.owns_teachers and len(set(values)) == 1
    return f"{show_mean('fraction', values[:1] if same_teacher else values)}{partly}"


def _smaller(group: Group) -> str:
    result = next((run.result for run in group.runs if run.result is not None), None)
    if result is None:
        return ""
    told = [_compare(result.teacher_parameters, result.student_parameters, "parameters")]
    if result.teacher_macs and result.student_macs:
        told.append(_compare(result.teacher_macs, result.student_macs, "multiply-accumulates"))
    return f"Against the teacher, the student has {' and '.join(told)}."


def _compare(teacher: int, student: int, noun: str) -> str:
    if teacher == student or not student:
        return f"as many {noun}"
    if teacher > student:
        return f"{plainly(teacher / student)} times fewer {noun}"
    return f"{plainly(student / teacher)} times as many {noun}"
