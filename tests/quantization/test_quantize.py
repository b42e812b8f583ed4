"""Networks in 8 bits, calibrated without data: what is promised of the file, and what is refused."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from beliefmatch.cli import main
from beliefmatch.data.digits import read_digits
from beliefmatch.errors import BeliefMatchError, ExportError, ExtraError, FolderError, SettingsError
from beliefmatch.export import onnx as onnx_format
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.functional.maximum_entropy import light_tails
from beliefmatch.networks.normalisation import DIGITS
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization import static
from beliefmatch.quantization.calibration_inputs import CalibrationInputs, make_calibration_inputs
from beliefmatch.quantization.choice import choose_calibration, keep_costly_layers, measure_costs
from beliefmatch.quantization.comparison import compare_logits, predict_by_onnxruntime
from beliefmatch.quantization.quantize import QuantizationSettings, Quantized, quantize_network
from beliefmatch.quantization.static import CalibratedGraph, PreparedGraph, RangeName, StaticSettings, prepare_graph
from beliefmatch.studies.demo import train_teacher
from beliefmatch.studies.quantize import quantize

FEW = QuantizationSettings(num_inputs=64)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return train_teacher(read_digits()[0]).eval()


@pytest.fixture(scope="module")
def inputs(network: nn.Module) -> CalibrationInputs:
    return make_calibration_inputs(Teacher(network, DIGITS), count=64, seed=0)


@pytest.fixture(scope="module")
def in_32_bits(network: nn.Module) -> bytes:
    return onnx_format.write(DeployedGraph(network, DIGITS, None), DIGITS)


@pytest.fixture(scope="module")
def graph(in_32_bits: bytes) -> PreparedGraph:
    return prepare_graph(in_32_bits)


@pytest.fixture(scope="module")
def expected(in_32_bits: bytes, inputs: CalibrationInputs) -> Tensor:
    return predict_by_onnxruntime(in_32_bits, inputs.held_out)


@pytest.fixture(scope="module")
def quantized(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    out = tmp_path_factory.mktemp("quantized") / "digits.onnx"
    return quantize_network(network, DIGITS, out, settings=FEW, images=read_digits()[1])


def test_the_file_holds_8_bit_weights_for_each_channel(quantized: Quantized) -> None:
    model = onnx.load(quantized.file)
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    kernels = [array for array in arrays.values() if array.ndim == 4]
    assert kernels
    assert {array.dtype for array in kernels} == {np.dtype(np.int8)}
    assert any(array.ndim == 1 and array.size == 32 and array.dtype == np.float32 for array in arrays.values())
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def test_it_says_what_was_found(quantized: Quantized) -> None:
    found = quantized.quantization
    content = quantized.file.read_bytes()
    assert (found.sha256, found.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert found.float_bytes > 2 * found.bytes
    assert found.pseudo.num_examples == 64
    assert found.pseudo.agreement >= found.min_agreement
    assert found.images
    assert found.images.accuracy is not None
    assert found.images.accuracy > 0.97
    assert found.images.agreement > 0.98
    assert found.latency > 0 < found.float_latency
    *without, corrected = found.candidates
    kinds = {(each.calibration, each.ranges) for each in without}
    assert [each.bias_correction for each in found.candidates] == [False] * len(without) + [True]
    assert kinds == {(a, b) for a in ("weighted", "refined", "procedural") for b in ("minmax", "percentile")}
    chosen = min(found.candidates, key=lambda each: each.divergence)
    assert (found.calibration, found.ranges) == (chosen.calibration, chosen.ranges)
    assert found.bias_correction is chosen.bias_correction
    nearest = min(without, key=lambda each: each.divergence)
    assert (corrected.calibration, corrected.ranges) == (nearest.calibration, nearest.ranges)
    assert json.loads(quantized.record.read_text())["calibration"] == found.calibration


def test_the_network_stays_as_it_was(network: nn.Module, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    quantize_network(
        network,
        DIGITS,
        tmp_path / "a.onnx",
        settings=replace(FEW, calibration="noise", ranges="minmax", min_agreement=0.5),
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not network._forward_hooks


def test_what_calibrates_is_not_what_decides(inputs: CalibrationInputs) -> None:
    held_out = {each.numpy().tobytes() for each in inputs.held_out}
    for made in inputs.by_name.values():
        assert not held_out & {each.numpy().tobytes() for each in made}


def test_refined_inputs_meet_the_statistics_better(network: nn.Module, inputs: CalibrationInputs) -> None:
    teacher = Teacher(network, DIGITS)
    gaps = {
        name: float(teacher.statistics_gap(teacher.outputs(made, tap_batch_norms=True)))
        for name, made in inputs.by_name.items()
    }
    assert gaps["refined"] < gaps["procedural"] < gaps["noise"]


def test_weighted_inputs_meet_the_moments_better(network: nn.Module, inputs: CalibrationInputs) -> None:
    teacher = Teacher(network, DIGITS)

    def gap(made: Tensor) -> float:
        moments = teacher.batch_norm_moments(teacher.outputs(made, tap_batch_norms=True))
        return float(light_tails(moments).mean(dim=0).square().mean())

    unweighted = torch.cat([inputs.by_name["procedural"], inputs.by_name["refined"]])
    assert gap(inputs.by_name["weighted"]) < gap(unweighted)
    assert gap(inputs.held_out) < gap(unweighted)


def test_the_nearest_is_chosen(
    graph: PreparedGraph, inputs: CalibrationInputs, expected: Tensor, tmp_path: Path
) -> None:
    # Noise of a tiny scale clips nearly all of what is held out.
    clipped = replace(inputs, by_name={"weighted": 1e-3 * inputs.by_name["weighted"], "refined": inputs.held_out})
    choice = choose_calibration(
        graph, clipped, expected, tmp_path, settings=StaticSettings(), calibration=None, ranges="minmax"
    )
    assert choice.calibration == "refined"
    assert [each.calibration for each in choice.candidates] == ["weighted", "refined"]


def test_a_node_that_stays_in_32_bits_saves_what_is_said(
    graph: PreparedGraph, inputs: CalibrationInputs, expected: Tensor, tmp_path: Path
) -> None:
    choice = choose_calibration(
        graph, inputs, expected, tmp_path, settings=StaticSettings(), calibration="noise", ranges="minmax"
    )
    costs = measure_costs(choice, inputs, expected)
    assert {cost.node for cost in costs} == set(graph.nodes)
    assert [cost.divergence_saved for cost in costs] == sorted((cost.divergence_saved for cost in costs), reverse=True)
    again = CalibratedGraph(graph, inputs.by_name["noise"], choice.graph.folder)
    content = again.quantize(replace(choice.settings, keep_float=(costs[0].node,)))
    without = compare_logits(expected, predict_by_onnxruntime(content, inputs.held_out)).divergence
    assert math.isclose(choice.closeness.divergence - without, costs[0].divergence_saved)
    kept, _ = keep_costly_layers(choice, inputs, expected, min_agreement=2.0)
    assert kept.settings.keep_float[0] == costs[0].node
    assert kept.closeness.divergence < choice.closeness.divergence
    assert keep_costly_layers(choice, inputs, expected, min_agreement=0.0) == (choice, [])


def test_pixels_may_be_taken(network: nn.Module, tmp_path: Path) -> None:
    examples = read_digits()[1]
    found = quantize_network(
        network,
        DIGITS,
        tmp_path / "a.onnx",
        settings=replace(FEW, calibration="weighted"),
        pixels="uint8",
        images=examples,
    ).quantization
    assert found.images
    assert found.images.agreement > 0.98


def test_a_file_that_does_not_agree_is_not_left(tmp_path: Path) -> None:
    torch.manual_seed(1)
    broken = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), Huge(), nn.Linear(10, 10))
    with pytest.raises(ExportError, match="does not predict what the student does on held-out pseudo inputs"):
        quantize_network(
            broken, DIGITS, tmp_path / "a.onnx", settings=replace(FEW, min_agreement=1.0, keep_float="none")
        )
    assert not list(tmp_path.iterdir())


class Huge(nn.Module):
    """Makes one channel so large that 8 bits leave nothing of the others."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * torch.tensor([1e5] + [1.0] * 9)


