"""Packing and unpacking whatever moves."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from beliefmatch.errors import ResumeError
from beliefmatch.optimisers import Adam, Optimisation
from beliefmatch.training.state import modules_in, pack, unpack
from odd_networks import Counting


@dataclass(kw_only=True)
class Inner:
    random: torch.Generator
    dtype: torch.dtype
    count: int


@dataclass(kw_only=True)
class Outer:
    network: nn.Module
    optimisation: Optimisation
    inner: Inner
    pool: Tensor
    note: str | None


def make(seed: int) -> Outer:
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    return Outer(
        network=network,
        optimisation=Adam(learning_rate=0.1, gradient_clip=1.0).start(network, 5),
        inner=Inner(random=torch.Generator().manual_seed(seed), dtype=torch.float32, count=seed),
        pool=torch.randn(4),
        note=None if seed else "zero",
    )


def test_a_packed_state_survives_a_file_and_moves_on_alike(tmp_path: object) -> None:
    old, new = make(0), make(1)
    path = f"{tmp_path}/state.pt"
    torch.save(pack(old), path)
    unpack(new, torch.load(path, weights_only=True))
    assert (new.inner.count, new.note) == (0, "zero")
    for state in (old, new):
        state.network(torch.ones(1, 3)).sum().backward()
        state.optimisation.optimiser.step()
        state.optimisation.end_round()
        state.pool += torch.randn(4, generator=state.inner.random)
    assert torch.equal(old.pool, new.pool)
    assert all(torch.equal(a, b) for a, b in zip(old.network.parameters(), new.network.parameters(), strict=True))
    assert old.optimisation.schedule.get_last_lr() == new.optimisation.schedule.get_last_lr()


def test_buffers_that_a_state_dict_leaves_out_are_kept() -> None:
    @dataclass(kw_only=True)
    class Holder:
        network: nn.Module

    old, new = Holder(network=Counting()), Holder(network=Counting())
    old.network(torch.zeros(1, 64))
    unpack(new, pack(old))
    assert new.network.get_buffer("runs").item() == 1


def test_modules_are_found() -> None:
    state = make(0)
    assert list(modules_in(state)) == [state.network]


def test_a_state_of_another_kind_is_refused() -> None:
    packed = pack(make(0))
    del packed["pool"]
    with pytest.raises(ResumeError, match="has no pool"):
        unpack(make(1), packed)
