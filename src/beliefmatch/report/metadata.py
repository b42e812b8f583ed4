"""The metadata at the end: settings, commands, versions, and how to load a student."""

from collections.abc import Sequence

from beliefmatch.report.commands import GIVEN, began, is_code
from beliefmatch.report.elements import Cell, Part, Section, Table, text_cell
from beliefmatch.report.groups import Group
from beliefmatch.report.pruning import pruning_parts
from beliefmatch.report.quantization import quantization_parts
from beliefmatch.report.runs import Run
from beliefmatch.report.sensitivity import sensitivity_parts
from beliefmatch.report.settings import differing, is_default
from beliefmatch.runs.schema.task import OUTPUT_WORDS

QUIET = frozenset(
    {
        *("teacher", "student", "inputs", "teacher_sha256", "num_processes", "usual_rounds"),
        *("inputs.normalisation_from", "inputs.shape_from"),
    }
)
"""Settings that are folded away, too: what they say is of use to few."""


def settings_section(groups: Sequence[Group], runs: Sequence[Run]) -> Section:
    """Return tables of the settings that differ between groups, and of those that all have in common.

    Settings that have their default, or none, are folded away with the versions.
    """
    differ = set(differing([group.settings for group in groups]))
    tables = []
    if differ:
        tables.append(
            Table(
                caption="Settings that differ",
                columns=("setting", *(group.label for group in groups)),
                rows=tuple(
                    (text_cell(name), *(text_cell(group.settings.get(name, "none")) for group in groups))
                    for name in _names(groups)
                    if name in differ
                ),
                sortable=True,
            )
        )
    common = [(name, _text(groups, name)) for name in _names(groups) if name not in differ]
    chosen = [(name, text) for name, text in common if _tells(groups, name, text)]
    several = len(groups) > 1 or len(groups[0].runs) > 1
    tables.append(_tabulate("Settings of all runs" if several else "Settings of the run", chosen))
    commands = "\n".join(dict.fromkeys(began(run) for group in groups for run in group.runs if run.command))
    parts = [Part(tables=tuple(tables))]
    if commands:
        parts.append(Part(title="Commands", code=commands))
    everything = (_tabulate("All settings, with those that have their default", common), _versions(runs))
    parts.append(Part(tables=everything, folded="All settings and versions"))
    return Section(name="settings", title="Settings", text=f"Seeds: {_seeds(groups)}.", parts=tuple(parts))


def _tells(groups: Sequence[Group], name: str, text: str) -> bool:
    """Whether a setting that all groups have in common says more than its default."""
    quiet = name in QUIET and not (name == "num_processes" and text != "1")
    return (
        not quiet
        and text != "none"
        and not all(is_default(name, run.defaults) for group in groups for run in group.runs)
    )


def _tabulate(caption: str, settings: Sequence[tuple[str, str]]) -> Table:
    rows = tuple((text_cell(name), text_cell(text)) for name, text in settings)
    return Table(caption=caption, columns=("setting", "value"), rows=rows, sortable=True)


def _names(groups: Sequence[Group]) -> dict[str, None]:
    return dict.fromkeys(name for group in groups for name in group.settings)


def _text(groups: Sequence[Group], name: str) -> str:
    return "; ".join(dict.fromkeys(run.settings.get(name, "none") for group in groups for run in group.runs))


def _seeds(groups: Sequence[Group]) -> str:
    return "; ".join(
        f"{f'{group.label}: ' if len(groups) > 1 else ''}{', '.join(str(run.seed) for run in group.runs)}"
        for group in groups
    )


def _versions(runs: Sequence[Run]) -> Table:
    """Return the versions of what computed; where runs differ, each with its run."""
    packages = dict.fromkeys(package for run in runs for package in run.versions)
    rows = tuple((text_cell(package), _version(runs, package)) for package in packages)
    return Table(caption="Versions of what computed", columns=("package", "version"), rows=rows)


def _version(runs: Sequence[Run], package: str) -> Cell:
    by_version: dict[str, list[str]] = {}
    for run in runs:
        by_version.setdefault(run.versions.get(package, "not recorded"), []).append(run.name)
    if len(by_version) == 1:
        return text_cell(next(iter(by_version)))
    return text_cell("; ".join(f"{version} ({', '.join(names)})" for version, names in by_version.items()))


def student_section(runs: Sequence[Run]) -> Section:
    """Return how to load the student of the first run that has one."""
    run = next((run for run in runs if run.student_metadata is not None), None)
    if run is None or run.student_metadata is None:
        text = "There is no student to load yet: continue the run to its end."
        return Section(name="student", title="Loading the student", text=text)
    plan, task = run.student_metadata.plan, run.student_metadata.task
    outputs = f"{run.student_metadata.num_logits} {OUTPUT_WORDS[task]}"
    architecture = run.student_metadata.architecture
    code, how = _loading(run, architecture)
    if run.student_metadata.is_made_of_teacher:
        architecture = f"{run.settings.get('student.architecture', 'made')} of {architecture}"
    others = " The students of the other runs load alike." if len(runs) > 1 else ""
    return Section(
        name="student",
        title="Loading the student",
        text=f"{architecture}, {outputs}, inputs of shape {run.settings.get('inputs.shape', 'unknown')}. Its "
        f"weights are student.safetensors in the run folder; student.json beside them says the rest.{how}{others}",
        parts=(
            Part(code=code),
            *quantization_parts(run.student_metadata.quantization),
            *pruning_parts(plan),
            *sensitivity_parts(run.sensitivity),
        ),
    )


def _loading(run: Run, architecture: str) -> tuple[str, str]:
    """Return the lines of Python that load a student, and a word on what more they need than its folder."""
    argument, how = "", ""
    if architecture.startswith(GIVEN):
        argument = ", architecture=student"
        how = " Its architecture was given in Python, so it has to be given again: a module, or what makes one."
    elif is_code(architecture):
        argument = ", trust_code=True"
        how = (
            " Its architecture is Python code, which is not imported from a folder unless you trust it: read it first."
        )
    call = f"beliefmatch.load_student({str(run.path)!r}{argument})"
    return f"import beliefmatch\n\nstudent = {call}  # an ordinary nn.Module, in eval mode", how
