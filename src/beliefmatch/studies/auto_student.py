"""Which smaller networks meet a target: what fits is listed, measured on this machine, and put into an order."""

import copy
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from beliefmatch.errors import BeliefMatchError, ExportError, SettingsError
from beliefmatch.export import onnx
from beliefmatch.export.costs import onnxruntime_call
from beliefmatch.export.graph import DeployedGraph
from beliefmatch.networks.cost import Cost, cost_of, count_macs, least_of_repeats, measure_latency, time_interleaved
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.packages import require
from beliefmatch.networks.teacher import Teacher
from beliefmatch.quantization.static import CALIBRATION_BATCH, CalibratedGraph, StaticSettings, prepare_graph
from beliefmatch.runs.schema.candidates import Candidate, Target
from beliefmatch.setting_names import Setting
from beliefmatch.students.base import AbstractStudent
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import PrunedStudent, plan_students
from beliefmatch.studies.suggestions import smaller_networks

logger = logging.getLogger(__name__)

FOR_SPEED = (1.4, 1.0, 0.7, 0.5, 0.35)
"""Parts of the multiply-accumulates that are tried, in units of the target's: latency falls less than they do, and 8
bits may do the rest."""
FOR_SIZE = (3.4, 2.0, 1.0)
"""Parts of the parameters that are tried, in units of the target's: in 8 bits each takes about .27 of its bytes."""
SHALLOW = (1.0, 0.7)
"""Parts that are tried by leaving out blocks, which is coarser."""
NEAREST = (0.4, 0.2, 0.1, 0.05)
"""Parts that are tried where none as small as the target asks can be made: the least of them comes nearest."""
MOST_NAMED = 3
"""Networks of the family, or for such inputs, that are tried."""
MOST_KEPT = 0.95
"""Part above which pruning is not worth a training."""


def check_target(target: Target) -> None:
    """Check that a target asks for something that can be.

    Raises:
        SettingsError: it does not.
    """
    if target == Target():
        raise SettingsError(
            f"{Setting('student', 'auto')} needs to know what the student must meet: give {Setting('speedup')}, "
            f"such as 2, {Setting('size')}, such as 0.25, or {Setting('macs')}, such as 0.5"
        )
    if target.speedup is not None and not 1 < target.speedup < 1e6:
        raise SettingsError(
            f"{Setting('speedup')} must be above 1, such as 2 for twice as fast; got {target.speedup:g}"
        )
    for name, part in (("size", target.size), ("macs", target.macs)):
        if part is not None and not 0 < part < 1:
            raise SettingsError(f"{Setting(name)} must be above 0 and below 1, such as 0.5 for half; got {part:g}")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A network that might do, before it is measured."""

    student: AbstractStudent | None
    """Settings that make it. None: it is the teacher itself."""
    network: nn.Module
    """On the CPU, untrained where it is not made from its teacher."""
    cost: Cost

    @property
    def name(self) -> str | None:
        """Name of the student; None: the teacher itself."""
        return None if self.student is None else self.student.architecture


def list_proposals(architecture: str, teacher: Teacher, target: Target) -> list[Proposal]:
    """Return the teacher itself, then it with fewer channels or blocks, then smaller networks that have a name.

    Args:
        architecture: the teacher's name.
        teacher: on the CPU.
        target: what has to be met; it says which parts are tried.
    """
    whole = cost_of(teacher.module, teacher.inspection.macs)
    found = [Proposal(student=None, network=teacher.module, cost=whole)]
    for student in plan_students(_pruned_names(target), teacher) or _nearest_pruned(teacher, target):
        network = student.build(teacher).eval()
        found.append(
            Proposal(student=student, network=network, cost=cost_of(network, count_macs(network, teacher.spec)))
        )
    part = _part(target)
    named = (
        Proposal(student=NamedStudent(architecture=name), network=network.eval(), cost=cost)
        for name, network, cost in smaller_networks(architecture, teacher)
        if _counted(cost, target) <= part * _counted(whole, target)
    )
    return _without_twins([*found, *islice(named, MOST_NAMED)])


def _nearest_pruned(teacher: Teacher, target: Target) -> list[PrunedStudent]:
    """Return the smallest that can be made of the teacher, to tell what comes nearest; none where nothing can."""
    quantity = "parameters=" if _is_of_size(target) else ""
    names = [f"thin:{quantity}{part:g}" for part in NEAREST if part > _part(target)]
    return plan_students(names, teacher)[-1:]


def _part(target: Target) -> float:
    """Return the part that has to be met by what is counted before anything is measured."""
    parts = (1 / target.speedup if target.speedup else None, target.size, target.macs)
    return min(part for part in parts if part is not None)


def _is_of_size(target: Target) -> bool:
    return target.speedup is None and target.macs is None


def _counted(cost: Cost, target: Target) -> int:
    return cost.parameters if _is_of_size(target) else cost.macs


def _pruned_names(target: Target) -> list[str]:
    """Return names of pruned students, the largest first."""
    part, quantity = _part(target), "parameters=" if _is_of_size(target) else ""
    rungs = FOR_SIZE if _is_of_size(target) else FOR_SPEED if target.speedup or target.size else (1.0,)
    thin = [f"thin:{quantity}{part * rung:.3g}" for rung in rungs if part * rung < MOST_KEPT]
    return [*thin, *(f"shallow:{part * rung:.3g}" for rung in SHALLOW[: 2 if target.speedup else 1])]


def _without_twins(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Leave out pruned networks of the same plan as one before them."""
    kept: list[Proposal] = []
    for proposal in proposals:
        plan = getattr(proposal.student, "plan", None)
        if plan is None or all(getattr(other.student, "plan", None) != plan for other in kept):
            kept.append(proposal)
    return kept


