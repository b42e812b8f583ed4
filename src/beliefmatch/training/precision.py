"""The floating-point precision that suits a machine, and the fabric that computes in it."""

from datetime import timedelta
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies.ddp import DDPStrategy

TIMEOUT = 300.0
"""Seconds that processes wait for each other, unless the user says otherwise."""
ResolvedPrecision = Literal["32-true", "bf16-mixed", "64-true"]
Precision = Literal["auto", "32-true", "bf16-mixed", "64-true"]


def resolve_precision(asked: Precision, device_type: str) -> ResolvedPrecision:
    """Resolve auto: bf16-mixed where the device multiplies 16-bit floats natively, else 32-true.

    In bf16-mixed convolutions and matrix products take 16-bit inputs; weights, optimisers, losses, softmax and the
    statistics of batch-norm stay in 32 bits.
    """
    if asked != "auto":
        return asked
    return "bf16-mixed" if multiplies_bf16(device_type) else "32-true"


def multiplies_bf16(device_type: str) -> bool:
    """Whether a kind of device has instructions for products of bfloat16."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "cpu":
        # torch has no public name for it.
        return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return False


def make_fabric(
    accelerator: str, precision: ResolvedPrecision, *, devices: int = 1, timeout: float = TIMEOUT
) -> Fabric:
    """Build a fabric for one kind of device.

    Args:
        accelerator: kind of device.
        precision: of all that it computes.
        devices: number of processes, one a device.
        timeout: seconds that processes wait for each other.
    """
    strategy = DDPStrategy(timeout=timedelta(seconds=timeout)) if devices > 1 else "auto"
    if precision != "bf16-mixed":
        return Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision)
    # Named as a precision it would be announced once for every fabric.
    mixed = MixedPrecision(precision, accelerator)
    return Fabric(accelerator=accelerator, devices=devices, strategy=strategy, plugins=mixed)
