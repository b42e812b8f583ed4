"""The headline: what came out, in a few sentences that are true for a short run too."""

from collections.abc import Sequence

from beliefmatch.number_texts import three_digits
from beliefmatch.report.groups import Group
from beliefmatch.report.quantities import Kind, show, show_bounds, show_duration, show_mean
from beliefmatch.report.results import estimate_of, has_shared_teacher, missing_words, usual_rounds, values_of
from beliefmatch.report.runs import Run
from beliefmatch.report.scores import kind_of
from beliefmatch.report.transition_curves import describe_error, walks_of

SIZES: tuple[tuple[str, Kind, str, str], ...] = (
    ("parameters", "count", "parameters", "fewer"),
    ("macs", "count", "multiply-accumulates", "fewer"),
    ("latency", "seconds", "latency", "shorter"),
)
"""Fields of result.json with teacher_ and student_ before them: kind, noun, and what a smaller one is."""


def headline_sentences(groups: Sequence[Group]) -> list[str]:
    """Return what came out, in a few sentences for each group."""
    if len(groups) == 1:
        sentences = [*_sentences(groups[0]), _sizes(groups[0])]
    else:
        sentences = [f"{group.label}: {' '.join(_sentences(group))}" for group in groups]
    return [_keep_together(text) for text in sentences if text]


def _keep_together(text: str) -> str:
    """Return a text in which numbers stay on one line with their units."""
    return text.replace(" ± ", "\N{NBSP}±\N{NBSP}").replace(" %", "\N{NBSP}%").replace(" µs", "\N{NBSP}µs")


def _sentences(group: Group) -> list[str]:
    if all(run.is_cut_short for run in group.runs):
        who = "The run has not" if len(group.runs) == 1 else "No run has"
        return [f"{who} come to its end, so there is no result yet."]
    errors = [describe_error(walks) for walks in walks_of(group)]
    return [" ".join((_accuracies(group), *errors)), _training(group)]


def _accuracies(group: Group) -> str:
    """Return how often the networks are right, and how often they agree; of numbers, how near they are."""
    task = group.runs[0].task
    if task == "regression":
        return _errors(group)
    agreement = _value(group, "agreement")
    if not agreement:
        return "Accuracy and agreement were not measured: no data was given."
    student, teacher = (_value(group, f"{network}_accuracy") for network in ("student", "teacher"))
    several = task == "multi_label"
    alike = f"predict {agreement} of the labels alike" if several else f"give the same class to {agreement}"
    found = [f"Both {alike}{_over(group)}."]
    if student and teacher and several:
        found.insert(0, f"The student predicts {student} of the labels right, the teacher {teacher}.")
    elif student and teacher:
        found.insert(0, f"The student gives the right class to {student} of the examples, the teacher to {teacher}.")
    else:
        found.insert(0, f"Accuracy was {missing_words(group.runs, 'student_accuracy')}.")
    return " ".join(found)


def _errors(group: Group) -> str:
    """Return how near the student's numbers are to the teacher's."""
    pairs = [run.measured.numbers.pair for run in group.runs if run.measured is not None and run.measured.numbers]
    if not pairs:
        return "Errors were not measured: no data was given."
    r2, error = (
        f"{show(kind_of(name), getattr(pairs[0], name).value)} {show_bounds(kind_of(name), getattr(pairs[0], name))}"
        if len(pairs) == 1
        else show_mean(kind_of(name), [getattr(pair, name).value for pair in pairs])
        for name in ("r2", "mean_absolute_error")
    )
    return (
        f"The student's numbers explain the teacher's with R\N{SUPERSCRIPT TWO} {r2}{_over(group)}; the mean absolute "
        f"difference is {error}."
    )


def _over(group: Group) -> str:
    mixed = "" if group.is_measured_alike else ", measured on different data"
    return f" (mean ± standard deviation over {group.description}{mixed})" if len(group.runs) > 1 else ""


def _value(group: Group, name: str) -> str:
    """Return a fraction with its interval or its deviation; empty where no run has it."""
    values = values_of(group.runs, name)
    if not values:
        return ""
    partly = f" ({len(values)} of {len(group.runs)} runs)" if len(values) < len(group.runs) else ""
    estimate = estimate_of(group.runs[0].measured, name)
    if len(group.runs) == 1 and estimate is not None:
        return f"{show('fraction', estimate.value)} {show_bounds('fraction', estimate)}"
    return f"{show_mean('fraction', values[:1] if has_shared_teacher(group, name, values) else values)}{partly}"


def _training(group: Group) -> str:
    """Return for how many rounds the students were trained, and of how many."""
    finished = [run for run in group.runs if run.result is not None]
    words = list(dict.fromkeys(_rounds(run) for run in finished))
    who = "It was" if len(group.runs) == 1 else "Each student was"
    return f"{who} trained for {' or '.join(words)}, in {_time(finished)}."


def _time(runs: Sequence[Run]) -> str:
    """Return how long runs took: one that took long in minutes and hours."""
    seconds = [run.seconds for run in runs]
    long = show_duration(seconds[0]).strip("()") if len(runs) == 1 else ""
    return long or show_mean("cost", seconds)


def _rounds(run: Run) -> str:
    usual = usual_rounds(run)
    if usual is None or usual == run.last_round:
        return f"{run.last_round:,} rounds"
    if run.last_round < usual:
        return f"{run.last_round:,} of the {usual:,} rounds that the recipe usually does"
    return f"{run.last_round:,} rounds, more than the {usual:,} that the recipe usually does"


def _sizes(group: Group) -> str:
    """Return parameters, multiply-accumulates and latency of the student beside the teacher's."""
    found = [words for name, kind, noun, less in SIZES if (words := _size(group, name, kind, noun, less))]
    if not found:
        return ""
    return f"The student has {' and '.join(text for text in (', '.join(found[:-1]), found[-1]) if text)}."


def _size(group: Group, name: str, kind: Kind, noun: str, less: str) -> str:
    teacher, student = (values_of(group.runs, f"{network}_{name}") for network in ("teacher", "student"))
    if not teacher or not student or min(*teacher, *student) <= 0:
        return ""
    before, after = sum(teacher) / len(teacher), sum(student) / len(student)
    is_time = kind == "seconds"
    numbers = f"a {noun} of {show(kind, after)}" if is_time else f"{show(kind, after)} {noun}"
    what = " for one example" if is_time else ""
    return f"{numbers}{what} (teacher: {show(kind, before)}, {_compare(before, after, less, is_time=is_time)})"


def _compare(teacher: float, student: float, less: str, *, is_time: bool) -> str:
    """Return what a number of the student is beside the teacher's, such as 2.3 times fewer."""
    words = three_digits(max(teacher, student) / min(teacher, student))
    if words == "1":
        return "as long" if is_time else "as many"
    if teacher > student:
        return f"so {words} times {less}"
    return f"so {words} times {'longer' if is_time else 'as many'}"
