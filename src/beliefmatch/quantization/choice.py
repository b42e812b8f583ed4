"""Which inputs and ranges calibrate best, and which layers cost most: decided on held-out pseudo inputs alone."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import Tensor

from beliefmatch.quantization.bias_correction import correct_biases
from beliefmatch.quantization.calibration_inputs import CalibrationInputs, CalibrationName
from beliefmatch.quantization.comparison import Closeness, compare_logits, predict_by_onnxruntime
from beliefmatch.quantization.static import CalibratedGraph, PreparedGraph, RangeName, StaticSettings
from beliefmatch.quantization.trained_ranges import TrainedRange
from beliefmatch.runs.schema.quantization import LayerCost, QuantizationCandidate

logger = logging.getLogger(__name__)

TRIED: tuple[CalibrationName, ...] = ("weighted", "refined", "procedural")
"""Noise is never as good, so it is used only where it is asked for."""
TRIED_RANGES: tuple[RangeName, ...] = ("minmax", "percentile")
"""Entropy takes longer, and mostly gives the range of minmax."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A quantised file, and what it was chosen from."""

    content: bytes
    settings: StaticSettings
    calibration: CalibrationName
    closeness: Closeness
    bias_correction: bool
    """Whether biases take back what rounding the weights shifts."""
    candidates: list[QuantizationCandidate]
    graph: CalibratedGraph
    """With its ranges."""


def choose_calibration(
    graph: PreparedGraph,
    inputs: CalibrationInputs,
    expected: Tensor,
    folder: Path,
    *,
    settings: StaticSettings,
    calibration: CalibrationName | None,
    ranges: RangeName | None,
    trained: Mapping[str, TrainedRange] | None = None,
) -> Choice:
    """Quantise with each kind of inputs and of ranges, and return what is nearest to the network in 32 bits.

    Args:
        graph: to quantise.
        inputs: to calibrate on, and held-out ones to choose by.
        expected: (count, classes), logits of the network in 32 bits on the held-out ones.
        folder: for what is kept meanwhile.
        settings: all but the ranges.
        calibration: kind of inputs. None: all but noise are tried.
        ranges: how activations get their ranges. None: minmax and percentile are tried, and those that were learnt.
        trained: by tensor, ranges that the network learnt; minmax gives all others. None: it learnt none.

    Raises:
        ExportError: onnxruntime cannot quantise the graph.
    """
    found: list[Choice] = []
    candidates: list[QuantizationCandidate] = []
    tried = [replace(settings, ranges=each) for each in (TRIED_RANGES if ranges is None else (ranges,))]
    if trained and ranges is None:
        tried.append(replace(settings, trained=trained))
    for name in _names(inputs.by_name, calibration):
        where = folder / name
        where.mkdir()
        calibrated = CalibratedGraph(graph, inputs.by_name[name], where)
        for chosen in tried:
            content, closeness = _quantize(calibrated, chosen, inputs, expected)
            candidates.append(_candidate(name, chosen, closeness, bias_correction=False))
            found.append(
                Choice(
                    content=content,
                    settings=chosen,
                    calibration=name,
                    closeness=closeness,
                    bias_correction=False,
                    candidates=candidates,
                    graph=calibrated,
                )
            )
    return min(found, key=lambda choice: choice.closeness.divergence)


def try_bias_correction(choice: Choice, inputs: CalibrationInputs, expected: Tensor, folder: Path) -> Choice:
    """Correct biases for the rounding of weights, and return what is nearer to the network in 32 bits.

    Args:
        choice: without such a correction.
        inputs: those that calibrated it say what layers get; the held-out ones decide.
        expected: (count, classes), logits of the network in 32 bits on the held-out ones.
        folder: for what is kept meanwhile.

    Raises:
        ExportError: onnxruntime cannot quantise the graph.
    """
    calibrating = inputs.by_name[choice.calibration]
    corrected = correct_biases(choice.graph.graph, choice.content, calibrating)
    if corrected is None:
        return choice
    where = folder / "corrected"
    where.mkdir()
    graph = CalibratedGraph(corrected, calibrating, where)
    content, closeness = _quantize(graph, choice.settings, inputs, expected)
    candidate = _candidate(choice.calibration, choice.settings, closeness, bias_correction=True)
    candidates = [*choice.candidates, candidate]
    if closeness.divergence >= choice.closeness.divergence:
        return replace(choice, candidates=candidates)
    return replace(
        choice, content=content, closeness=closeness, bias_correction=True, candidates=candidates, graph=graph
    )


def _candidate(
    calibration: CalibrationName, settings: StaticSettings, closeness: Closeness, *, bias_correction: bool
) -> QuantizationCandidate:
    return QuantizationCandidate(
        calibration=calibration, ranges=settings.ranges_name, bias_correction=bias_correction, **asdict(closeness)
    )


def _quantize(
    graph: CalibratedGraph, settings: StaticSettings, inputs: CalibrationInputs, expected: Tensor
) -> tuple[bytes, Closeness]:
    """Return a file in 8 bits, and how near it is on the held-out inputs."""
    content = graph.quantize(settings)
    return content, compare_logits(expected, predict_by_onnxruntime(content, inputs.held_out))


def _names(known: Mapping[CalibrationName, Tensor], asked: CalibrationName | None) -> Iterable[CalibrationName]:
    if asked is None:
        return [name for name in TRIED if name in known]
    if asked not in known:
        logger.warning("no inputs are refined for this network, so procedural ones calibrate it")
        return ("procedural",)
    return (asked,)


def measure_costs(choice: Choice, inputs: CalibrationInputs, expected: Tensor) -> list[LayerCost]:
    """Measure what is saved if one node alone stays in 32 bits, the largest saving first.

    Args:
        choice: the file whose nodes are tried.
        inputs: the held-out ones count.
        expected: (count, classes), logits of the network in 32 bits on them.
    """
    costs: list[LayerCost] = []
    for node in choice.graph.graph.nodes:
        _, without = _quantize(choice.graph, replace(choice.settings, keep_float=(node,)), inputs, expected)
        costs.append(LayerCost(node=node, divergence_saved=choice.closeness.divergence - without.divergence))
    return sorted(costs, key=lambda cost: -cost.divergence_saved)


def keep_costly_layers(
    choice: Choice, inputs: CalibrationInputs, expected: Tensor, *, min_agreement: float
) -> tuple[Choice, list[LayerCost]]:
    """Keep in 32 bits as few nodes as agreement needs, those first that cost most.

    Args:
        choice: the file in which all nodes are in 8 bits.
        inputs: the held-out ones count.
        expected: (count, classes), logits of the network in 32 bits on them.
        min_agreement: fraction of the held-out inputs that must get the same class.

    Returns:
        The first choice that agrees enough, or that with all costly nodes kept; and the costs, empty where nothing had
        to be kept.
    """
    if choice.closeness.agreement >= min_agreement:
        return choice, []
    costs = measure_costs(choice, inputs, expected)
    kept: tuple[str, ...] = ()
    for cost in costs:
        if cost.divergence_saved <= 0:
            break
        kept += (cost.node,)
        settings = replace(choice.settings, keep_float=kept)
        content, closeness = _quantize(choice.graph, settings, inputs, expected)
        choice = replace(choice, content=content, settings=settings, closeness=closeness)
        if closeness.agreement >= min_agreement:
            break
    return choice, costs
