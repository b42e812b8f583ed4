"""A measurement as a short table: in text for a terminal, in HTML for a notebook."""

import math
from dataclasses import fields
from html import escape
from typing import TYPE_CHECKING

from beliefmatch.runs.schema.measurement import (
    LABEL_TITLES,
    NUMBER_TITLES,
    Estimate,
    LabelMeasurement,
    NetworkScores,
    NumberMeasurement,
)

if TYPE_CHECKING:
    from beliefmatch.measurement.agreement import Measurement

PERCENT = {
    "top1": "accuracy, %",
    "top5": "top-5 accuracy, %",
    "calibration_error": "calibration error, %",
    "debiased_calibration_error": "calibration error without bias, %",
}
"""By field of `NetworkScores` that is a fraction: what the table calls it."""
HEADINGS = ("", "value", "95 % interval")
Line = tuple[str, str, str]


def lines_of(measurement: "Measurement") -> list[Line]:
    """Return name, value and interval of each number, without those by class."""
    if measurement.numbers is not None:
        return _of_each(measurement.numbers, NUMBER_TITLES, scale=1)
    if measurement.labels is not None:
        lines = _of_each(measurement.labels, LABEL_TITLES, scale=100)
        return [*lines, *_divergence(measurement)]
    lines = list[Line]()
    for name, scores in (("teacher", measurement.teacher), ("student", measurement.student)):
        lines += [(f"{name} accuracy", "no labels", "")] if scores is None else _scores(name, scores)
    lines.append(_line("agreement, %", measurement.agreement, scale=100, digits=2))
    lines += _divergence(measurement)
    if curves := measurement.transition:
        low, high = curves.error_interval
        error = Estimate(value=curves.error, low=low, high=high)
        lines.append(
            _line(
                f"mean transition error of {len(curves.guide):,}, {curves.guided_by} guides (2 standard errors)",
                error,
                scale=1,
                digits=4,
            )
        )
    return lines


def as_text(measurement: "Measurement") -> str:
    """Return the table as lines of equal columns."""
    lines = [HEADINGS, *lines_of(measurement)]
    first, second, third = (max(len(line[column]) for line in lines) for column in range(3))
    body = (f"{name:{first}}  {value:>{second}}  {interval:>{third}}".rstrip() for name, value, interval in lines)
    return "\n".join([f"{measurement.num_images:,} examples", *body])


def as_html(measurement: "Measurement") -> str:
    """Return the table as HTML."""
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines_of(measurement)
    )
    caption = f"<caption>{measurement.num_images:,} examples</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _divergence(measurement: "Measurement") -> list[Line]:
    return [_line("KL(teacher || student), nats", measurement.divergence, scale=1, digits=4)]


def _of_each(measured: LabelMeasurement | NumberMeasurement, titles: dict[str, str], *, scale: float) -> list[Line]:
    """Return the scores of teacher and student, and of the student against the teacher."""
    lines: list[Line] = []
    unit = ", %" if scale == 100 else ""
    both = (("teacher", measured.teacher), ("student", measured.student), ("student against teacher", measured.pair))
    for name, scores in both:
        if scores is None:
            lines.append((name, "no labels", ""))
            continue
        found = ((title, getattr(scores, field)) for field, title in titles.items())
        lines += [
            _line(f"{name}: {title}{unit}", value, scale=scale, digits=2 if unit else decimals(value.value))
            for title, value in found
        ]
    return lines


def decimals(value: float) -> int:
    """Return the decimals that show four digits of a number of any size."""
    return 4 if value == 0 else max(0, 3 - math.floor(math.log10(abs(value))))


def _scores(network: str, scores: NetworkScores) -> list[Line]:
    found = [(field.name, getattr(scores, field.name)) for field in fields(scores)]
    return [
        _line(f"{network} {PERCENT[name]}", value, scale=100, digits=2)
        if name in PERCENT
        else _line(f"{network} {name.replace('_', ' ')}", value, scale=1, digits=4)
        for name, value in found
        if isinstance(value, Estimate)
    ]


def _line(name: str, estimate: Estimate, *, scale: float, digits: int) -> Line:
    value, low, high = (f"{scale * each:,.{digits}f}" for each in (estimate.value, estimate.low, estimate.high))
    return name, value, f"{low}\N{EN DASH}{high}"
