"""Networks in 8 bits, well and badly calibrated, as students that run in torch's place."""

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from beliefmatch.export import onnx
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks.loading.onnx_session import start_session
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.quantize import QuantizationSettings, quantize_network
from beliefmatch.quantization.static import CalibratedGraph, StaticSettings, prepare_graph

NUM_INPUTS = 64
"""To calibrate on, and as many to choose by."""
LEAST_AGREEMENT = 0.01
"""Hardly any: a file that does badly is a pair, too."""
DIMMED = 0.1
"""Factor of the noise that calibrates too small ranges."""


class OnnxStudent(nn.Module):
    """An ONNX file that onnxruntime runs, where a network is expected."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content
        self.session = start_session(content)
        self.name = self.session.get_inputs()[0].name

    def forward(self, inputs: Tensor) -> Tensor:
        """Return its outputs, which have no gradient."""
        return torch.from_numpy(self.session.run(None, {self.name: inputs.detach().numpy()})[0])

    def __deepcopy__(self, _: dict[int, object]) -> "OnnxStudent":
        """Return another session of the same file."""
        return OnnxStudent(self.content)


def in_8_bits(network: nn.Module, teacher: Teacher) -> Iterator[tuple[str, OnnxStudent]]:
    """Yield by recipe a network in 8 bits: chosen without data, calibrated on noise, or with ranges too small.

    Args:
        network: in eval mode, giving logits.
        teacher: it, or the one that it learnt from.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = QuantizationSettings(num_inputs=NUM_INPUTS, min_agreement=LEAST_AGREEMENT)
        target = Path(folder) / "int8.onnx"
        made = quantize_network(
            copy.deepcopy(network), teacher.spec, target, settings=settings, teacher=teacher.copied()
        )
        yield "int8", OnnxStudent(made.file.read_bytes())
        graph = prepare_graph(onnx.write(DeployedGraph(copy.deepcopy(network), teacher.spec, None), teacher.spec))
        noise = torch.randn((NUM_INPUTS, *teacher.spec.shape), generator=torch.Generator().manual_seed(0))
        for recipe, inputs in (("int8_noise", noise), ("int8_clipped", DIMMED * noise)):
            where = Path(folder) / recipe
            where.mkdir()
            yield recipe, OnnxStudent(CalibratedGraph(graph, inputs, where).quantize(StaticSettings()))
