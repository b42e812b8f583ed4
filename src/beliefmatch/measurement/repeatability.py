"""Warnings of networks whose outputs for an example depend on chance, or on what else is in its batch."""

import logging
from contextlib import suppress

import torch
from torch import Tensor, nn

from beliefmatch.log_once import log_once
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.modes import evaluating
from beliefmatch.networks.outputs import logits_of
from beliefmatch.networks.passes import run_network
from beliefmatch.networks.recording import noise_for

logger = logging.getLogger(__name__)

NUM_EXAMPLES = 8
"""Examples of the larger batch; the smaller one has half of them."""
TOLERANCE = 1e-2
"""Difference of logits, in units of the largest or of 1, that kernels make which round otherwise for other batches."""


def warn_unless_repeatable(network: nn.Module, spec: InputSpec, *, role: str) -> None:
    """Log it where a network in eval mode gives other outputs for the same examples: numbers are those of one pass.

    Args:
        network: maps (batch, *spec.shape) to logits.
        spec: of its inputs.
        role: what to call it in the log.
    """
    noise = noise_for(network, spec, num_examples=NUM_EXAMPLES)
    with suppress(Exception), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        # A network may fail on one of these batches, which is no matter of this check.
        first, again, half = (_run(network, batch) for batch in (noise, noise, noise[: NUM_EXAMPLES // 2]))
        if _differ(first, again):
            log_once(
                logger,
                logging.WARNING,
                "the %s gives other outputs each time that it runs: in eval mode it draws random numbers, as dropout "
                "does that is not told of it (functional.dropout needs training=self.training), or changes buffers of "
                "its own; what is measured is one pass",
                role,
            )
        elif _differ(first[: len(half)], half):
            log_once(
                logger,
                logging.WARNING,
                "the outputs of the %s for an example depend on the others in its batch, as with batch-norm without "
                "running statistics (track_running_stats=False); what is measured holds for this batch size alone",
                role,
            )


def _run(network: nn.Module, batch: Tensor) -> Tensor:
    with evaluating(network), torch.no_grad():
        output = run_network(network, batch)
    return logits_of(output, network=type(network).__name__, batch_size=len(batch)).double()


def _differ(first: Tensor, second: Tensor) -> bool:
    return bool((first - second).abs().max() > TOLERANCE * max(1.0, float(first.abs().max())))
