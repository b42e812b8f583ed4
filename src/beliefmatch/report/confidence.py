"""Confidence and class balance of both networks on the batches, and the diversity of these, against rounds."""

from collections.abc import Mapping, Sequence

from beliefmatch.report.class_frequencies import MAX_STACKED, draw_frequencies, effective_classes, num_classes_of
from beliefmatch.report.curves import Read, band_note, curves_of, draw_curves, entry
from beliefmatch.report.elements import Part, Picture, Section
from beliefmatch.report.groups import Group, batches_of
from beliefmatch.report.quantities import capital
from beliefmatch.runs.schema.task import TaskName

NETWORKS = ("student", "teacher")
TITLES: dict[TaskName, str] = {
    "single_label": "Confidence and classes",
    "multi_label": "Confidence",
    "regression": "Diversity",
}
"""By what outputs predict: what the section is called."""
SUBJECTS: dict[TaskName, str] = {
    "single_label": "What both networks return for",
    "multi_label": "What both networks return for",
    "regression": "Inputs in",
}
"""By what outputs predict: what the section is about. Numbers have no confidence."""
UNIT = (0.0, 1.02)
"""Limits of the axis of a fraction; the margin keeps a line at 1 in sight."""


def confidence_section(groups: Sequence[Group]) -> Section | None:
    """Return figures of confidence and class balance of both networks; None where no run logged them."""
    pictures = [*_gap(groups), *_confidence(groups), *_effective_classes(groups), *_diversity(groups)]
    if len(groups) == 1 and 0 < num_classes_of(groups[0]) <= MAX_STACKED:
        pictures += [draw_frequencies(groups[0], network) for network in reversed(NETWORKS)]
    if not pictures:
        return None
    return Section(
        name="balance",
        title=TITLES[groups[0].runs[0].task],
        text=f"{SUBJECTS[groups[0].runs[0].task]} the {batches_of(groups)} that the student was trained on. "
        f"{band_note(groups)}".strip(),
        parts=_parts(pictures, is_measured=any(run.measured is not None for group in groups for run in group.runs)),
    )


def _parts(pictures: Sequence[Picture], *, is_measured: bool) -> tuple[Part, ...]:
    """Return figures folded away; the first stays in sight where nothing better tells how good a student is."""
    if is_measured:
        return (Part(pictures=tuple(pictures), folded=f"{len(pictures)} figure{'s' if pictures[1:] else ''}"),)
    rest = (Part(pictures=tuple(pictures[1:]), folded="More figures"),) if pictures[1:] else ()
    return Part(pictures=tuple(pictures[:1])), *rest


def _confidence(groups: Sequence[Group]) -> list[Picture]:
    of_labels = any(run.task == "multi_label" for group in groups for run in group.runs)
    what = "what is predicted of a label, mean over labels" if of_labels else "the most likely class"
    return _draw(
        groups,
        {network: entry(f"{network}_confidence") for network in NETWORKS},
        title="confidence",
        note=f"Probability of {what}, mean over a batch.",
        ylabel="confidence",
        limits=UNIT,
    )


def _gap(groups: Sequence[Group]) -> list[Picture]:
    note = (
        "Teacher's confidence less the student's. In public runs on CIFAR-10 it shrank as the student became accurate "
        "on real data, while losses did not tell."
    )
    return _draw(groups, {"": entry("confidence_gap")}, title="confidence gap", note=note, ylabel="confidence gap")


def _effective_classes(groups: Sequence[Group]) -> list[Picture]:
    few = max(num_classes_of(group) for group in groups) <= MAX_STACKED
    return _draw(
        groups,
        {network: effective_classes(network) for network in NETWORKS},
        title="effective number of classes",
        note="Exponential of the entropy of the classes that a network gives: as many equally frequent classes "
        f"would spread as evenly.{'' if few else ' A round of fewer examples than classes cannot show them all.'}",
        ylabel="effective classes",
    )


def _diversity(groups: Sequence[Group]) -> list[Picture]:
    return _draw(
        groups,
        {"": entry("batch_diversity")},
        title=f"diversity of {batches_of(groups)}",
        note="Standard deviation over the examples of a batch, as a fraction of the size of its inputs: 0 where all "
        "examples are alike.",
        ylabel="batch diversity",
        limits=UNIT,
    )


def _draw(
    groups: Sequence[Group],
    reads: Mapping[str, Read],
    *,
    title: str,
    note: str,
    ylabel: str,
    limits: tuple[float, float] | None = None,
) -> list[Picture]:
    """Return one figure of both networks for a single group, and one of each network for several groups."""
    found = {network: curves_of(groups, read, label=network or ylabel) for network, read in reads.items()}
    if len(groups) == 1:
        found = {"": [curve for curves in found.values() for curve in curves]}
    pictures = []
    for network, curves in found.items():
        if curves:
            whose = f"{network}'s " if network else ""
            pictures.append(
                draw_curves(
                    curves, title=capital(f"{whose}{title}"), note=note, ylabel=f"{whose}{ylabel}", limits=limits
                )
            )
    return pictures
