"""What teacher and student cost where they are deployed, before and after."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from beliefmatch.errors import ExportError
from beliefmatch.export.base import FormatName, input_name
from beliefmatch.export.formats import FORMATS
from beliefmatch.export.graph import DeployedGraph, Pixels, example_of
from beliefmatch.export.onnx import start_session
from beliefmatch.networks.cost import fewest_examples, measure_cost, time_interleaved
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.runs.schema.export import Deployed

Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Of both networks."""

    student: Deployed
    teacher: Deployed
    why_no_teacher: str | None
    """Why numbers of a teacher that is there are missing."""


def measure_deployed(
    name: FormatName, spec: InputSpec, student: DeployedGraph, content: bytes, teacher: DeployedGraph | None
) -> Costs:
    """Measure files, work and latency of both networks on the CPU, one example at a time, all latencies interleaved.

    Args:
        name: of the format.
        spec: of the inputs of both.
        student: as exported.
        content: of the student's file.
        teacher: with the same pixels before it. None: it cannot be loaded.

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
    calls: dict[tuple[str, str], Call] = {(role, "torch"): _torch_call(graph, spec) for role, graph in graphs.items()}
    if name == "onnx":
        calls |= {
            (role, "onnxruntime"): onnxruntime_call(written, graphs[role].pixels, spec)
            for role, written in contents.items()
        }
    with torch.inference_mode():
        seconds = dict(zip(calls, time_interleaved(list(calls.values())), strict=True))
    for role, graph in graphs.items():
        seconds[role, "torch"] /= fewest_examples(graph.network)
    found = [
        Deployed(
            bytes=len(contents[role]) if role in contents else None,
            macs=measure_cost(graphs[role].network, spec).macs if role in graphs else None,
            torch_latency=seconds.get((role, "torch")),
            onnxruntime_latency=seconds.get((role, "onnxruntime")),
        )
        for role in ("student", "teacher")
    ]
    return Costs(student=found[0], teacher=found[1], why_no_teacher=why_missing)


def _torch_call(graph: DeployedGraph, spec: InputSpec) -> Call:
    examples = example_of(spec, graph.pixels, batch_size=fewest_examples(graph.network))
    return lambda: graph(examples)


def onnxruntime_call(content: bytes, pixels: Pixels | None, spec: InputSpec) -> Call:
    """Return what runs an ONNX file on one example, with onnxruntime on the CPU."""
    session = start_session(content)
    example = {input_name(pixels): example_of(spec, pixels, batch_size=1).numpy()}
    return lambda: session.run(None, example)
