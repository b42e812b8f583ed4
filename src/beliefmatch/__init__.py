"""Compress a pretrained network into a smaller one without any of the data it was trained on.

Names are imported when they are first used, so that `import beliefmatch` costs nothing.
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beliefmatch import measurement as measurement
    from beliefmatch import recipes as recipes
    from beliefmatch.data.images import read_examples as read_examples
    from beliefmatch.data.images import read_images as read_images
    from beliefmatch.errors import BeliefMatchError as BeliefMatchError
    from beliefmatch.export.export import export_student as export_student
    from beliefmatch.measurement.agreement import Measurement as Measurement
    from beliefmatch.measurement.agreement import measure_pair as measure_pair
    from beliefmatch.measurement.run import measure_run as measure_run
    from beliefmatch.networks.examples import Images as Images
    from beliefmatch.networks.examples import Inputs as Inputs
    from beliefmatch.networks.examples import LabelledImages as LabelledImages
    from beliefmatch.networks.inputs import InputSpec as InputSpec
    from beliefmatch.networks.loading.given import GivenNetwork as GivenNetwork
    from beliefmatch.networks.loading.given import GivenNetworks as GivenNetworks
    from beliefmatch.networks.loading.network import Network as Network
    from beliefmatch.networks.loading.network import load_model as load_model
    from beliefmatch.networks.taps import TapPair as TapPair
    from beliefmatch.objectives.belief_matching import BeliefMatching as BeliefMatching
    from beliefmatch.objectives.distillation import Distillation as Distillation
    from beliefmatch.optimisers import Adam as Adam
    from beliefmatch.optimisers import CosineSgd as CosineSgd
    from beliefmatch.optimisers import StepwiseSgd as StepwiseSgd
    from beliefmatch.quantization.quantize import QuantizationSettings as QuantizationSettings
    from beliefmatch.quantization.quantize import Quantized as Quantized
    from beliefmatch.recipes.setup import Setup as Setup
    from beliefmatch.runs.folder import RunFolder as RunFolder
    from beliefmatch.runs.schema.result import Result as Result
    from beliefmatch.sources.adversarial import Adversarial as Adversarial
    from beliefmatch.sources.few_shot import FewShot as FewShot
    from beliefmatch.sources.unlabelled import Unlabelled as Unlabelled
    from beliefmatch.students.given import GivenStudent as GivenStudent
    from beliefmatch.students.named import NamedStudent as NamedStudent
    from beliefmatch.studies.compress import compress as compress
    from beliefmatch.studies.compression import Compression as Compression
    from beliefmatch.studies.quantize import quantize as quantize
    from beliefmatch.training.options import RunOptions as RunOptions
    from beliefmatch.training.run import run as run
    from beliefmatch.training.student_files import load_student as load_student
    from beliefmatch.training.transfer import Transfer as Transfer

    __version__: str

HOMES = {
    "Adam": "optimisers",
    "Adversarial": "sources.adversarial",
    "BeliefMatchError": "errors",
    "BeliefMatching": "objectives.belief_matching",
    "CosineSgd": "optimisers",
    "Compression": "studies.compression",
    "Distillation": "objectives.distillation",
    "FewShot": "sources.few_shot",
    "GivenNetwork": "networks.loading.given",
    "GivenNetworks": "networks.loading.given",
    "GivenStudent": "students.given",
    "Images": "networks.examples",
    "InputSpec": "networks.inputs",
    "Inputs": "networks.examples",
    "LabelledImages": "networks.examples",
    "Measurement": "measurement.agreement",
    "NamedStudent": "students.named",
    "Network": "networks.loading.network",
    "Result": "runs.schema.result",
    "RunFolder": "runs.folder",
    "RunOptions": "training.options",
    "Setup": "recipes.setup",
    "StepwiseSgd": "optimisers",
    "TapPair": "networks.taps",
    "Transfer": "training.transfer",
    "Unlabelled": "sources.unlabelled",
    "load_model": "networks.loading.network",
    "compress": "studies.compress",
    "export_student": "export.export",
    "load_student": "training.student_files",
    "measure_pair": "measurement.agreement",
    "measure_run": "measurement.run",
    "Quantized": "quantization.quantize",
    "QuantizationSettings": "quantization.quantize",
    "quantize": "studies.quantize",
    "read_examples": "data.images",
    "read_images": "data.images",
    "run": "training.run",
}
"""Module in which each public name lives."""
ROOMS = ("measurement", "recipes")
"""Packages that are public as a whole."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("beliefmatch")
    if name in ROOMS:
        return importlib.import_module(f"beliefmatch.{name}")
    if name in HOMES:
        return getattr(importlib.import_module(f"beliefmatch.{HOMES[name]}"), name)
    raise AttributeError(f"module 'beliefmatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*HOMES, *ROOMS, "__version__"])
