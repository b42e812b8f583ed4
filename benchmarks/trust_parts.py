"""Judging candidates on pairs of one kind, such as networks in 8 bits, or with a candidate that not all pairs have."""

from collections.abc import Sequence
from typing import Any

from trust_judging import (
    KEPT,
    NUM_TASKS,
    PUBLIC,
    compared,
    estimate_left_out,
    judge_candidate,
    moving_runs,
    score,
)
from trust_maps import IN_8_BITS, PAIRED, UNSEEN, WITHOUT, Row, groups, value_of

PART = ("agreement_balanced", "agreement_best", "agreement_sure_balanced", "divergence_balanced")
"""Candidates that are judged on each kind."""
CROPPED, ENTROPY = "crop_sensitivity_best", "agreement_entropy"
SENSITIVITIES = ("sensitivity_balanced", "sensitivity_best", "crop_sensitivity_balanced", CROPPED)
COLLAPSED = 0.1
"""Relative entropy of a student's classes below which it gives hardly more than one."""


def judge_parts(rows: Sequence[Row]) -> dict[str, Any]:
    """Judge each kind of pairs by itself, and count those that are collapsed."""
    kept = [row for row in rows if row["recipe"].startswith(KEPT)]
    parts = {
        "eight_bits": [row for row in rows if row["budget"] == IN_8_BITS],
        "kept": kept,
        "kept_cifar10": [row for row in kept if row["task"] == PUBLIC],
        "held_out": [row for row in rows if row["recipe"].startswith(WITHOUT)],
        "batch_norm": [row for row in rows if value_of(row, ENTROPY) is not None],
    }
    own = {"held_out": (*PART, UNSEEN), "batch_norm": (*PART, ENTROPY)}
    return {
        "collapsed": sum(row["candidates"]["student_class_entropy_balanced"] < COLLAPSED for row in rows),
        "parts": {name: judge_part(part, own.get(name, PART)) for name, part in parts.items() if part},
        "crops": judge_crops([row for row in rows if value_of(row, CROPPED) is not None]),
    }


def judge_part(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """Judge a few candidates alone, on the same pairs."""
    return {
        "pairs": len(rows),
        "tasks": len(groups(rows, "task")),
        "runs_that_move": len(moving_runs(rows)),
        "recipes_compared": len(compared(rows)),
        "candidates": [{"candidate": name, **judge_candidate(rows, name)} for name in names],
    }


def judge_crops(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Judge sensitivity to crops beside others, on pairs that have it all; None: they are of too few tasks."""
    if len(groups(rows, "task")) < NUM_TASKS:
        return None
    found = judge_part(rows, (*PART, *SENSITIVITIES))
    for kind, names in {"without_crops": PAIRED, "with_crops": (*PAIRED, CROPPED)}.items():
        estimates, intervals, chosen = estimate_left_out(rows, names)
        found[f"map_{kind}"] = {"scores": score(rows, estimates, intervals), "chosen_for_each_task": chosen}
    return found
