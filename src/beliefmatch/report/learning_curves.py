"""The learning curves: losses with their terms, and agreement on the batches of a run, against rounds."""

from collections.abc import Sequence

from beliefmatch.report.curves import band_note, curves_of, draw_curves, entry
from beliefmatch.report.elements import Part, Picture, Section
from beliefmatch.report.groups import Group, batches_of
from beliefmatch.report.quantities import capital

LOSS = "_loss"
OTHER_ROWS = (
    "_loss",
    "_norm",
    "_confidence",
    "_classes",
    "_largest_class",
    "_diversity",
    "_steps",
    "_spread",
    "_fixed_labels",
    "_label_frequencies",
)
"""Ends of names that are not parts of a loss."""


def learning_curves_section(groups: Sequence[Group]) -> Section | None:
    """Return figures of losses and agreement; None where no run logged any."""
    names = sorted(_logged(groups), key=lambda name: name != "student_loss")
    losses = [_draw_loss(groups, name, names) for name in names if name.endswith(LOSS)]
    pictures = losses[:1]
    if "batch_agreement" in names:
        pictures.insert(0, _draw_agreement(groups))
    if "batch_r2" in names:
        pictures.insert(0, _draw_r2(groups))
    if not pictures:
        return None
    parts = [Part(pictures=tuple(pictures))]
    if losses[1:]:
        parts.append(Part(pictures=tuple(losses[1:]), folded="More losses"))
    return Section(name="curves", title="Learning curves", text=band_note(groups), parts=tuple(parts))


def loss_terms_of(loss: str, names: Sequence[str]) -> list[str]:
    """Return the logged numbers that are terms of a loss."""
    return [name for name in names if name.startswith(f"{loss.removesuffix(LOSS)}_") and not name.endswith(OTHER_ROWS)]


def _logged(groups: Sequence[Group]) -> list[str]:
    rows = [row for group in groups for run in group.runs for row in (*run.rows[:1], *run.rows[-1:])]
    return list(dict.fromkeys(name for row in rows for name in row))


def _draw_loss(groups: Sequence[Group], loss: str, names: Sequence[str]) -> Picture:
    drawn, note = [loss], f"Mean over {batches_of(groups)}, as it was minimised."
    terms = loss_terms_of(loss, names)
    if len(groups) == 1 and len(terms) > 1:
        drawn += terms
        note += " Its terms are drawn with it."
    curves = [curve for name in drawn for curve in curves_of(groups, entry(name), label=_words(name))]
    return draw_curves(curves, title=capital(_words(loss)), note=note, ylabel=_words(loss))


def _draw_r2(groups: Sequence[Group]) -> Picture:
    return draw_curves(
        curves_of(groups, entry("batch_r2"), label="batch R\N{SUPERSCRIPT TWO}"),
        title=f"R\N{SUPERSCRIPT TWO} on {batches_of(groups)}",
        note="Part of the variance of the teacher's numbers in a batch that the student's explain. Below 0 the mean of "
        "the teacher's would be nearer; such values lie under the figure.",
        ylabel="batch R\N{SUPERSCRIPT TWO}",
        limits=(0.0, 1.02),
    )


def _draw_agreement(groups: Sequence[Group]) -> Picture:
    several = any(run.task == "multi_label" for group in groups for run in group.runs)
    alike = "a batch to which both networks give the same class"
    if several:
        alike = "the labels of a batch that both networks predict alike"
    return draw_curves(
        curves_of(groups, entry("batch_agreement"), label="batch agreement"),
        title=f"Agreement on {batches_of(groups)}",
        note=f"Fraction of {alike}.",
        ylabel="batch agreement",
        limits=(0.0, 1.02),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
