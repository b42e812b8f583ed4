"""What a number was measured on, and where it is kept."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from beliefmatch.runs.atomic import write_json
from beliefmatch.runs.versions import versions
from beliefmatch.studies.sweep import mean_and_deviation

RESULTS = Path(__file__).parent / "results"


def describe_machine() -> dict[str, Any]:
    """Describe processor, accelerator, threads, versions and the date."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def rounded_spread(values: Sequence[float], digits: int) -> tuple[float, float | None]:
    """Return mean and sample standard deviation, rounded; no deviation of a single value."""
    mean, deviation = mean_and_deviation(values)
    return round(mean, digits), None if deviation is None else round(deviation, digits)


def write_results(name: str, results: dict[str, Any]) -> None:
    """Write results as JSON under benchmarks/results and say where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_json(path, results)
    print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def table(rows: list[dict[str, Any]]) -> str:
    """Set rows with equal keys as a Markdown table."""
    header = "| " + " | ".join(rows[0]) + " |"
    rule = "|" + " --- |" * len(rows[0])
    return "\n".join([header, rule, *("| " + " | ".join(map(str, row.values())) + " |" for row in rows)])