def test_a_file_that_is_there_is_kept(network: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(FolderError, match=r"a\.json is there already: add overwrite=True"):
        quantize_network(network, DIGITS, tmp_path / "a.onnx", settings=FEW)


@pytest.mark.parametrize("name", ["", ".", "..", "a.json", "a.txt", "a"])
def test_a_file_of_another_name_is_refused(name: str, network: nn.Module, tmp_path: Path) -> None:
    """Its record, a.json, would replace a file that is called so."""
    with pytest.raises(SettingsError, match=r"should end in \.onnx"):
        quantize_network(network, DIGITS, tmp_path / name, settings=FEW)
    with pytest.raises(SettingsError, match=r"should end in \.onnx"):
        quantize_network(network, DIGITS, Path(name), settings=FEW)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (replace(FEW, min_agreement=1.5), "min_agreement must be above 0 and at most 1"),
        (replace(FEW, num_inputs=3), "num_inputs must be from 32 to 65536"),
        (replace(FEW, seed=-1), r"seed must be at least 0 and below 2\*\*32; got -1"),
        (replace(FEW, seed=2**32), r"seed must be at least 0 and below 2\*\*32"),
        (replace(FEW, keep_float=("nothing",)), "no node is called 'nothing'; there are "),
    ],
)
def test_settings_out_of_range_are_refused(
    network: nn.Module, tmp_path: Path, settings: QuantizationSettings, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        quantize_network(network, DIGITS, tmp_path / "a.onnx", settings=settings)


def test_what_is_quantised_or_has_no_weights_is_refused(quantized: Quantized) -> None:
    with pytest.raises(ExportError, match="quantised already"):
        prepare_graph(quantized.file.read_bytes())
    network = nn.Sequential(nn.Flatten(), nn.ReLU())
    with pytest.raises(ExportError, match="has nothing to quantise"):
        prepare_graph(onnx_format.write(DeployedGraph(network, DIGITS, None), DIGITS))


def test_an_onnxruntime_that_is_too_old_is_one_line(in_32_bits: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.9.2")
    with pytest.raises(ExtraError, match=r"onnxruntime 1\.9\.2 is too old to quantise, expected 1\.18 or newer"):
        prepare_graph(in_32_bits)


@pytest.mark.parametrize(("vnni", "highest"), [(True, 127), (False, 64)])
def test_weights_get_7_bits_where_the_cpu_lacks_vnni(
    graph: PreparedGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vnni: bool, highest: int
) -> None:
    monkeypatch.setattr(static, "has_vnni", lambda: vnni)
    content = CalibratedGraph(graph, torch.zeros(32, 1, 8, 8), tmp_path).quantize(StaticSettings())
    kernels = [each for each in onnx.load_from_string(content).graph.initializer if len(each.dims) == 4]
    assert max(int(abs(onnx.numpy_helper.to_array(each).astype(int)).max()) for each in kernels) == highest


def test_batch_norm_is_folded(quantized: Quantized, network: nn.Module) -> None:
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert all(node.op_type != "BatchNormalization" for node in onnx.load(quantized.file).graph.node)


def test_each_way_to_find_ranges_serves(
    graph: PreparedGraph, inputs: CalibrationInputs, expected: Tensor, tmp_path: Path
) -> None:
    calibrated = CalibratedGraph(graph, inputs.by_name["procedural"], tmp_path)
    ways: tuple[RangeName, ...] = ("minmax", "entropy", "percentile")
    made = {ranges: calibrated.quantize(StaticSettings(ranges=ranges)) for ranges in ways}
    assert made["minmax"] != made["percentile"]
    # It searches the range of least divergence, which mostly is the whole one.
    found = compare_logits(expected, predict_by_onnxruntime(made["entropy"], inputs.held_out))
    assert found.agreement > 0.9


def test_the_command(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    weights, out = tmp_path / "w.safetensors", tmp_path / "m.onnx"
    save_file(network.state_dict(), weights)
    words = ["quantize", "convnet_32", "--weights", str(weights), "--shape", "1", "8", "8", "--mean", "0.3053"]
    words += ["--std", "0.3761", "--out", str(out), "--num-inputs", "64", "--calibration", "procedural"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    for text in ("percentile", "of 64 held-out pseudo inputs", "size: ", "latency: ", f"wrote {out}"):
        assert text in shown
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["quantize", str(tmp_path / "gone")]) == 2
    assert f"error: no file or folder at {tmp_path / 'gone'}" in capsys.readouterr().err
    assert main(["quantize", str(tmp_path)]) == 2
    assert f"{tmp_path} holds no run (no run.json) and no model" in capsys.readouterr().err
    for folder in ("", ".", str(tmp_path)):
        (Path(folder) / "model_int8.onnx").write_text("mine")
        assert main([*words, "--out", folder]) == 2
        assert f"{Path(folder) / 'model_int8.onnx'} is there already" in capsys.readouterr().err
    assert main([*words, "--out", "m.json"]) == 2
    assert "--out m.json should end in .onnx, or be a folder" in capsys.readouterr().err
    assert main([*words, "--output", "a.onnx"]) == 2
    assert "--output is which of the model's outputs holds the logits; the file is --out" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--keep-float", "auto", "x"]) == 2
    assert "--keep-float is auto, none, or names" in capsys.readouterr().err


class TwoOutputs(nn.Module):
    """Gives features beside its logits, both of which could be logits."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        flat = inputs.flatten(1)
        return self.first(flat), self.second(flat)


def test_one_of_several_outputs_is_named(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TwoOutputs()
    with pytest.raises(BeliefMatchError, match="output"):
        quantize(network, tmp_path / "a.onnx", shape=(1, 8, 8), settings=FEW)
    found = quantize(network, tmp_path / "a.onnx", shape=(1, 8, 8), output="1", settings=FEW)
    inputs = torch.randn(8, 1, 8, 8)
    given = predict_by_onnxruntime(found.file.read_bytes(), inputs)
    assert (given - network(inputs)[1]).abs().max() < 0.2 * given.abs().max()


@pytest.mark.parametrize(
    "given",
    [{"mean": torch.ones(1)}, {"std": 9.0}, {"shape": (1, 28, 28)}, {"outputs": "regression"}, {"weights": "w"}],
)
def test_settings_of_a_network_are_refused_with_a_run(given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(SettingsError, match=f"{tmp_path} is a run: .* leave out {next(iter(given))}$"):
        quantize(tmp_path, **given)