def measure_proposals(proposals: Sequence[Proposal], spec: InputSpec, target: Target) -> tuple[str, list[Candidate]]:
    """Measure bytes and latency of all on the CPU, in turns; in 8 bits too where onnxruntime is there.

    Args:
        proposals: the network itself first.
        spec: of their inputs.
        target: what has to be met.

    Returns:
        What latencies were measured in, and the candidates, the network itself first.
    """
    try:
        for package in onnx.ONNX.modules:
            require(package, install="beliefmatch[onnx]")
        written = list(_write(proposals, spec, with_8_bits=bool(target.speedup or target.size)))
    except BeliefMatchError as error:
        logger.info("latencies are measured in torch, and nothing in 8 bits: %s", error)
        networks = [each.network for each in proposals]
        seconds = least_of_repeats(lambda number: measure_latency(networks, spec, num_timed=number))
        sizes = [(each, False, each.cost.bytes) for each in proposals]
        return "torch", _make_candidates(sizes, seconds, target)
    calls = [onnxruntime_call(content, None, spec) for _, _, content in written]
    seconds = least_of_repeats(lambda number: time_interleaved(calls, num_timed=number))
    return "onnxruntime", _make_candidates([(each, bits, len(file)) for each, bits, file in written], seconds, target)


def _write(
    proposals: Sequence[Proposal], spec: InputSpec, *, with_8_bits: bool
) -> Iterator[tuple[Proposal, bool, bytes]]:
    """Yield each network as an ONNX file, and the same in 8 bits; whether it is stands between.

    Raises:
        ExportError: the first, the network itself, cannot be written.
    """
    for number, proposal in enumerate(proposals):
        try:
            content = onnx.write(DeployedGraph(copy.deepcopy(proposal.network), spec, None), spec)
        except ExportError as error:
            if number == 0:
                raise
            logger.info("%s is not tried: %s", proposal.name, error)
            continue
        yield proposal, False, content
        if with_8_bits:
            try:
                yield proposal, True, _quantize_roughly(content, spec)
            except ExportError as error:
                logger.info("%s is not tried in 8 bits: %s", proposal.name or "the network itself", error)


def _quantize_roughly(content: bytes, spec: InputSpec) -> bytes:
    """Quantise on noise: neither bytes nor latency depend on ranges."""
    noise = torch.randn((CALIBRATION_BATCH, *spec.shape), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        return CalibratedGraph(prepare_graph(content), noise, Path(folder)).quantize(StaticSettings())


def _make_candidates(
    measured: Sequence[tuple[Proposal, bool, int]], seconds: Sequence[float], target: Target
) -> list[Candidate]:
    whole, num_bytes, latency = measured[0][0].cost, measured[0][2], seconds[0]
    return [
        Candidate(
            student=proposal.name,
            in_8_bits=in_8_bits,
            macs=proposal.cost.macs,
            parameters=proposal.cost.parameters,
            bytes=size,
            latency=taken,
            meets=(target.speedup is None or latency >= target.speedup * taken)
            and (target.size is None or size <= target.size * num_bytes)
            and (target.macs is None or proposal.cost.macs <= target.macs * whole.macs),
        )
        for (proposal, in_8_bits, size), taken in zip(measured, seconds, strict=True)
    ]


def order_candidates(candidates: Sequence[Candidate]) -> tuple[int, ...]:
    """Return the positions of those that meet the target, in the order in which they are trained.

    No data decides: whoever keeps more multiply-accumulates comes first, since a larger student comes nearer to its
    teacher; of equal ones those in 32 bits, and those that are made from the teacher. The first of each way to make a
    student comes before the second of any.

    Args:
        candidates: the network itself first.
    """
    met = [number for number, each in enumerate(candidates) if each.meets]
    met.sort(key=lambda number: (-candidates[number].macs, candidates[number].in_8_bits, number))
    # In 8 bits nothing is gained where the same student meets it in 32.
    in_32 = {candidates[number].student for number in met if not candidates[number].in_8_bits}
    met = [each for each in met if not (candidates[each].in_8_bits and candidates[each].student in in_32)]
    ways: set[tuple[str, bool]] = set()
    first: list[int] = []
    for number in met:
        way = _way(candidates[number])
        if way not in ways:
            ways.add(way)
            first.append(number)
    return (*first, *(number for number in met if number not in first))


def _way(candidate: Candidate) -> tuple[str, bool]:
    pruned = re.match(r"thin|shallow", candidate.student or "itself")
    kind = "itself" if candidate.student is None else pruned[0] if pruned else "named"
    return kind, candidate.in_8_bits
