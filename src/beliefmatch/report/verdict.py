"""The verdict: what was measured, what was not, and the next command to type."""

from collections.abc import Sequence

from beliefmatch.report.commands import continued, on_folder
from beliefmatch.report.elements import Verdict
from beliefmatch.report.groups import Group, count
from beliefmatch.report.quantities import capital
from beliefmatch.report.runs import Run
from beliefmatch.runs.schema.task import TaskName

TRANSITION = "the mean transition error"
QUANTITIES: dict[TaskName, tuple[str, ...]] = {
    "single_label": ("accuracy", "agreement", "the calibration error", TRANSITION),
    "multi_label": ("accuracy of labels", "agreement", "F1"),
    "regression": ("errors and R\N{SUPERSCRIPT TWO}",),
}
"""By what outputs predict: what can be measured."""


FIRST = ("agreement", "errors and R\N{SUPERSCRIPT TWO}")
"""What is measured before anything else."""


def verdict(groups: Sequence[Group]) -> Verdict:
    """Return what was measured over all runs, what was not, and what to do next."""
    runs = [run for group in groups for run in group.runs]
    names = list(dict.fromkeys(name for run in runs for name in QUANTITIES[run.task]))
    missing = {
        name: [run for run in runs if name in QUANTITIES[run.task] and name not in _measured(run)] for name in names
    }
    concerned = {name: [run for run in runs if name in QUANTITIES[run.task]] for name in names}
    there = {
        name: f"{name}{_some(concerned[name], missing[name])}"
        for name in names
        if len(missing[name]) < len(concerned[name])
    }
    walks = f"; {there.pop(TRANSITION)}{_on_few(runs)}" if TRANSITION in there else ""
    absent = [name for name in names if len(missing[name]) == len(concerned[name])]
    advice, command = _next(runs, missing)
    return Verdict(
        measured=f"{capital(_list([*there.values()]))}{_on(runs)}{walks}." if there else "Nothing on real data.",
        unmeasured=f"{capital(_list(absent))}." if absent else "",
        advice=advice,
        command=command,
    )


def _measured(run: Run) -> set[str]:
    result, record = run.result, run.measured
    if result is None:
        return set()
    found = {
        "accuracy": result.student_accuracy is not None,
        "accuracy of labels": result.student_accuracy is not None,
        "F1": record is not None and record.labels is not None,
        "errors and R\N{SUPERSCRIPT TWO}": record is not None and record.numbers is not None,
        "agreement": result.agreement is not None,
        "the calibration error": record is not None and record.student is not None,
        TRANSITION: record is not None and record.transition is not None,
    }
    return {name for name, is_there in found.items() if is_there}


def _some(runs: Sequence[Run], missing: Sequence[Run]) -> str:
    return f" ({len(runs) - len(missing)} of {len(runs)} runs)" if missing else ""


def _on(runs: Sequence[Run]) -> str:
    """Return on what was measured, where all runs were measured on the same examples."""
    sets = {(run.measured.num_images, run.measured.images) for run in runs if run.measured is not None}
    if len(sets) != 1:
        return ""
    ((number, name),) = sets
    return f", on {count(number, 'example')}{f' of {name}' if name else ''}"


def _on_few(runs: Sequence[Run]) -> str:
    """Return on how many examples paths were walked, where all runs have as many."""
    walked = [run.measured.transition for run in runs if run.measured is not None]
    numbers = {transition.num_images for transition in walked if transition is not None}
    return f", on {count(min(numbers), 'example')}" if len(numbers) == 1 else ""


def _list(names: Sequence[str]) -> str:
    *first, end = names
    return f"{', '.join(first)} and {end}" if first else end


def _next(runs: Sequence[Run], missing: dict[str, list[Run]]) -> tuple[str, str]:
    """Return a sentence on what to do next, and the command for it."""
    cut_short = [run for run in runs if run.is_cut_short]
    if cut_short:
        return f"Continue {cut_short[0].name} to its end.", continued(cut_short[0])
    steps = (
        *((name, "Measure it on examples of yours.", ("measure", "--images", "FILE.npz")) for name in FIRST),
        ("a file", "Export the student as a file to deploy: none was exported yet.", ("export", "--to", "onnx")),
        (
            TRANSITION,
            "Measure where the two part between classes; this takes long.",
            ("measure", "--images", "FILE.npz", "--transition", "200"),
        ),
    )
    lacking = missing | {"a file": [run for run in runs if run.result is not None and not run.result.exports]}
    for name, advice, (command, *flags) in steps:
        if lacking.get(name):
            return advice, on_folder(command, lacking[name][0], flags)
    return "Deploy the exported file; the model card beside it says how to load it.", ""
