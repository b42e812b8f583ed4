"""What must be equal for a run to continue."""

import hashlib

from torch import nn

from beliefmatch.networks.state_dicts import bytes_of
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.schema.run import RunSettings
from beliefmatch.runs.serialisation import to_json
from beliefmatch.training.precision import ResolvedPrecision
from beliefmatch.training.transfer import Transfer


def settings_of(
    transfer: Transfer, teacher: Teacher, *, num_processes: int, device: str, precision: ResolvedPrecision
) -> RunSettings:
    """Return all that must be equal for a run to continue; the teacher counts by content."""
    return RunSettings(
        transfer=to_json(transfer),
        teacher_sha256=fingerprint(teacher.module),
        num_processes=num_processes,
        device=device,
        precision=precision,
    )


def fingerprint(network: nn.Module) -> str:
    """Compute the SHA-256 over names and bytes of all parameters and buffers, hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        for part in bytes_of(tensor):
            digest.update(part)
    return digest.hexdigest()
