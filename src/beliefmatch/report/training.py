"""The section of learning curves: losses, and agreement on the batches of a run."""

from collections.abc import Sequence

from beliefmatch.report.curves import Curve, draw_curves, entry, gather
from beliefmatch.report.elements import Part, Picture, Section
from beliefmatch.report.groups import Group

LOSS = "_loss"
NO_TERMS = ("_loss", "_gradient_norm", "_confidence", "_classes", "_largest_class", "_diversity", "_steps")
"""Ends of names that are not parts of a loss."""


def training_section(groups: Sequence[Group]) -> Section | None:
    """Draw losses and agreement against rounds; None where no run logged any."""
    names = sorted(_logged(groups), key=lambda name: name != "student_loss")
    losses = [name for name in names if name.endswith(LOSS)]
    pictures = [_draw_loss(groups, name, names) for name in losses]
    if "batch_agreement" in names:
        pictures.append(_draw_agreement(groups))
    if not pictures:
        return None
    return Section(
        name="curves", title="Learning curves", text=band_note(groups), parts=(Part(pictures=tuple(pictures)),)
    )


def curves_of(groups: Sequence[Group], name: str) -> list[Curve]:
    """Gather one logged number, a line for each group that has it."""
    found = [gather(group.runs, entry(name), label=group.label if len(groups) > 1 else words(name)) for group in groups]
    return [curve for curve in found if curve is not None]


def terms_of(loss: str, names: Sequence[str]) -> list[str]:
    """Find the logged numbers that are parts of a loss."""
    return [name for name in names if name.startswith(f"{loss.removesuffix(LOSS)}_") and not name.endswith(NO_TERMS)]


def words(name: str) -> str:
    """Turn the name of a logged number into words."""
    return name.replace("_", " ")


def band_note(groups: Sequence[Group]) -> str:
    """Say what a band around a line is, where there is one."""
    if not any(len(group.runs) > 1 for group in groups):
        return ""
    return "Lines are means over runs that differ in their seed alone; bands reach one standard deviation either way."


def batches_of(groups: Sequence[Group]) -> str:
    """Call batches what they are: pseudo, unless a run learnt from real data."""
    return "batches" if any(run.uses_real_images for group in groups for run in group.runs) else "pseudo batches"


def _logged(groups: Sequence[Group]) -> list[str]:
    rows = [row for group in groups for run in group.runs for row in (*run.rows[:1], *run.rows[-1:])]
    return list(dict.fromkeys(name for row in rows for name in row))


def _draw_loss(groups: Sequence[Group], name: str, names: Sequence[str]) -> Picture:
    curves, note = curves_of(groups, name), f"Mean over {batches_of(groups)}, as it was minimised."
    terms = terms_of(name, names)
    if len(groups) == 1 and len(terms) > 1:
        curves = [curve for each in (name, *terms) for curve in curves_of(groups, each)]
        note += " Its terms are drawn with it."
    title = words(name)
    return draw_curves(curves, title=f"{title[:1].upper()}{title[1:]}", note=note, ylabel=title)


def _draw_agreement(groups: Sequence[Group]) -> Picture:
    batches = batches_of(groups)
    return draw_curves(
        curves_of(groups, "batch_agreement"),
        title=f"Agreement on {batches}",
        note="Share of a batch to which both networks give the same class.",
        ylabel="batch agreement",
        limits=(0.0, 1.02),
    )
