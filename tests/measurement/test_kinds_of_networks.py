"""Networks of many kinds: multiply-accumulates by hand, and all other numbers by the slow script."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from beliefmatch.measurement.run import measure_networks
from beliefmatch.networks.cost import measure_cost
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.given import GivenNetwork
from beliefmatch.networks.loading.python_file import copy_network
from reference.slow_measurement import SlowScores, slow_measurement

pytestmark = pytest.mark.long

IMAGE, SEQUENCE, VECTOR = (3, 8, 8), (20, 5), (12,)
NUM_CLASSES, CONV, HEAD = 7, 64 * 27 * 6, 6 * 7
Forward = Callable[[Any, Tensor], Tensor]


class Kind(nn.Module):
    """Whatever modules and function make of a batch."""

    def __init__(self, forward: Forward, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.compute = forward

    def forward(self, batch: Tensor) -> Tensor:
        return self.compute(self, batch)


def conv(*, wrap: Callable[[nn.Module], nn.Module] = nn.Sequential, channels: int = 6, **options: Any) -> nn.Module:
    return wrap(nn.Conv2d(3, channels, 3, padding=1, **options))


def head(size: int = 6) -> nn.Linear:
    return nn.Linear(size, NUM_CLASSES)


def pool(of: Any, batch: Tensor) -> Tensor:
    return of.head(of.body(batch).relu().mean(dim=(2, 3)))


def last(of: Any, batch: Tensor) -> Tensor:
    return of.head(of.body(batch)[0][:, -1])


def excite(of: Any, batch: Tensor) -> Tensor:
    maps = of.body(batch)
    gates = of.up(functional.silu(of.down(functional.adaptive_avg_pool2d(maps, 1)))).sigmoid()
    return of.head((maps * gates).mean(dim=(2, 3)))


def convnext(of: Any, batch: Tensor) -> Tensor:
    maps = of.stem(batch)
    mixed = of.down(functional.gelu(of.up(of.norm(of.depth(maps).permute(0, 2, 3, 1)))))
    return of.head((maps + mixed.permute(0, 3, 1, 2)).mean(dim=(2, 3)))


def attend(of: Any, batch: Tensor) -> Tensor:
    return of.head(of.encoder(of.patches(batch).flatten(2).transpose(1, 2)).mean(dim=1))


def steps(of: Any, batch: Tensor) -> Tensor:
    state = (batch.new_zeros(len(batch), 6), batch.new_zeros(len(batch), 6))
    for step in batch.unbind(dim=1):
        state = of.body(step, state)
    return of.head(state[0])


def siamese(of: Any, batch: Tensor) -> Tensor:
    both = of.body(batch).relu().mean(dim=(2, 3)), of.body(batch.flip(-1)).relu().amax(dim=(2, 3))
    return of.head(torch.cat(both, dim=1))


def hooked() -> nn.Module:
    network = Kind(pool, body=conv(), head=head())
    network.register_forward_pre_hook(lambda _network, inputs: (inputs[0] - 0.3,))
    network.register_forward_hook(lambda _network, _inputs, output: (3 * output).softmax(dim=1))
    return network


def encoder(width: int = 16, hidden: int = 32) -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(width, 4, hidden, batch_first=True), 2)


BLOCK = 16 * 16 * 4 * 16 + 2 * 16 * 16 * 16 + 2 * 16 * 16 * 32
"""Of the encoder: 16 tokens of 16 features, 32 hidden ones."""
Make = Callable[[], nn.Module]
KINDS: dict[str, tuple[tuple[int, ...], int, Make]] = {
    "weight norm": (IMAGE, CONV + HEAD, lambda: Kind(pool, body=conv(wrap=weight_norm), head=head())),
    "spectral norm": (IMAGE, CONV + HEAD, lambda: Kind(pool, body=conv(wrap=spectral_norm), head=head())),
    "orthogonal": (
        VECTOR,
        144 + 84,
        lambda: Kind(
            lambda of, batch: of.head(of.body(batch).tanh()), body=orthogonal(nn.Linear(12, 12)), head=head(12)
        ),
    ),
    "gru": (SEQUENCE, 20 * 18 * 11 + HEAD, lambda: Kind(last, body=nn.GRU(5, 6, batch_first=True), head=head())),
    "rnn both ways": (
        SEQUENCE,
        2 * 20 * 6 * 11 + 12 * 7,
        lambda: Kind(last, body=nn.RNN(5, 6, batch_first=True, bidirectional=True), head=head(12)),
    ),
    "lstm cell": (SEQUENCE, 20 * 24 * 11 + HEAD, lambda: Kind(steps, body=nn.LSTMCell(5, 6), head=head())),
    "squeeze and excite": (
        IMAGE,
        64 * 27 * 8 + 2 * 16 + 56,
        lambda: Kind(excite, body=conv(channels=8), down=nn.Conv2d(8, 2, 1), up=nn.Conv2d(2, 8, 1), head=head(8)),
    ),
    "transposed in groups": (
        IMAGE,
        64 * 27 * 12 + 64 * 12 * 2 * 4 + HEAD,
        lambda: Kind(
            pool, body=nn.Sequential(conv(channels=12), nn.ConvTranspose2d(12, 6, 2, 2, groups=3)), head=head()
        ),
    ),
    "dilated, circular": (
        IMAGE,
        36 * 9 * 6 + HEAD,
        lambda: Kind(pool, body=conv(groups=3, dilation=2, padding_mode="circular"), head=head()),
    ),
    "convnext": (
        IMAGE,
        16 * 12 * 8 + 16 * 49 * 8 + 2 * 16 * 8 * 32 + 56,
        lambda: Kind(
            convnext,
            stem=nn.Conv2d(3, 8, 2, 2),
            depth=nn.Conv2d(8, 8, 7, padding=3, groups=8),
            norm=nn.LayerNorm(8),
            up=nn.Linear(8, 32),
            down=nn.Linear(32, 8),
            head=head(8),
        ),
    ),
    "encoder": (
        IMAGE,
        16 * 12 * 16 + 2 * BLOCK + 16 * 7,
        lambda: Kind(attend, patches=nn.Conv2d(3, 16, 2, 2), encoder=encoder(), head=head(16)),
    ),
    "siamese": (IMAGE, 2 * CONV + 12 * 7, lambda: Kind(siamese, body=conv(), head=head(12))),
    "instance norm": (
        IMAGE,
        CONV + HEAD,
        lambda: Kind(
            pool, body=nn.Sequential(conv(), nn.InstanceNorm2d(6, affine=True, track_running_stats=True)), head=head()
        ),
    ),
    "volumes": (
        (2, 4, 6, 8),
        5 * 54 * 192 + 35,
        lambda: Kind(
            lambda of, batch: of.head(of.body(batch).relu().mean(dim=(2, 3, 4))),
            body=nn.Conv3d(2, 5, 3, padding=1),
            head=head(5),
        ),
    ),
    "log softmax": (
        IMAGE,
        CONV + HEAD,
        lambda: Kind(lambda of, batch: (5 * pool(of, batch)).log_softmax(dim=1), body=conv(), head=head()),
    ),
    "large logits": (VECTOR, 84, lambda: Kind(lambda of, batch: 300 * of.head(batch), head=head(12))),
    "sigmoid": (
        VECTOR,
        12 * 8 + 8 * 7,
        lambda: Kind(
            lambda of, batch: of.head(of.norm(of.body(batch))).sigmoid(),
            body=nn.Linear(12, 8),
            norm=nn.LayerNorm(8),
            head=nn.Linear(8, NUM_CLASSES),
        ),
    ),
    "a user's hooks": (IMAGE, CONV + HEAD, hooked),
}


def logits_of(kind: str, output: Tensor) -> Tensor:
    if kind == "sigmoid":
        return output.logit()
    return output.log() if kind == "a user's hooks" else output


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_right(kind: str) -> None:
    shape, macs, make = KINDS[kind]
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        networks.append(make())
        networks[-1].train()(torch.randn(16, *shape))
    random, spec = torch.Generator().manual_seed(0), InputSpec(shape=shape)
    inputs = torch.randn(41, *shape, generator=random)
    labels = torch.randint(NUM_CLASSES, (41,), generator=random)
    loaded = [GivenNetwork.of(each).load_inspected(spec, role="teacher")[0] for each in networks]
    found = measure_networks(loaded[0], loaded[1], spec, inputs, labels, batch_size=20, accelerator="cpu")
    copies = [copy_network(each) for each in networks]
    slow = slow_measurement(copies[0], copies[1], inputs, labels.tolist(), lambda output: logits_of(kind, output))
    assert found.agreement.value == pytest.approx(slow.agreement, abs=1e-6)
    assert found.divergence.value == pytest.approx(slow.divergence, abs=1e-6, rel=1e-5)
    sides: list[tuple[Any, SlowScores]] = [(found.teacher, slow.teacher), (found.student, slow.student)]
    for scores, expected in sides:
        assert scores.top1.value == pytest.approx(expected.top1, abs=1e-6)
        assert scores.top5.value == pytest.approx(expected.top5, abs=1e-6)
        error = scores.calibration_error
        ends = (expected.calibration_error, *expected.calibration_interval)
        assert (error.value, error.low, error.high) == pytest.approx(ends, abs=2e-6)
    cost = measure_cost(loaded[0], spec)
    assert cost.macs == macs
    assert cost.parameters == sum(each.numel() for each in networks[0].parameters())
    kept = {id(each): each for each in networks[0].state_dict(keep_vars=True).values()}
    assert cost.bytes == sum(each.numel() * each.element_size() for each in kept.values())
