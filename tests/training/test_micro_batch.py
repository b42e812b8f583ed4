"""A batch that passes the networks in parts gives what the whole batch gives, where no batch-norm takes statistics."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from beliefmatch.errors import SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.training.loop import run_round
from beliefmatch.training.transfer import Transfer
from tiny import begin, image_transfer, vector_transfer


@pytest.mark.parametrize("micro_batch", [1, 3, 5, 64])
@pytest.mark.parametrize(
    "transfer",
    [image_transfer(), vector_transfer(), replace(vector_transfer(), source=FreePoints(point_steps=2))],
    ids=["images", "vectors", "free points"],
)
def test_losses_and_weights_equal_those_of_whole_batches(transfer: Transfer, micro_batch: int) -> None:
    found = []
    for part in (None, micro_batch):
        settled, state, teacher, fabric = begin(replace(transfer, micro_batch=part), precision="64-true")
        records = [run_round(settled, state, teacher, fabric) for _ in range(3)]
        found.append((records, list(state.student.parameters())))
    whole, parts = found
    for ours, theirs in zip(parts[0], whole[0], strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert_close(ours[name], value, rtol=1e-9, atol=1e-12, msg=name)
    assert_close(parts[1], whole[1], rtol=1e-7, atol=1e-9)


def test_a_micro_batch_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="micro_batch must be above 0"):
        replace(vector_transfer(), micro_batch=0)


def test_the_largest_batch_that_a_network_sees_is_the_micro_batch() -> None:
    transfer, state, teacher, fabric = begin(replace(image_transfer(), micro_batch=4))
    seen: list[int] = []
    assert transfer.batch_size == 10
    for network in (teacher.module, state.student):
        network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    run_round(transfer, state, teacher, fabric)
    assert set(seen) == {4, 3}
    assert transfer.inputs == InputSpec(shape=(1, 8, 8))
    assert torch.isfinite(next(state.student.parameters())).all()
