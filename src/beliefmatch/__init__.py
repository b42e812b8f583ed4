"""Compress a pretrained network into a smaller one without any of the data it was trained on.

Names are imported when they are first used, so that `import beliefmatch` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beliefmatch import metrics as metrics
    from beliefmatch import recipes as recipes
    from beliefmatch.data.images import read_examples as read_examples
    from beliefmatch.data.images import read_images as read_images
    from beliefmatch.engine.evaluation import measure_run as measure_run
    from beliefmatch.engine.files import Result as Result
    from beliefmatch.engine.options import RunOptions as RunOptions
    from beliefmatch.engine.record import RunFolder as RunFolder
    from beliefmatch.engine.record import load_student as load_student
    from beliefmatch.engine.run import run as run
    from beliefmatch.engine.transfer import Transfer as Transfer
    from beliefmatch.errors import BeliefMatchError as BeliefMatchError
    from beliefmatch.export.export import export_student as export_student
    from beliefmatch.metrics.measurement import Measurement as Measurement
    from beliefmatch.metrics.measurement import measure_pair as measure_pair
    from beliefmatch.models.examples import Images as Images
    from beliefmatch.models.examples import Inputs as Inputs
    from beliefmatch.models.examples import LabelledImages as LabelledImages
    from beliefmatch.models.inputs import InputSpec as InputSpec
    from beliefmatch.models.taps import TapPair as TapPair
    from beliefmatch.models.zoo import Network as Network
    from beliefmatch.models.zoo import load_model as load_model
    from beliefmatch.objectives.belief_matching import BeliefMatching as BeliefMatching
    from beliefmatch.objectives.distillation import Distillation as Distillation
    from beliefmatch.sources.adversarial import Adversarial as Adversarial
    from beliefmatch.sources.few_shot import FewShot as FewShot
    from beliefmatch.students.named import NamedStudent as NamedStudent

HOMES = {
    "Adversarial": "sources.adversarial",
    "BeliefMatchError": "errors",
    "BeliefMatching": "objectives.belief_matching",
    "Distillation": "objectives.distillation",
    "FewShot": "sources.few_shot",
    "Images": "models.examples",
    "InputSpec": "models.inputs",
    "Inputs": "models.examples",
    "LabelledImages": "models.examples",
    "Measurement": "metrics.measurement",
    "NamedStudent": "students.named",
    "Network": "models.zoo",
    "Result": "engine.files",
    "RunFolder": "engine.record",
    "RunOptions": "engine.options",
    "TapPair": "models.taps",
    "Transfer": "engine.transfer",
    "load_model": "models.zoo",
    "export_student": "export.export",
    "load_student": "engine.record",
    "measure_pair": "metrics.measurement",
    "measure_run": "engine.evaluation",
    "read_examples": "data.images",
    "read_images": "data.images",
    "run": "engine.run",
}
"""Module in which each public name lives."""
ROOMS = ("metrics", "recipes")
"""Packages that are public as a whole."""


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return importlib.import_module(f"beliefmatch.{name}")
    if name in HOMES:
        return getattr(importlib.import_module(f"beliefmatch.{HOMES[name]}"), name)
    raise AttributeError(f"module 'beliefmatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*HOMES, *ROOMS])
