"""How well candidates tell the true agreement on tasks that they were not fitted on."""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from trust_maps import (
    DERIVED,
    PAIRED,
    Numbers,
    Row,
    angle,
    error_of,
    features,
    fit_isotonic,
    fit_logistic,
    fit_on,
    groups,
    leave_one_task_out,
    maps,
    quantile_of,
    rank_correlation,
    raw_values,
    truths,
    value_of,
    weights_of,
)

PUBLIC, KEPT = "cifar10", "kept"
"""The task of public students, and how the names of recipes begin whose students longer runs left."""
MOVED = 0.02
"""A run counts for the correlation within runs if its agreement moves by more than this."""
APART = 0.03
"""Two recipes count as different if their agreement differs by this."""
GOOD, ENOUGH = 0.6, 6
"""Agreement of good students, and how many of them a task has at least: bad ones are easily told from others."""
NUM_RESAMPLES = 500
NUM_TASKS = 3
"""At least: one is left out, and the map is chosen by leaving out another."""
SHOWN = ("agreement_best", "agreement_sure_best")
"""Candidates whose rank correlation is told for each task."""


def judge(rows: Sequence[Row]) -> dict[str, Any]:
    """Judge every candidate alone and the best map of up to two, each on tasks that were left out.

    The map is chosen anew for each task, by the error on the other tasks, so that nothing of a task decides about it.

    Returns:
        Summary, the table of candidates, and what was estimated for each pair.
    """
    names = [*dict.fromkeys(name for row in rows for name in row["candidates"]), *DERIVED]
    known = [name for name in names if any(value_of(row, name) is not None for row in rows)]
    table = [{"candidate": name, **judge_candidate(rows, name)} for name in known]
    estimates, intervals, chosen = estimate_left_out(rows)
    scores = score(rows, estimates, intervals)
    summary = {
        "pairs": len(rows),
        "rank_correlation_within": scores["within_runs"],
        "rank_correlation_across": scores["across"],
        "coverage_90": scores["coverage_90"],
        "mean_absolute_error": scores["mean_absolute_error"],
    }
    shown = [
        {"task": row["task"], "run": row["run"], "budget": row["budget"], "truth": round(row["agreement"], 4),
         "estimate": round(estimate, 4), "low": round(low, 4), "high": round(high, 4)}
        for row, estimate, (low, high) in zip(rows, estimates, intervals, strict=True)
    ]  # fmt: skip
    return {
        "summary": summary,
        "runs_that_move": len(moving_runs(rows)),
        "recipes_compared": len(compared(rows)),
        "scores": scores,
        "scores_of_good": score_some(rows, estimates, intervals, [row["agreement"] >= GOOD for row in rows]),
        "if_tasks_were_others": resample_tasks(rows, estimates, intervals),
        "chosen_for_each_task": chosen,
        "tasks": describe_tasks(rows, estimates, intervals),
        "candidates": table,
        "estimates": shown,
    }


def judge_candidate(rows: Sequence[Row], name: str) -> dict[str, Any]:
    """Compute the correlations of a candidate with the truth, and its error through an isotonic map."""
    known = [row for row in rows if value_of(row, name) is not None]
    values = raw_values(known, name)
    sign = 1.0 if rank_correlation(values, truths(known)) >= 0 else -1.0
    estimates = leave_one_task_out(known, [name], fit_isotonic)
    raw = [abs(value - row["agreement"]) for value, row in zip(values, known, strict=True)]
    return {
        "pairs": len(known),
        **correlations(known, sign * values),
        "recipes_right": recipes_right(known, sign * values),
        "checkpoint_loss": checkpoint_loss(known, sign * values),
        "error_isotonic": round(float(np.abs(estimates - truths(known)).mean()), 4),
        "error_as_it_is": round(float(np.mean(raw)), 4) if name.startswith("agreement") else None,
    }


