"""Numbers as texts: with a unit, with a deviation over runs, with an interval over examples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from beliefmatch.runs.schema.measurement import Estimate

Kind = Literal["fraction", "number", "size", "exact", "count", "bytes", "seconds", "cost"]
"""size: in any unit, in four digits. exact: a whole count. count: one with a prefix. seconds: of any size. cost: always
in seconds."""

UNMEASURED = "not measured: no data given"
UNLABELLED = "not measured: the data has no labels"
UNFINISHED = "no result: cut short"
UNRECORDED = "not recorded"

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
DURATIONS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What a number is divided by, how many decimals it shows, and what stands behind it."""

    scale: float
    decimals: int
    suffix: str

    def digits(self, value: float, decimals: int | None = None) -> str:
        """Return a value without its unit."""
        return f"{value / self.scale:,.{self.decimals if decimals is None else decimals}f}"

    def show(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{self.digits(value)}{self.suffix}"


def unit_for(kind: Kind, value: float) -> Unit:
    """Return the unit in which a value of a kind reads best."""
    match kind:
        case "fraction":
            return Unit(scale=0.01, decimals=2, suffix=" %")
        case "number":
            return Unit(scale=1.0, decimals=4, suffix="")
        case "size":
            whole = 1 if value == 0 else math.floor(math.log10(abs(value))) + 1
            return Unit(scale=1.0, decimals=max(0, 4 - whole), suffix="")
        case "exact":
            return Unit(scale=1.0, decimals=0, suffix="")
        case "cost":
            return Unit(scale=1.0, decimals=1 if value < 1000 else 0, suffix=" s")
        case "seconds":
            scale, suffix = next((pair for pair in DURATIONS if value >= pair[0]), DURATIONS[-1])
        case "count" | "bytes":
            scale, prefix = next((pair for pair in PREFIXES if value >= pair[0]), PREFIXES[-1])
            suffix = f"{prefix}{'B' if kind == 'bytes' else ''}"
    whole = 1 if value < scale else int(math.log10(value / scale)) + 1
    is_whole = kind in ("count", "bytes") and scale == 1.0
    return Unit(scale=scale, decimals=0 if is_whole else max(0, 3 - whole), suffix=f" {suffix}".rstrip())


def show(kind: Kind, value: float) -> str:
    """Return one number with its unit, such as 41.8 k."""
    return unit_for(kind, value).show(value)


def show_mean(kind: Kind, values: Sequence[float]) -> str:
    """Return mean and sample standard deviation, such as 97.65 ± 0.88 %; a single value alone."""
    mean = fmean(values)
    unit = unit_for(kind, mean)
    if len(values) == 1:
        return unit.show(mean)
    return f"{unit.digits(mean)} ± {unit.digits(stdev(values))}{unit.suffix}"


def show_bounds(kind: Kind, estimate: Estimate) -> str:
    """Return an interval, such as (94.8 to 98.1)."""
    unit = unit_for(kind, estimate.value)
    decimals = 1 if kind == "fraction" else unit.decimals
    return f"({unit.digits(estimate.low, decimals)} to {unit.digits(estimate.high, decimals)})"


def show_duration(seconds: float) -> str:
    """Return a long time in hours and minutes, or in minutes; empty for a short one."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return ""
    return f"({minutes} min)" if minutes < 60 else f"({minutes // 60} h {minutes % 60} min)"


def capital(text: str) -> str:
    """Return a text that begins with a capital."""
    return f"{text[:1].upper()}{text[1:]}"
