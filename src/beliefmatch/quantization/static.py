"""Static quantisation of ONNX graphs by onnxruntime: 8-bit weights for each channel, 8-bit activations."""

import inspect
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from beliefmatch.errors import ExportError, ExtraError, SettingsError, first_line
from beliefmatch.export.graph import hushed
from beliefmatch.networks.loading.packages import require
from beliefmatch.quantization.compacting import compact
from beliefmatch.quantization.float_outputs import keep_outputs_float
from beliefmatch.quantization.trained_ranges import TrainedRange

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

RangeName = Literal["minmax", "entropy", "percentile"]
"""How the range of an activation follows from its values: all of them; those of least KL divergence; all but the
outermost 0.001 %."""
OLDEST = (1, 18)
"""Version of onnxruntime: the first that reads the ONNX files that torch's exporter writes (IR 10)."""
QUANTISED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose weights count; what lies between them is quantised where onnxruntime can."""
CALIBRATION_BATCH = 32
"""Inputs at a time. Ranges by histograms need batches of one size, so those that are left over are not used."""


@dataclass(frozen=True, kw_only=True)
class StaticSettings:
    """How a graph is quantised."""

    ranges: RangeName = "minmax"
    """How activations get their ranges."""
    reduce_range: bool | None = None
    """Use 7 bits for weights, since 8 overflow on CPUs without VNNI. None: where this CPU lacks it."""
    keep_float: tuple[str, ...] = ()
    """Names of nodes that stay in 32 bits."""
    trained: Mapping[str, TrainedRange] = field(default_factory=dict)
    """By tensor, ranges of activations that a student learnt; all others follow `ranges`."""

    @property
    def ranges_name(self) -> str:
        """How activations get their ranges, in a word: learnt where some were."""
        return "learnt" if self.trained else self.ranges

    @property
    def reduces_range(self) -> bool:
        """Whether weights get 7 bits, on this CPU where it was left open."""
        return not has_vnni() if self.reduce_range is None else self.reduce_range


def has_vnni() -> bool:
    """Whether this CPU multiplies 8-bit integers and adds them up in 32 bits, which needs no reduced range."""
    supported = getattr(torch.cpu, "_is_vnni_supported", None)
    return bool(supported and supported())


@dataclass(frozen=True, kw_only=True)
class PreparedGraph:
    """A graph of onnxruntime's own making, ready to be quantised: batch-norm folded, shapes known."""

    model: "onnx.ModelProto"
    nodes: tuple[str, ...]
    """Names of the nodes that have weights to quantise, in the order of the graph."""

    def check_nodes(self, names: Sequence[str]) -> None:
        """Check that nodes that shall stay in 32 bits are there.

        Raises:
            SettingsError: one is not.
        """
        unknown = [name for name in names if name not in self.nodes]
        if unknown:
            raise SettingsError(f"no node is called {unknown[0]!r}; there are {', '.join(self.nodes)}")


def prepare_graph(content: bytes) -> PreparedGraph:
    """Fold and infer shapes by onnxruntime's own pre-processing.

    Args:
        content: an ONNX file with a float graph.

    Raises:
        ExtraError: onnx or onnxruntime is missing, or onnxruntime is too old.
        ExportError: the graph is quantised already, has nothing to quantise, or cannot be pre-processed.
    """
    _check_version(require("onnxruntime", install="beliefmatch[onnx]").__version__)
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "prepared.onnx"
        source.write_bytes(content)
        try:
            with hushed():
                quant_pre_process(source, target, skip_symbolic_shape=True)
            model = onnx.load(target)
        except Exception as error:
            raise ExportError(f"onnxruntime cannot prepare the graph for 8 bits: {first_line(error)}") from error
    operators = {node.op_type for node in model.graph.node}
    if operators & {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger"}:
        raise ExportError("the network is quantised already")
    nodes = tuple(node.name for node in model.graph.node if node.op_type in QUANTISED)
    if not nodes:
        raise ExportError(f"the network has nothing to quantise: none of {', '.join(QUANTISED)}")
    return PreparedGraph(model=model, nodes=nodes)


def _check_version(version: str) -> None:
    found = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ExtraError(
            f"onnxruntime {version} is too old to quantise, expected {oldest} or newer: pip install -U onnxruntime"
        )


class CalibratedGraph:
    """A graph with the ranges of its activations on some inputs, which is calibrated once and quantised many times."""

    def __init__(self, graph: PreparedGraph, inputs: Tensor, folder: Path) -> None:
        """Hold a graph and inputs.

        Args:
            graph: to quantise.
            inputs: (count, *shape): what the graph takes.
            folder: where the ranges are kept meanwhile.
        """
        self.graph = graph
        self.inputs = inputs
        self.folder = folder

    def quantize(self, settings: StaticSettings) -> bytes:
        """Return an ONNX file in 8 bits, its scales beside its operators (QDQ).

        Raises:
            ExportError: onnxruntime cannot quantise the graph.
        """
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static  # noqa: PLC0415

        methods = {
            "minmax": CalibrationMethod.MinMax,
            "entropy": CalibrationMethod.Entropy,
            "percentile": CalibrationMethod.Percentile,
        }
        target = self.folder / "quantised.onnx"
        try:
            with hushed():
                quantize_static(
                    _copy(self.graph.model),
                    target,
                    _reader(self.graph.model.graph.input[0].name, self.inputs),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    reduce_range=settings.reduces_range,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    nodes_to_exclude=list(settings.keep_float),
                    calibrate_method=methods[settings.ranges],
                    extra_options={"TensorQuantOverrides": _overrides(settings.trained)},
                    **self._cache(settings.ranges),
                )
        except Exception as error:
            # onnxruntime fails in any way on operators that it does not know.
            raise ExportError(f"onnxruntime cannot quantise the network: {first_line(error)}") from error
        return _finish(target.read_bytes())

    def _cache(self, ranges: RangeName) -> dict[str, Any]:
        """Return where the ranges are kept, for versions of onnxruntime that can keep them."""
        from onnxruntime.quantization import quantize_static  # noqa: PLC0415

        if "calibration_cache_path" not in inspect.signature(quantize_static).parameters:
            return {}
        return {"calibration_cache_path": self.folder / f"ranges_{ranges}.json"}


def _finish(content: bytes) -> bytes:
    import onnx  # noqa: PLC0415

    model = onnx.load_from_string(content)
    keep_outputs_float(model.graph)
    compact(model)
    return model.SerializeToString()


def _overrides(trained: Mapping[str, TrainedRange]) -> dict[str, list[dict[str, Any]]]:
    """Return ranges as onnxruntime takes them, instead of those that it finds."""
    return {
        name: [{"scale": np.array(each.scale, np.float32), "zero_point": np.array(each.zero_point, np.uint8)}]
        for name, each in trained.items()
    }


def _copy(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Copy a graph: quantising changes it in place."""
    copied = type(model)()
    copied.CopyFrom(model)
    return copied


def _reader(name: str, inputs: Tensor) -> Any:
    from onnxruntime.quantization import CalibrationDataReader  # noqa: PLC0415

    class Reader(CalibrationDataReader):
        """Hands inputs to onnxruntime batch by batch."""

        def __init__(self) -> None:
            whole = max(1, len(inputs) // CALIBRATION_BATCH) * CALIBRATION_BATCH
            self.batches = iter(inputs[:whole].split(CALIBRATION_BATCH))

        def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Return the next batch by the name of the graph's input; None at the end."""
            batch = next(self.batches, None)
            return None if batch is None else {name: batch.numpy()}

    return Reader()
