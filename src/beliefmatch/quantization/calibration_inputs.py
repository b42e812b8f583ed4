"""Inputs that an 8-bit network is calibrated on, made without data from the network that they are for."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from beliefmatch.export.check import both_inputs
from beliefmatch.export.graph import Pixels
from beliefmatch.networks.examples import Inputs
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.placement import keep_what_serves
from beliefmatch.networks.teacher import Teacher
from beliefmatch.sources.importance_weights import draw_rows
from beliefmatch.sources.procedural_pool import ProceduralPool, ProceduralPoolState, fill_pool
from beliefmatch.training.precision import make_fabric

logger = logging.getLogger(__name__)

CalibrationName = Literal["noise", "procedural", "refined", "weighted"]
"""noise: standard normal. procedural: dead leaves and textures. refined: the same after steps towards the statistics
that the network's batch-norm layers remember. weighted: both, drawn so that those statistics are met."""
MADE_AT_ONCE = 256
"""Inputs of which half are refined."""
REFINING_LIMIT = 2e13
"""Multiply-accumulates that refining may cost, some minutes on a CPU; above them nothing is refined."""
MIN_EFFECTIVE = 0.25
"""Effective sample size of the weights at least, as part of what is made: a calibration has few inputs, and a range
must not hang on a handful."""
PASSES_OF_A_STEP = 3
"""A step that refines passes the network forwards, and backwards for twice as much."""


@dataclass(frozen=True, kw_only=True)
class CalibrationInputs:
    """Network inputs of each kind that a network allows, and others to choose by."""

    by_name: Mapping[CalibrationName, Tensor]
    """(count, *shape), float32."""
    held_out: Tensor
    """(count, *shape), float32: of the best kind, and none of those above. What is decided without data is decided on
    these."""

    def as_pixels(self, spec: InputSpec, pixels: Pixels) -> "CalibrationInputs":
        """Return the same as pixels, for a graph that makes network inputs of them."""
        return CalibrationInputs(
            by_name={name: _to_pixels(inputs, spec, pixels) for name, inputs in self.by_name.items()},
            held_out=_to_pixels(self.held_out, spec, pixels),
        )


def _to_pixels(inputs: Tensor, spec: InputSpec, pixels: Pixels) -> Tensor:
    """Return network inputs (count, *shape) as what a graph takes, (count, *shape)."""
    return both_inputs(Inputs(name="", inputs=inputs), spec, pixels)[1]


def make_calibration_inputs(teacher: Teacher, *, count: int, seed: int) -> CalibrationInputs:
    """Make inputs of each kind on the CPU.

    Args:
        teacher: the network that is quantised, or the one that it learnt from; its batch-norm layers say what its data
            was like.
        count: inputs of each kind.
        seed: of all noise.
    """
    teacher = teacher.copied()
    keep_what_serves(teacher.module, teacher.spec, role="network")
    source = _source_for(teacher, count)
    fabric = make_fabric("cpu", "32-true")
    rounds = -(-2 * count // MADE_AT_ONCE)
    state = fill_pool(source, teacher, fabric, rounds=rounds, batch_size=count, seed=seed)
    held = int(state.pool.held)
    state.importance.solve(held, MIN_EFFECTIVE)
    # In random order, so that both halves hold all kinds.
    order = torch.randperm(held, generator=state.random)
    first, second = order[: held // 2], order[held // 2 :]
    noise = torch.randn((count, *teacher.spec.shape), generator=torch.Generator().manual_seed(seed))
    found: dict[CalibrationName, Tensor] = {"noise": noise}
    for name, rows in _rows_of_kinds(source, held):
        kept = first[torch.isin(first, rows)][:count]
        found[name] = _read(state, kept)
    found["weighted"] = _draw(state, first, count)
    return CalibrationInputs(by_name=found, held_out=_draw(state, second, count))


def _source_for(teacher: Teacher, count: int) -> ProceduralPool:
    """Return the source of `best`, all of whose inputs are kept."""
    source = ProceduralPool(warm_up=0, made_batch=MADE_AT_ONCE, augmentation=None).resolve(teacher)
    refined = (source.refined_fraction or 0.0) * 2 * count
    needed = refined * source.making_steps * PASSES_OF_A_STEP * teacher.inspection.macs
    if needed > REFINING_LIMIT:
        logger.info(
            "no inputs are refined: that would take %.0f tera-multiply-accumulates, above the limit of %.0f",
            needed / 1e12,
            REFINING_LIMIT / 1e12,
        )
        return replace(source, refined_fraction=0.0)
    return source


def _rows_of_kinds(source: ProceduralPool, held: int) -> Iterator[tuple[CalibrationName, Tensor]]:
    """Yield the rows of the pool that hold procedural and refined inputs; a batch holds the refined ones last."""
    refined = round((source.refined_fraction or 0.0) * MADE_AT_ONCE)
    rows = torch.arange(held)
    is_plain = rows % MADE_AT_ONCE < MADE_AT_ONCE - refined
    yield "procedural", rows[is_plain]
    if refined:
        yield "refined", rows[~is_plain]


def _draw(state: ProceduralPoolState, rows: Tensor, count: int) -> Tensor:
    """Draw from these rows by importance, (count, *shape)."""
    probabilities = state.importance.probabilities(state.pool.held, 1.0)[rows]
    return _read(state, rows[draw_rows(probabilities, count, state.random)])


def _read(state: ProceduralPoolState, rows: Tensor) -> Tensor:
    """Read inputs (rows, *shape) in contiguous memory format, which any network takes."""
    return state.pool.read(rows).float().contiguous()
