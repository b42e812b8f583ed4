"""What the commands `quantize` and `export --int8` say of a file in 8 bits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from beliefmatch.cli.tables import percent

if TYPE_CHECKING:
    from beliefmatch.runs.schema.export import EightBits, FileCheck


def describe_8_bits(
    name: str, found: "EightBits", checks: "Sequence[tuple[str, FileCheck]]", *, num_bytes: int, threads: int
) -> list[str]:
    """Return what was found, in words: agreement, what stayed in 32 bits, size and latency.

    Args:
        name: of the file.
        found: how it was quantised.
        checks: what it was compared on, from `describe_checks`.
        num_bytes: of the file.
        threads: that latencies were measured with.
    """
    lines = []
    for examples, check in checks:
        accuracy = ""
        if check.accuracy is not None and check.student_accuracy is not None:
            accuracy = f"; accuracy {percent(check.accuracy)}, in 32 bits {percent(check.student_accuracy)}"
        lines.append(
            f"{name} gives {percent(check.agreement)} of {examples} the class of the network in 32 bits{accuracy}"
        )
    if found.keep_float:
        kept = ", ".join(found.keep_float)
        lines.append(f"{len(found.keep_float)} of {found.num_nodes} nodes with weights stayed in 32 bits: {kept}")
    size = num_bytes / found.float_bytes
    lines.append(f"size: {num_bytes:,} bytes, in 32 bits {found.float_bytes:,} ({size:.2f} of it)")
    verdict = "" if found.is_faster else "; 8 bits are not faster on this machine"
    lines.append(
        f"latency: {1000 * found.latency:.3f} ms, in 32 bits {1000 * found.float_latency:.3f} ms, for one example with "
        f"{threads} thread{'' if threads == 1 else 's'}{verdict}"
    )
    return lines
