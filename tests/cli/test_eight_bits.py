"""What the commands say of a file in 8 bits."""

import pytest

from beliefmatch.cli.eight_bits import describe_8_bits
from beliefmatch.runs.schema.export import EightBits


@pytest.mark.parametrize(("latency", "is_slower"), [(2e-3, True), (1e-3, True), (0.5e-3, False)])
def test_where_8_bits_are_not_faster_it_is_said(latency: float, is_slower: bool) -> None:
    found = EightBits(
        calibrated_on="weighted",
        ranges="minmax",
        keep_float=["first"],
        num_nodes=3,
        float_bytes=4000,
        latency=latency,
        float_latency=1e-3,
    )
    lines = describe_8_bits("a.onnx", found, [], num_bytes=1000, threads=2)
    assert lines[:2] == [
        "1 of 3 nodes with weights stayed in 32 bits: first",
        "size: 1,000 bytes, in 32 bits 4,000 (0.25 of it)",
    ]
    assert lines[2].endswith("; 8 bits are not faster on this machine") is is_slower
    assert lines[2].startswith(f"latency: {1000 * latency:.3f} ms, in 32 bits 1.000 ms, for one example with 2 threads")