def score(rows: Sequence[Row], estimates: Numbers, intervals: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Compute all by which estimates with intervals are judged."""
    true = truths(rows)
    held = [low <= each <= high for each, (low, high) in zip(true, intervals, strict=True)]
    return {
        **correlations(rows, estimates),
        "recipes_right": recipes_right(rows, estimates),
        "checkpoint_loss": checkpoint_loss(rows, estimates),
        "checkpoint_loss_of_the_last": checkpoint_loss(rows, np.arange(len(rows), dtype=float)),
        "coverage_90": round(float(np.mean(held)), 3),
        "mean_width": round(float(np.mean([high - low for low, high in intervals])), 3),
        "mean_absolute_error": round(float(np.abs(estimates - true).mean()), 4),
    }


def score_some(
    rows: Sequence[Row], estimates: Numbers, intervals: Sequence[tuple[float, float]], kept: Sequence[bool]
) -> dict[str, Any]:
    """Score some of the pairs."""
    chosen = [index for index, keep in enumerate(kept) if keep]
    some = [rows[index] for index in chosen]
    return {"pairs": len(chosen), **score(some, estimates[chosen], [intervals[index] for index in chosen])}


def resample_tasks(
    rows: Sequence[Row], estimates: Numbers, intervals: Sequence[tuple[float, float]]
) -> dict[str, list[float]]:
    """Compute 95 % intervals over draws of as many tasks, with replacement: tasks are few, and their pairs alike."""
    random, parts, true = np.random.default_rng(0), groups(rows, "task"), truths(rows)
    held = np.array([low <= each <= high for each, (low, high) in zip(true, intervals, strict=True)])
    across, coverage = list[float](), list[float]()
    for _ in range(NUM_RESAMPLES):
        drawn = [index for part in random.integers(len(parts), size=len(parts)) for index in parts[part]]
        across.append(rank_correlation(estimates[drawn], true[drawn]))
        coverage.append(float(held[drawn].mean()))
    found = {"across": across, "coverage_90": coverage}
    return {
        name: [round(float(each), 3) for each in np.quantile(values, (0.025, 0.975))] for name, values in found.items()
    }


def correlations(rows: Sequence[Row], values: Numbers) -> dict[str, float | None]:
    """Compute mean rank correlations within runs, within tasks, and the one across all pairs."""
    true, tasks = truths(rows), groups(rows, "task")
    return {
        "within_runs": mean_of(rank_correlation(values[part], true[part]) for part in moving_runs(rows)),
        "within_tasks": mean_of(rank_correlation(values[part], true[part]) for part in tasks),
        "within_tasks_of_good": mean_of(rank_correlation(values[part], true[part]) for part in good_parts(rows)),
        "across": mean_of([rank_correlation(values, true)]),
    }


def good_parts(rows: Sequence[Row]) -> list[list[int]]:
    """Return the indices of the good students of each task, where there are enough of them to be ordered."""
    true = truths(rows)
    parts = [[index for index in part if true[index] >= GOOD] for part in groups(rows, "task")]
    return [part for part in parts if len(part) >= ENOUGH]


def moving_runs(rows: Sequence[Row]) -> list[list[int]]:
    """Return the indices of the checkpoints of each run of whose agreement something can be seen."""
    true = truths(rows)
    runs = groups(rows, "task", "run", trained=True)
    return [part for part in runs if len(part) > 2 and np.ptp(true[part]) > MOVED]


def checkpoint_loss(rows: Sequence[Row], values: Numbers) -> float | None:
    """Compute how much agreement is lost by keeping the checkpoint with the largest value of a run, not the best."""
    true = truths(rows)
    return mean_of(float(true[part].max() - true[part[int(values[part].argmax())]]) for part in moving_runs(rows))


def recipes_right(rows: Sequence[Row], values: Numbers) -> float | None:
    """Compute how often the better of two recipes has the larger value, at the end of runs of one teacher."""
    right: list[float] = []
    for better, worse in compared(rows):
        gap = values[better] - values[worse]
        right.append(0.5 if gap == 0 else float(gap > 0))
    return mean_of(right)


def compared(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Return the indices of the better and the worse of two students of a teacher, by two recipes, that differ.

    Short runs of this benchmark are compared with each other, and longer ones with longer ones.
    """
    found: list[tuple[int, int]] = []
    for part in groups(rows, "task", "teacher"):
        ended = [index for index in part if rows[index]["budget"] == "1/1"]
        for first, second in combinations(ended, 2):
            gap = rows[first]["agreement"] - rows[second]["agreement"]
            alike = is_long(rows[first]) == is_long(rows[second])
            if abs(gap) >= APART and alike and rows[first]["recipe"] != rows[second]["recipe"]:
                found.append((first, second) if gap > 0 else (second, first))
    return found


def is_long(row: Row) -> bool:
    """Whether a student was trained elsewhere, for longer: it is kept, or others have published it."""
    return row["task"] == PUBLIC or row["recipe"].startswith(KEPT)


def estimate_left_out(
    rows: Sequence[Row], candidates: Sequence[str] = PAIRED
) -> tuple[Numbers, list[tuple[float, float]], dict[str, list[str]]]:
    """Estimate each task by a map that was chosen and fitted on the others, with intervals from their errors."""
    estimates, chosen = np.zeros(len(rows)), dict[str, list[str]]()
    intervals = [(0.0, 1.0)] * len(rows)
    for part in groups(rows, "task"):
        task = rows[part[0]]["task"]
        others, here = [row for row in rows if row["task"] != task], [rows[index] for index in part]
        tried = {names: leave_one_task_out(others, names, fit_logistic) for names in maps(candidates)}
        names = min(tried, key=lambda names: error_of(others, tried[names]))
        chosen[task] = list(names)
        found = fit_on(others, names, fit_logistic)(features(here, names))
        margin = quantile_of(np.abs(angle(tried[names]) - angle(truths(others))), weights_of(others))
        for index, estimate in zip(part, found, strict=True):
            estimates[index] = estimate
            low, high = np.clip(angle(estimate) + np.array([-margin, margin]), 0, math.pi / 2)
            intervals[index] = float(np.sin(low) ** 2), float(np.sin(high) ** 2)
    return estimates, intervals, chosen


def mean_of(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(float(np.mean(found)), 3) if found else None


def describe_tasks(
    rows: Sequence[Row], estimates: Numbers, intervals: Sequence[tuple[float, float]]
) -> list[dict[str, Any]]:
    """Return for each task how many pairs it has, where they lie, and how well they were estimated."""
    found: list[dict[str, Any]] = []
    for part in groups(rows, "task"):
        here, bounds = [rows[index] for index in part], [intervals[index] for index in part]
        scores = score(here, estimates[part], bounds)
        low, high = float(truths(here).min()), float(truths(here).max())
        found.append(
            {"task": here[0]["task"], "pairs": len(part), "lowest": round(low, 3), "highest": round(high, 3)}
            | {name: scores[name] for name in ("within_tasks", "coverage_90", "mean_width", "mean_absolute_error")}
            | {f"{name}_in_order": correlations(here, raw_values(here, name))["within_tasks"] for name in SHOWN}
            | {f"{name}_recipes_right": recipes_right(here, raw_values(here, name)) for name in SHOWN}
        )
    return found


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw estimates against truths, a colour a task."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for number, task in enumerate(sorted({each["task"] for each in found["estimates"]})):
        here = [each for each in found["estimates"] if each["task"] == task]
        estimates = [each["estimate"] for each in here]
        spans = [[each["estimate"] - each["low"] for each in here], [each["high"] - each["estimate"] for each in here]]
        true, colour = [each["truth"] for each in here], f"C{number}"
        axes.errorbar(true, estimates, yerr=spans, fmt="none", ecolor=colour, alpha=0.15)
        axes.scatter(true, estimates, s=14, color=colour, label=task)
    axes.set(xlabel="true agreement on real examples", ylabel="estimate without data, from the other tasks")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
