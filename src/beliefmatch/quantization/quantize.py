"""A network in 8 bits: calibrate without data, choose, check in a fresh process, and only then keep the file."""

import copy
import hashlib
import importlib.metadata
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from beliefmatch.checks import check_seed
from beliefmatch.errors import FolderError, SettingsError
from beliefmatch.export import onnx
from beliefmatch.export.check import Limits, check_file
from beliefmatch.export.costs import onnxruntime_call
from beliefmatch.export.fresh_process import fresh_process
from beliefmatch.export.graph import DeployedGraph, Pixels, check_pixels_fit
from beliefmatch.networks.cost import time_interleaved
from beliefmatch.networks.examples import AbstractExamples, Inputs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.packages import require
from beliefmatch.networks.passes import run_padded
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.calibration_inputs import CalibrationName, make_calibration_inputs
from beliefmatch.quantization.choice import choose_calibration, keep_costly_layers, try_bias_correction
from beliefmatch.quantization.comparison import PREDICTION_BATCH, predict_by_onnxruntime
from beliefmatch.quantization.simulated import without_simulation
from beliefmatch.quantization.static import RangeName, StaticSettings, prepare_graph
from beliefmatch.quantization.trained_ranges import ranges_of_tensors, trained_ranges
from beliefmatch.runs.atomic import make_folder, replacing, write_json
from beliefmatch.runs.schema.quantization import Quantization
from beliefmatch.setting_names import Setting

MIN_AGREEMENT = 0.95
"""8 bits mostly change less than one class in a hundred. Where one in twenty changes, something is wrong."""
LEAST_INPUTS, MOST_INPUTS = 32, 65_536


