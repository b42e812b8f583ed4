"""What teacher and student cost where they are deployed, before and after."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from beliefmatch.errors import ExportError
from beliefmatch.export.base import FormatName, input_name
from beliefmatch.export.formats import FORMATS
from beliefmatch.export.graph import DeployedGraph, Pixels, example_of
from beliefmatch.networks.cost import measure_cost, num_examples_taken, time_interleaved
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.onnx_session import start_session
from beliefmatch.runs.schema.export import Deployed

Call = Callable[[], object]
IN_32_BITS = "student in 32 bits"


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Of both networks."""

    student: Deployed
    teacher: Deployed
    why_no_teacher: str | None
    """Why numbers of a teacher that is there are missing."""
    in_32_bits: float | None
    """Seconds for one example of the same student in 32 bits, in onnxruntime. None: its file is in 32 bits."""


def measure_deployed(
    name: FormatName,
    spec: InputSpec,
    student: DeployedGraph,
    content: bytes,
    teacher: DeployedGraph | None,
    *,
    in_32_bits: bytes | None = None,
) -> Costs:
    """Measure files, work and latency of both networks on the CPU, one example at a time.

    Latencies of one runtime are interleaved, each runtime by itself: in turns with torch a small file takes several
    times as long (convnet_4 in onnxruntime 0.18 ms, by itself 0.03 ms, on one core).

    Args:
        name: of the format.
        spec: of the inputs of both.
        student: as exported.
        content: of the student's file.
        teacher: with the same pixels before it. None: it cannot be loaded.
        in_32_bits: ONNX file of the student in 32 bits, to time beside its file in 8. None: `content` is no such file.

    Raises:
        ExportError: no network of the two can be exported; the teacher's failure alone leaves its numbers out.
    """
    contents, why_missing = {"student": content}, None
    graphs = {"student": student} | ({} if teacher is None else {"teacher": teacher})
    if teacher is not None:
        try:
            contents["teacher"] = FORMATS[name].write(teacher, spec)
        except ExportError as error:
            why_missing = f"the teacher cannot be exported: {error}"
    sizes = {role: num_examples_taken(graph.network, spec) for role, graph in graphs.items()}
    in_torch = _time({role: _torch_call(graph, spec, sizes[role]) for role, graph in graphs.items()})
    in_torch = {role: seconds / sizes[role] for role, seconds in in_torch.items()}
    files = contents if in_32_bits is None else contents | {IN_32_BITS: in_32_bits}
    calls = (
        {role: onnxruntime_call(file, student.pixels, spec) for role, file in files.items()} if name == "onnx" else {}
    )
    in_onnxruntime = _time(calls)
    found = [
        Deployed(
            bytes=len(contents[role]) if role in contents else None,
            macs=(measure_cost(graphs[role].network, spec).macs or None) if role in graphs else None,
            torch_latency=in_torch.get(role),
            onnxruntime_latency=in_onnxruntime.get(role),
        )
        for role in ("student", "teacher")
    ]
    in_32 = in_onnxruntime.get(IN_32_BITS)
    return Costs(student=found[0], teacher=found[1], why_no_teacher=why_missing, in_32_bits=in_32)


def _time(calls: Mapping[str, Call]) -> dict[str, float]:
    with torch.inference_mode():
        return dict(zip(calls, time_interleaved(list(calls.values())), strict=True))


def _torch_call(graph: DeployedGraph, spec: InputSpec, num_examples: int) -> Call:
    examples = example_of(spec, graph.pixels, batch_size=num_examples)
    return lambda: graph(examples)


def onnxruntime_call(content: bytes, pixels: Pixels | None, spec: InputSpec) -> Call:
    """Return what runs an ONNX file on one example, with onnxruntime on the CPU."""
    session = start_session(content)
    example = {input_name(pixels): example_of(spec, pixels, batch_size=1).numpy()}
    return lambda: session.run(None, example)
