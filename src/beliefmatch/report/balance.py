"""The section on what both networks make of the batches: confidence and balance of classes, the paper's figure."""

from collections.abc import Callable, Sequence

from beliefmatch.report.class_frequencies import draw_shares, shares
from beliefmatch.report.curves import Curve, Read, draw_curves, entry, gather
from beliefmatch.report.elements import Part, Picture, Section
from beliefmatch.report.groups import Group
from beliefmatch.report.training import band_note, batches_of, curves_of
from beliefmatch.runs.collapse_detection import effective_number
from beliefmatch.runs.folder import Row

NETWORKS = ("teacher", "student")
MAX_STACKED = 12
"""Classes that a stack of areas can show apart."""


def balance_section(groups: Sequence[Group]) -> Section | None:
    """Draw confidence and class balance of both networks; None where no run logged them."""
    batches = batches_of(groups)
    pictures = [*_confidence(groups), *_gap(groups), *_spread(groups), *_diversity(groups)]
    num_classes = _num_classes(groups[0])
    if len(groups) == 1 and 0 < num_classes <= MAX_STACKED:
        pictures += [draw_shares(groups[0], network, num_classes, batches) for network in NETWORKS]
    if not pictures:
        return None
    return Section(
        name="balance",
        title=f"Class balance and confidence on {batches}",
        text=" ".join(
            filter(None, ("What both networks say to the batches that taught the student.", band_note(groups)))
        ),
        parts=(Part(pictures=tuple(pictures)),),
    )


def _both(groups: Sequence[Group], curves: Callable[[str], list[Curve]], draw: Callable[..., Picture]) -> list[Picture]:
    """Draw both networks together for one group, and one picture each for several."""
    found = {network: curves(network) for network in NETWORKS}
    if len(groups) == 1:
        lines = [curve for network in reversed(NETWORKS) for curve in found[network]]
        return [draw(lines, "")] if lines else []
    return [draw(found[network], f"{network}'s ") for network in NETWORKS if found[network]]


def _confidence(groups: Sequence[Group]) -> list[Picture]:
    def draw(curves: list[Curve], whose: str) -> Picture:
        return draw_curves(
            curves,
            title=_capital(f"{whose}confidence"),
            note="Probability of the most likely class, mean over a batch.",
            ylabel=f"{whose}confidence",
            limits=(0.0, 1.02),
        )

    return _both(groups, lambda network: curves_of(groups, f"{network}_confidence"), draw)


def _gap(groups: Sequence[Group]) -> list[Picture]:
    title = "confidence gap"
    curves = _gather(groups, _read_gap, title)
    note = (
        "Teacher's confidence less the student's. In public runs on CIFAR-10 it shrank as the student became accurate "
        "on real data, while losses did not tell."
    )
    return [draw_curves(curves, title=_capital(title), note=note, ylabel=title)] if curves else []


def _read_gap(row: Row) -> float | None:
    """Read the gap from both confidences, which runs logged before they logged the gap."""
    teacher, student = (entry(f"{network}_confidence")(row) for network in NETWORKS)
    return None if teacher is None or student is None else teacher - student


def _diversity(groups: Sequence[Group]) -> list[Picture]:
    title = f"diversity of {batches_of(groups)}"
    curves = _gather(groups, entry("batch_diversity"), title)
    note = (
        "Standard deviation over the examples of a batch, as a share of the size of its inputs: 0 where all examples "
        "are alike."
    )
    if not curves:
        return []
    return [draw_curves(curves, title=_capital(title), note=note, ylabel="batch diversity", limits=(0.0, 1.02))]


def _gather(groups: Sequence[Group], read: Read, title: str) -> list[Curve]:
    found = [gather(group.runs, read, label=group.label if len(groups) > 1 else title) for group in groups]
    return [curve for curve in found if curve is not None]


def _spread(groups: Sequence[Group]) -> list[Picture]:

    def draw(curves: list[Curve], whose: str) -> Picture:
        few = max(_num_classes(group) for group in groups) <= MAX_STACKED
        return draw_curves(
            curves,
            title=_capital(f"{whose}effective number of classes"),
            note="Exponential of the entropy of the classes that a network gives: as many equally frequent classes "
            f"would spread as evenly.{'' if few else ' A round of fewer examples than classes cannot show them all.'}",
            ylabel=f"{whose}effective classes",
        )

    def curves(network: str) -> list[Curve]:
        return _gather(groups, _effective(f"{network}_classes"), f"{network}'s classes")

    return _both(groups, curves, draw)


def _effective(name: str) -> Read:
    def read(row: Row) -> float | None:
        found = shares(row, name)
        return None if found is None else effective_number(found)

    return read


def _num_classes(group: Group) -> int:
    for run in group.runs:
        if run.rows and (found := shares(run.rows[-1], "teacher_classes")) is not None:
            return len(found)
    return 0


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
