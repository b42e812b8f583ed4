"""Fresh pseudo inputs from the source as a finished run left it: ones that the student was not trained on."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beliefmatch.errors import BeliefMatchError, ResumeError, first_line
from beliefmatch.measurement.stored_run import StoredRun
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.folder import RunFolder
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.trained_generator import GeneratorTraining
from beliefmatch.training.precision import make_fabric
from beliefmatch.training.state import unpack
from beliefmatch.training.transfer import Transfer

NUM_PSEUDO = 256

OTHER_SEED = 2**31
"""Combined with a run's seed, it gives noise that the run did not draw. Of a seed a CPU reads the lowest 32 bits
alone, so it must lie among them."""


@dataclass(frozen=True, kw_only=True)
class PseudoInputs:
    """Network inputs that need no data."""

    inputs: Tensor
    """(256, *shape), float32."""
    num_noise: int
    """So many of them, the last ones, are standard normal noise."""
    why_noise: str | None


def draw_pseudo(run: StoredRun, transfer: Transfer, teacher: Teacher | None) -> PseudoInputs:
    """Return inputs of the source as the run left it, with noise that the run has not used; the folder stays as it is.

    Where the source cannot be had again, or would read real data, the inputs are standard normal noise.

    Args:
        run: finished.
        transfer: its settings.
        teacher: which a source is started for. None: it cannot be loaded.
    """
    drawn, why_noise = torch.empty((0, *transfer.inputs.shape)), None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(transfer.seed ^ OTHER_SEED)
        try:
            drawn = _draw_from_source(run, transfer, teacher)
        except BeliefMatchError as error:
            why_noise = str(error)
        if why_noise is None and len(drawn) < NUM_PSEUDO:
            why_noise = f"the source has no more than {len(drawn)} inputs"
        noise = torch.randn((NUM_PSEUDO - len(drawn), *transfer.inputs.shape))
    return PseudoInputs(inputs=torch.cat([drawn, noise]), num_noise=len(noise), why_noise=why_noise)


def _draw_from_source(run: StoredRun, transfer: Transfer, teacher: Teacher | None) -> Tensor:
    if transfer.source.reads_data:
        raise ResumeError("the run's inputs are real data")
    if teacher is None:
        raise ResumeError("the run's source needs the teacher, which cannot be loaded")
    if not run.folder.checkpoint.is_file():
        raise ResumeError(f"the run has no {run.folder.checkpoint.name}")
    source, fabric = transfer.source, make_fabric("cpu", "32-true")
    if isinstance(source, GeneratorTraining):
        # New inputs for every batch, not once a round.
        source = replace(source, fresh_noise=True)
    plan = replace(transfer.plan, seed=transfer.seed ^ OTHER_SEED)
    student = run.load_student().train()
    state = source.start(teacher, student, plan, fabric)
    _restore(run.folder, state)
    drawn: list[Tensor] = []
    for inputs in _distinct(source, state, fabric):
        drawn.append(inputs.float())
        if sum(map(len, drawn)) >= NUM_PSEUDO:
            break
    return torch.cat(drawn)[:NUM_PSEUDO]


def _restore(folder: RunFolder, state: Any) -> None:
    """Load what the checkpoint holds of the source into a fresh state."""
    try:
        content = torch.load(folder.checkpoint, map_location="cpu", weights_only=True)
        packed = content["state"]["source"]
        _keep_generators(state, packed)
        unpack(state, packed)
    except Exception as error:
        # A damaged checkpoint can fail in any way, and all of them mean the same here.
        raise ResumeError(f"{folder.checkpoint.name} cannot be read: {first_line(error)}") from error


def _keep_generators(state: Any, packed: dict[str, Any]) -> None:
    """Replace the packed random generators by those of a fresh state, seeded anew, on the CPU."""
    for field in dataclasses.fields(state):
        value = getattr(state, field.name)
        if isinstance(value, torch.Generator):
            packed[field.name] = value.get_state()
        elif dataclasses.is_dataclass(value) and field.name in packed:
            _keep_generators(value, packed[field.name])


def _distinct(source: AbstractSource[Any], state: Any, fabric: Fabric) -> Iterator[Tensor]:
    """Yield batches round after round, each once, until a round brings nothing new."""
    last: Tensor | None = None
    while True:
        found = False
        for batch in source.batches(state, fabric):
            if last is not None and torch.equal(last, batch.inputs):
                continue
            last, found = batch.inputs.clone(), True
            yield last
        if not found:
            return
