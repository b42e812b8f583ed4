"""Whether the batches of a run fit in memory, estimated before any of it is taken.

The estimates are lower bounds: what they refuse cannot run, and what they let through may still be too large.
"""

import math

import torch
from lightning_fabric import Fabric

from beliefmatch.errors import SettingsError
from beliefmatch.memory import check_memory
from beliefmatch.networks.inspection import Inspection
from beliefmatch.networks.teacher import Teacher
from beliefmatch.setting_names import Setting, where_known
from beliefmatch.training.transfer import Transfer

BYTES = 4
"""Of a number. In 16 bits activations take half of that, and copies in 32 bits besides."""
COPIES = 3
"""Of a batch: its inputs, a copy of them for the networks, and noise or a gradient."""


def check_inputs_fit(transfer: Transfer, fabric: Fabric, local_batch_size: int) -> None:
    """Check that a batch of inputs and the source's pool fit, before any network is loaded.

    Raises:
        SettingsError: they do not.
    """
    numbers = math.prod(transfer.inputs.shape)
    free = _free_on(fabric)
    check_memory(
        COPIES * BYTES * numbers * local_batch_size,
        f"a batch of {local_batch_size:,} inputs of shape {transfer.inputs.shape}",
        f"take a smaller {Setting('batch_size')}",
        error=SettingsError,
        free=free,
    )
    capacity = min(getattr(transfer.source, "capacity", 0), transfer.rounds * transfer.batch_size)
    check_memory(
        numbers * capacity,
        f"a pool of {capacity:,} inputs",
        f"take a smaller {Setting('source.capacity')}",
        error=SettingsError,
        free=free,
    )


def check_batch_fits(
    transfer: Transfer, teacher: Teacher, inspection: Inspection, fabric: Fabric, local_batch_size: int
) -> None:
    """Check that the activations of both networks for a batch, or a micro-batch, fit.

    Args:
        transfer: with the micro-batch.
        teacher: inspected.
        inspection: of the student.
        fabric: device.
        local_batch_size: examples a batch in this process.

    Raises:
        SettingsError: they do not.
    """
    size = min(local_batch_size, transfer.micro_batch or local_batch_size)
    # The student's are all kept until its gradient has passed; modules that work in place share theirs.
    kept = sum(math.prod(shape) for shape in inspection.shapes.values()) // 2
    largest = max(map(math.prod, teacher.inspection.shapes.values()), default=0)
    check_memory(
        BYTES * (size * (kept + largest) + COPIES * local_batch_size * math.prod(transfer.inputs.shape)),
        f"a batch of {local_batch_size:,} examples, with the activations of {size:,} at a time,",
        f"take a smaller {Setting('batch_size')}{where_known(', or {}', Setting('micro_batch'))}",
        error=SettingsError,
        free=_free_on(fabric),
    )


def _free_on(fabric: Fabric) -> int | None:
    """Return the free bytes of a CUDA device; None for this machine's own memory."""
    return torch.cuda.mem_get_info(fabric.device)[0] if fabric.device.type == "cuda" else None
