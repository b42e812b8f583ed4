"""The transition curves: how alike two networks' probabilities are on the way from one class to another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from beliefmatch.number_texts import three_digits
from beliefmatch.report.curves import Curve, draw_curves
from beliefmatch.report.elements import Part, Picture, Section
from beliefmatch.report.groups import Group, count
from beliefmatch.report.quantities import show, show_bounds, show_mean
from beliefmatch.runs.schema.measurement import Transition

Walks = tuple[Transition, ...]
"""Measurements of runs that can be averaged."""


def transition_section(groups: Sequence[Group]) -> Section | None:
    """Return figures of guide and follower for each group and way of walking; None where none were measured."""
    titles = [group.label if len(groups) > 1 else "" for group in groups]
    pictures = [_draw(walks, title) for group, title in zip(groups, titles, strict=True) for walks in walks_of(group)]
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


def walks_of(group: Group) -> list[Walks]:
    """Return the walks of a group, those together that began alike and were walked alike; others have no mean."""
    found: dict[tuple[object, ...], list[Transition]] = {}
    for run in group.runs:
        if run.measured is not None and (walk := run.measured.transition) is not None:
            how = (walk.guided_by, walk.num_steps, walk.step_size, len(walk.guide))
            key = (*run.measured.data, walk.num_images, walk.seed, *how)
            found.setdefault(key, []).append(walk)
    return [tuple(walks) for walks in found.values()]


def describe_error(walks: Walks) -> str:
    """Return a sentence with the mean transition error, of how many examples it is, and which network guided."""
    errors = [walk.error.value for walk in walks]
    bounds = f" {show_bounds('number', walks[0].error)}" if len(walks) == 1 else f" over {len(walks)} runs"
    of = count(walks[0].num_images, "example")
    return f"Mean transition error, {walks[0].guided_by} guides: {show_mean('number', errors)}{bounds}, of {of}."


def _draw(walks: Walks, title: str) -> Picture:
    first, error = walks[0], describe_error(walks)
    guide = _curve([walk.guide for walk in walks], first.guide_margin, f"{first.guided_by} (guide)")
    follower = _curve([walk.follower for walk in walks], first.follower_margin, f"{first.followed_by} (follower)")
    band = "one standard deviation over runs" if len(walks) > 1 else "two standard errors over examples"
    picture = draw_curves(
        [guide, follower],
        title=f"{title}: guided by the {first.guided_by}" if title else f"Guided by the {first.guided_by}",
        note=f"{error} {count(first.num_steps, 'step')} of {three_digits(first.step_size)}; "
        f"bands reach {band} either way.",
        ylabel="probability of class sought",
        xlabel="step",
        limits=(0.0, 1.02),
    )
    gaps = np.abs(guide.mean - follower.mean)
    widest = int(gaps.argmax())
    gap = f"The mean curves are furthest apart in step {widest}, by {show('number', float(gaps[widest]))}."
    return replace(picture, alt=f"{error} {gap} {picture.alt}")


def _curve(curves: Sequence[tuple[float, ...]], margin: tuple[float, ...], label: str) -> Curve:
    values = np.array(curves, dtype=np.float64)
    deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.array(margin, dtype=np.float64)
    steps = np.arange(values.shape[1], dtype=np.float64)
    return Curve(label=label, rounds=steps, mean=values.mean(axis=0), deviation=deviation)
