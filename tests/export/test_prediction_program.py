"""The fresh process: what passes between it and us, and what it does without."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from beliefmatch.errors import ExportError
from beliefmatch.export.formats import FORMATS
from beliefmatch.export.fresh_process import fresh_process
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.export.prediction_program import read_array, write_array
from tiny import VECTOR, make_mlp_student

METADATA = {
    "architecture": "mlp_8",
    "num_classes": 3,
    "task": "single_label",
    "outputs": None,
    "output": None,
    "inputs": {},
}
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of it fails
from beliefmatch.export.prediction_program import main
main(*sys.argv[1:])
"""


def test_arrays_pass_a_stream_until_it_ends() -> None:
    arrays = [np.arange(6, dtype=np.uint8).reshape(2, 3), np.array([[1.5]], dtype=np.float32)]
    stream = io.BytesIO()
    for array in arrays:
        write_array(stream, array)
    stream.seek(0)
    found = [read_array(stream) for _ in range(3)]
    assert found[2] is None
    for array, again in zip(arrays, found, strict=False):
        assert again is not None
        np.testing.assert_array_equal(array, again, strict=True)


def test_onnx_is_answered_without_torch(tmp_path: Path) -> None:
    network = make_mlp_student()
    file, batch = tmp_path / "model.onnx", torch.randn(5, 12)
    file.write_bytes(FORMATS["onnx"].write(DeployedGraph(network, VECTOR, None), VECTOR))
    stream = io.BytesIO()
    write_array(stream, batch.numpy())
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(file), "onnx", "{}"],
        input=stream.getvalue(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answered = read_array(io.BytesIO(done.stdout))
    assert answered is not None
    np.testing.assert_allclose(answered, network(batch).detach().numpy(), atol=1e-5)


def test_a_file_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"junk")
    with (
        fresh_process(file, "onnx", METADATA) as process,
        pytest.raises(ExportError, match="gives no predictions in a fresh process"),
    ):
        process.predict(torch.zeros(1, 12))
