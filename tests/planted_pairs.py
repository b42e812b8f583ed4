"""Pairs whose candidates tell the truth by construction, for benchmarks that judge candidates."""

import json
from pathlib import Path
from typing import Any

import numpy as np

TASKS, RUNS = ("a", "b", "c", "d"), 5


def planted(*, error: float) -> list[dict[str, Any]]:
    """Return pairs whose `agreement` candidates are the truth but for an error; all others are noise."""
    random, rows = np.random.default_rng(0), []
    names = json.loads((Path(__file__).parents[1] / "benchmarks/results/trust_pairs.jsonl").read_text().split("\n")[0])
    for task in TASKS:
        for number in range(RUNS):
            for budget, base in zip(("1/8", "1/4", "1/2", "1/1"), (0.3, 0.5, 0.7, 0.8), strict=True):
                true = base + 0.03 * number
                noisy = {name: float(random.uniform()) for name in names["candidates"]}
                seen = {name: float(np.clip(true + error * random.normal(), 0, 1)) for name in noisy}
                chosen = {name: (seen if name.startswith("agreement") else noisy)[name] for name in noisy}
                row = {"task": task, "teacher": task, "run": str(number), "recipe": str(number), "budget": budget}
                rows.append(row | {"agreement": true, "candidates": chosen})
    return rows
