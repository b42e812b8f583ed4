"""Collapses on the page: each kind has a title of its own, and advice."""

from typing import get_args

from beliefmatch.report.collapses import TITLES
from beliefmatch.runs.collapse_detection import ADVICE
from beliefmatch.runs.schema.result import Kind


def test_each_kind_has_a_title_and_advice() -> None:
    kinds = set(get_args(Kind))
    assert set(TITLES) == kinds
    assert set(ADVICE) == kinds
    assert not kinds & set(TITLES.values())