@dataclass(frozen=True, kw_only=True)
class QuantizationSettings:
    """How a network is quantised."""

    calibration: CalibrationName | None = None
    """Inputs that it is calibrated on. None: what comes nearest to the network in 32 bits."""
    ranges: RangeName | None = None
    """How activations get their ranges. None: what comes nearest."""
    reduce_range: bool | None = None
    """Use 7 bits for weights, since 8 overflow on CPUs without VNNI. None: where this CPU lacks it."""
    keep_float: tuple[str, ...] | Literal["auto", "none"] = "auto"
    """Nodes that stay in 32 bits. auto: those that cost most, where too few inputs get the same class otherwise."""
    min_agreement: float = MIN_AGREEMENT
    """Fraction of held-out pseudo inputs that must get the same class; a file below it is not written."""
    num_inputs: int = 256
    """Inputs to calibrate on, and as many to check with: 32 to 65,536."""
    seed: int = 0
    """Of the inputs, below 2**32."""

    def check(self) -> None:
        """Check the numbers.

        Raises:
            SettingsError: one is out of range.
        """
        if not 0 < self.min_agreement <= 1:
            raise SettingsError(f"{Setting('min_agreement')} must be above 0 and at most 1; got {self.min_agreement}")
        if not LEAST_INPUTS <= self.num_inputs <= MOST_INPUTS:
            raise SettingsError(
                f"{Setting('num_inputs')} must be from {LEAST_INPUTS} to {MOST_INPUTS}; got {self.num_inputs}"
            )
        check_seed(self, "", "seed")


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A file in 8 bits, and what was found."""

    file: Path
    record: Path
    """JSON of `quantization`, beside the file."""
    quantization: Quantization
    in_32_bits: bytes = field(repr=False)
    """ONNX file of the same network in 32 bits."""


def check_task(teacher: Teacher) -> None:
    """Check that a network is a classifier of whose classes one is right.

    Raises:
        SettingsError: it is not.
    """
    if not teacher.task.knows_classes:
        raise SettingsError(
            f"quantize is for classifiers of whose classes one is right, as it counts how often 8 bits give the class "
            f"of 32; this is {teacher.task.description}, and that is not supported: export it as ONNX in 32 bits"
        )


def quantize_network(
    network: nn.Module,
    spec: InputSpec,
    out: Path,
    *,
    settings: QuantizationSettings = QuantizationSettings(),
    teacher: Teacher | None = None,
    pixels: Pixels | None = None,
    images: AbstractExamples | None = None,
    overwrite: bool = False,
) -> Quantized:
    """Write a network in 8 bits as an ONNX file for onnxruntime, calibrated on inputs that are made without data.

    Weights get 8 bits with a scale for each channel, activations 8 bits with one scale each. The file is loaded in a
    fresh process and compared with the network in 32 bits; one that agrees less than asked for is not left.

    Args:
        network: returning logits (batch, classes), in 32 bits, or simulating 8; it does not change.
        spec: of its inputs.
        out: ONNX file to write.
        settings: how.
        teacher: network that remembers statistics of its training data, from which the inputs are made. None: the
            network itself.
        pixels: what the file takes instead of network inputs, see `export.export_student`.
        images: real examples to compare on besides.
        overwrite: whether a file that is there may be replaced.

    Raises:
        SettingsError: a setting is out of range, or what it needs is not installed, or the network is no classifier of
            whose classes one is right; or the file's name does not end in .onnx.
        FolderError: the file is there already or cannot be written.
        ExportError: the network cannot be written as ONNX or quantised, or does not agree enough.
        ExamplesError: the examples do not fit.
    """
    settings.check()
    teacher = teacher or Teacher(copy.deepcopy(network), spec)
    check_task(teacher)
    check_pixels_fit(spec, pixels)
    if out.suffix != ".onnx":
        raise SettingsError(f"{Setting('out', str(out))} should end in .onnx")
    record = out.with_suffix(".json")
    for path in (out, record):
        if path.exists() and not overwrite:
            raise FolderError(
                f"{path} is there already: add {Setting('overwrite', value=True)} to replace it, or name another "
                f"{Setting('out')}"
            )
    for package in onnx.ONNX.modules:
        require(package, install="beliefmatch[onnx]")
    network = copy.deepcopy(network).eval()
    plain, trained = without_simulation(copy.deepcopy(network)), trained_ranges(network)
    static = StaticSettings(
        reduce_range=settings.reduce_range,
        keep_float=settings.keep_float if isinstance(settings.keep_float, tuple) else (),
    )
    # What cannot be quantised shows before the inputs are made, which may take minutes.
    content_32 = onnx.write(DeployedGraph(plain, spec, pixels), spec)
    prepared = prepare_graph(content_32)
    prepared.check_nodes(static.keep_float)
    made = make_calibration_inputs(teacher, count=settings.num_inputs, seed=settings.seed)
    inputs = made if pixels is None else made.as_pixels(spec, pixels)
    # Of a network that simulates 8 bits it counts what it computes so.
    expected = _logits(network, made.held_out) if trained else predict_by_onnxruntime(content_32, inputs.held_out)
    with tempfile.TemporaryDirectory() as folder:
        choice = choose_calibration(
            prepared,
            inputs,
            expected,
            Path(folder),
            settings=static,
            calibration=settings.calibration,
            ranges=settings.ranges,
            trained=ranges_of_tensors(prepared.model, trained),
        )
        choice = try_bias_correction(choice, inputs, expected, Path(folder))
        costs = []
        if settings.keep_float == "auto":
            choice, costs = keep_costly_layers(choice, inputs, expected, min_agreement=settings.min_agreement)
    examples = [Inputs(name="held-out pseudo inputs", inputs=made.held_out), *([] if images is None else [images])]
    limits = [Limits(logit_tolerance=None, least_agreement=least) for least in (settings.min_agreement, 0.0)]
    make_folder(out.parent)
    with replacing(out, choice.content) as temporary:
        with fresh_process(temporary, "onnx") as process:
            checks = [
                check_file(process, network, spec, pixels, each, limits=limit)
                for each, limit in zip(examples, limits, strict=False)
            ]
        calls = [onnxruntime_call(content, pixels, spec) for content in (choice.content, content_32)]
        seconds = time_interleaved(calls)
    quantization = Quantization(
        calibration=choice.calibration,
        ranges=choice.settings.ranges_name,
        bias_correction=choice.bias_correction,
        reduce_range=static.reduces_range,
        keep_float=list(choice.settings.keep_float),
        num_nodes=len(prepared.nodes),
        candidates=choice.candidates,
        costs=costs,
        pseudo=checks[0],
        images=None if images is None else checks[1],
        min_agreement=settings.min_agreement,
        sha256=hashlib.sha256(choice.content).hexdigest(),
        bytes=len(choice.content),
        float_bytes=len(content_32),
        latency=seconds[0],
        float_latency=seconds[1],
        threads=torch.get_num_threads(),
        versions={package: importlib.metadata.version(package) for package in ("torch", *onnx.ONNX.modules)},
    )
    write_json(record, asdict(quantization))
    return Quantized(file=out, record=record, quantization=quantization, in_32_bits=content_32)


@torch.no_grad()
def _logits(network: nn.Module, inputs: Tensor) -> Tensor:
    return torch.cat([run_padded(network, batch) for batch in inputs.split(PREDICTION_BATCH)])
