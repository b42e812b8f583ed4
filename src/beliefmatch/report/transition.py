"""The section of transition curves: how alike two networks believe on the way from one class to another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from beliefmatch.report.curves import Curve, draw_curves
from beliefmatch.report.elements import Part, Picture, Section
from beliefmatch.report.groups import Group, count
from beliefmatch.report.measured import Transition
from beliefmatch.report.quantities import plainly, show, show_bounds, show_mean

Walks = tuple[Transition, ...]


def transition_section(groups: Sequence[Group]) -> Section | None:
    """Draw curves of guide and follower for each group and way of walking; None where none were measured."""
    pictures = []
    for group in groups:
        title = group.label if len(groups) > 1 else ""
        pictures += [_draw(walks, title) for walks in alike(group)]
    if not pictures:
        return None
    return Section(
        name="transition",
        title="Transition curves",
        text="From examples on which both networks agree, gradient steps lead one of them, the guide, to every other "
        "class in turn; the other follows. The mean transition error is the mean gap between the two probabilities of "
        "the class sought. It depends on which network guided.",
        parts=(Part(pictures=tuple(pictures)),),
    )


def alike(group: Group) -> list[Walks]:
    """Put the walks of a group together that began alike and were walked alike; others cannot be averaged."""
    found: dict[tuple[object, ...], list[Transition]] = {}
    for run in group.runs:
        if run.measured is not None and (walk := run.measured.transition) is not None:
            how = (walk.guided_by, walk.num_steps, walk.step_size, len(walk.guide))
            key = (*run.measured.data, walk.num_images, walk.seed, *how)
            found.setdefault(key, []).append(walk)
    return [tuple(walks) for walks in found.values()]


def tell_error(walks: Walks) -> str:
    """Say the mean transition error, and which network guided."""
    errors = [walk.error.value for walk in walks]
    bounds = f" {show_bounds('number', walks[0].error)}" if len(walks) == 1 else f" over {len(walks)} runs"
    return f"mean transition error, {walks[0].guided_by} guides: {show_mean('number', errors)}{bounds}"


def _draw(walks: Walks, title: str) -> Picture:
    first = walks[0]
    guide = _curve([walk.guide for walk in walks], first.guide_margin, f"{first.guided_by} (guide)")
    follower = _curve([walk.follower for walk in walks], first.follower_margin, f"{first.followed_by} (follower)")
    band = "one standard deviation over runs" if len(walks) > 1 else "two standard errors over examples"
    error = tell_error(walks)
    error = f"{error[0].upper()}{error[1:]}"
    picture = draw_curves(
        [guide, follower],
        title=f"{title}: guided by the {first.guided_by}" if title else f"Guided by the {first.guided_by}",
        note=f"{error}. {count(first.num_images, 'example')}, {count(first.num_steps, 'step')} of "
        f"{plainly(first.step_size)}; bands reach {band} either way.",
        ylabel="probability of class sought",
        xlabel="step",
        limits=(0.0, 1.02),
    )
    gaps = np.abs(guide.mean - follower.mean)
    widest = int(gaps.argmax())
    told = f"{error}. The mean curves are furthest apart in step {widest}, by {show('number', float(gaps[widest]))}."
    return replace(picture, alt=f"{told} {picture.alt}")


def _curve(curves: Sequence[tuple[float, ...]], margin: tuple[float, ...], label: str) -> Curve:
    values = np.array(curves, dtype=np.float64)
    deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.array(margin, dtype=np.float64)
    steps = np.arange(values.shape[1], dtype=np.float64)
    return Curve(label=label, rounds=steps, mean=values.mean(axis=0), deviation=deviation)
