"""The page: run folders in, one HTML file out that needs no network and nothing beside it."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

from beliefmatch.report.collapses import alarms
from beliefmatch.report.commands import GIVEN
from beliefmatch.report.confidence import confidence_section
from beliefmatch.report.elements import Part, Section
from beliefmatch.report.exports import exports_section
from beliefmatch.report.groups import Group, group_runs
from beliefmatch.report.headline import headline_sentences
from beliefmatch.report.learning_curves import learning_curves_section
from beliefmatch.report.measurement import measurement_section
from beliefmatch.report.metadata import settings_section, student_section
from beliefmatch.report.network_tables import networks_table, run_table
from beliefmatch.report.pseudo_images import pseudo_section
from beliefmatch.report.results import runs_table
from beliefmatch.report.runs import Run, read_runs
from beliefmatch.report.transition_curves import transition_section
from beliefmatch.report.verdict import verdict
from beliefmatch.runs.atomic import write_bytes
from beliefmatch.runs.folder import RunFolder

TEMPLATES = Path(__file__).parent / "templates"


def write_report(folders: Sequence[Path], *, out: Path | None = None, notes: Sequence[str] = ()) -> Path:
    """Write one page about one run or several, side by side.

    Runs that differ in their seed alone are averaged. A run that was cut short is reported as far as it came.

    Args:
        folders: of the runs.
        out: HTML file to write. Default: report.html in the first folder.
        notes: sentences that are not in the run folders, one paragraph each.

    Returns:
        The file that was written.

    Raises:
        FolderError: a folder holds no run, a file in it is damaged, or the page cannot be written.
    """
    runs = read_runs(folders)
    page = render(runs, notes)
    path = RunFolder(runs[0].path).report if out is None else out
    write_bytes(path, page.encode())
    return path


def render(runs: Sequence[Run], notes: Sequence[str] = ()) -> str:
    """Return the page as text. The same runs give the same page."""
    groups = group_runs(runs)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        kind=_kind(runs),
        title=_title(groups),
        sentences=headline_sentences(groups),
        verdict=verdict(groups),
        alarms=alarms(groups),
        notes=[*notes, *_notes(groups)],
        sections=_sections(groups, runs),
    )


def _sections(groups: Sequence[Group], runs: Sequence[Run]) -> list[Section]:
    networks = networks_table(groups)
    tables = (*(() if networks is None else (networks,)), run_table(groups))
    if len(runs) > 1:
        tables += (runs_table(groups),)
    sections = (
        Section(name="results", title="Results", parts=(Part(tables=tables),)),
        measurement_section(groups),
        transition_section(groups),
        learning_curves_section(groups),
        pseudo_section(groups),
        confidence_section(groups),
        exports_section(runs),
        settings_section(groups, runs),
        student_section(runs),
    )
    return [section for section in sections if section is not None]


def _kind(runs: Sequence[Run]) -> str:
    kinds = {run.uses_real_images for run in runs}
    if len(kinds) > 1:
        return "Report of transfers with and without data"
    return f"Report of a transfer {'with real examples' if kinds == {True} else 'without data'}"


def _title(groups: Sequence[Group]) -> str:
    pairs = dict.fromkeys(
        tuple(group.settings.get(f"{network}.architecture", "?") for network in ("teacher", "student"))
        for group in groups
    )
    if len(pairs) > 1:
        return f"{len(groups)} transfers side by side"
    teacher, student = next(iter(pairs))
    # Where a file of the user's own lies is left out, and that a network came from no file.
    first, second = (name.removeprefix(GIVEN).rpartition("/")[2] for name in (teacher, student))
    return f"From {first} to {second}"


def _notes(groups: Sequence[Group]) -> list[str]:
    notes = [_cut_short(run) for group in groups for run in group.runs if run.is_cut_short]
    with_teachers = [group.label for group in groups if group.owns_teachers]
    if with_teachers:
        which = "" if len(with_teachers) == len(groups) else f" of {' and of '.join(with_teachers)}"
        notes.append(f"Each run{which} made a teacher of its own, so deviations over runs are over teachers too.")
    notes += [
        f"Runs of {group.label} were measured on different data, so their deviations are over the data too."
        for group in groups
        if not group.is_measured_alike
    ]
    if not any(run.rows for group in groups for run in group.runs):
        notes.append("No round was logged, so there are no curves.")
    return notes


def _cut_short(run: Run) -> str:
    return (
        f"{run.name} was cut short after round {run.last_round:,} of {run.num_rounds:,}, or is still running. Shown is "
        "what it logged by then. The command that began it continues it; transfer, demo and toy with --resume."
    )
