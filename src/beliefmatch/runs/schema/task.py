"""What the outputs of a network predict, as files and messages name it. Torch is not needed."""

from typing import Literal

TaskName = Literal["single_label", "multi_label", "regression"]
"""single_label: one of several classes is right. multi_label: each label is true or not by itself. regression: numbers.
"""
DESCRIPTIONS: dict[TaskName, str] = {
    "single_label": "a classifier, of whose classes one is right",
    "multi_label": "a multi-label classifier, whose labels may be true together",
    "regression": "a regression, whose outputs are numbers to predict",
}
"""What a network of each task is."""
OUTPUT_WORDS: dict[TaskName, str] = {"single_label": "classes", "multi_label": "labels", "regression": "numbers"}
"""What its outputs are, in one word."""
