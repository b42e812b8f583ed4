"""What every source promises, in one table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from beliefmatch.errors import SettingsError
from beliefmatch.recipes.stored import SETTINGS_TYPES
from beliefmatch.report.runs import READ_DATA
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.dfad import Dfad
from beliefmatch.sources.dfq import Dfq
from beliefmatch.sources.fast import Fast
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.sources.inversion_loss import InversionLossWeights
from beliefmatch.sources.nayer import Nayer
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.training.loop import compute_round, run_round
from beliefmatch.training.run_settings import fingerprint
from beliefmatch.training.state import pack, unpack
from tiny import begin, image_transfer, tiny_transfer

SMALL: dict[str, Any] = {"student_steps": 3, "noise_size": 6}

GENERATOR = f"{Path(__file__).parent / 'small_generator.py'}:make"
POOLED: dict[str, Any] = {"making_steps": 2, "student_steps": 2}
MADE: dict[str, Any] = POOLED | {"noise_size": 6, "generator": GENERATOR}
EVERY_TERM = InversionLossWeights(
    adversarial=1.0,
    divergence="js",
    adversarial_where="agreed",
    statistics=1.0,
    one_hot=1.0,
    balance=1.0,
    activation=1.0,
    total_variation=1.0,
    l2=1.0,
)

IMAGES = Path(__file__).parent / "images.npz"
"""Forty images of noise, four of each class."""

SOURCES: dict[str, AbstractSource[Any]] = {
    "paper": Adversarial(**SMALL),
    "fresh noise": Adversarial(**SMALL, fresh_noise=True),
    "two generator steps": Adversarial(**SMALL, generator_steps=2),
    "jensen-shannon": Adversarial(**SMALL, divergence="js", temperature=3.0),
    "statistics": Adversarial(**SMALL, divergence="l1", batch_norm_weight=1.0),
    "few images": FewShot(images=IMAGES, images_per_class=3, augmentation="crop_flip"),
    "free points": FreePoints(point_steps=2, student_steps=3),
    "dafl": Dafl(**SMALL),
    "dfad": Dfad(**SMALL),
    "dfq": Dfq(**SMALL),
    "every term": Dfq(**SMALL, terms=EVERY_TERM),
    "deep inversion": DeepInversion(**POOLED),
    "cmi": Cmi(**MADE),
    "cmi with crops": Cmi(**MADE, augmentation="crop_flip", warm_up=1),
    "fast": Fast(**MADE, warm_up=2),
    "fast with crops": Fast(**MADE, warm_up=1, augmentation="crop_flip", made_batch=5),
    "reptile": Fast(**MADE, warm_up=1, outer="reptile", capacity=12),
    "nayer": Nayer(**MADE, warm_up=1, generator_life=1),
    "nayer with learnt embeddings": Nayer(**MADE, warm_up=0, embedding="learnt", embedding_size=5),
    "pool against a student in train mode": Fast(**MADE, warm_up=0, terms=replace(EVERY_TERM, student_mode="train")),
    "noise": Noise(student_steps=3),
    "uniform noise": Noise(student_steps=3, distribution="uniform"),
    "procedural pool": ProceduralPool(**POOLED, refined_fraction=0.0),
    "refined procedural pool": ProceduralPool(**POOLED, warm_up=1),
    "crossed procedural pool": ProceduralPool(**POOLED, warm_up=1, refined_fraction=0.0, crossed_fraction=0.5),
    "refined and crossed procedural pool": ProceduralPool(
        **POOLED, warm_up=0, made_batch=6, refined_fraction=0.5, crossed_fraction=0.5
    ),
    "unlabelled": Unlabelled(images=IMAGES, student_steps=3),
    "unlabelled with crops": Unlabelled(images=IMAGES, student_steps=3, augmentation="crop_flip"),
}

MOVES_STUDENT_BUFFERS = {
    *("paper", "fresh noise", "two generator steps", "jensen-shannon", "statistics", "free points", "dfad"),
    "pool against a student in train mode",
}
"""Sources that say they run the student in train mode while they improve."""


@pytest.fixture(params=SOURCES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def started(name: str) -> tuple[Any, ...]:
    transfer, state, teacher, fabric = begin(replace(tiny_transfer(), source=SOURCES[name]))
    return transfer.source, state.source, state.student, teacher, fabric


def inputs(source: AbstractSource[Any], state: Any, fabric: Any) -> list[Tensor]:
    return [batch.inputs.clone() for batch in source.batches(state, fabric)]


def tensors_in(packed: Any) -> list[Tensor]:
    if isinstance(packed, Tensor):
        return [packed.clone()]
    parts = packed.values() if isinstance(packed, dict) else packed if isinstance(packed, list) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def test_the_table_holds_every_source() -> None:
    listed = {type(source) for source in SOURCES.values()}
    assert listed == {kind for kind in SETTINGS_TYPES if issubclass(kind, AbstractSource)}


def test_a_report_knows_the_sources_that_read_data() -> None:
    assert {type(source).__name__ for source in SOURCES.values() if source.reads_data} == set(READ_DATA)


def test_improve_leaves_teacher_and_student_alone(name: str) -> None:
    source, state, student, teacher, fabric = started(name)
    before = fingerprint(teacher.module)
    parameters = [parameter.clone() for parameter in student.parameters()]
    buffers = [buffer.clone() for buffer in student.buffers()]
    losses = source.improve(state, teacher, student, fabric)
    list(source.batches(state, fabric))
    assert fingerprint(teacher.module) == before
    assert all(torch.equal(a, b) for a, b in zip(parameters, student.parameters(), strict=True))
    assert all(parameter.grad is None for network in (student, teacher.module) for parameter in network.parameters())
    moved = any(not torch.equal(a, b) for a, b in zip(buffers, student.buffers(), strict=True))
    assert moved == (name in MOVES_STUDENT_BUFFERS)
    assert all(value.isfinite().all() and not value.requires_grad for value in losses.values())


def test_it_says_whose_gradients_it_follows(name: str) -> None:
    source, state, student, teacher, fabric = started(name)
    followed = {"teacher": False, "student": False}

    def watch(network: str, inputs: tuple[Tensor, ...]) -> None:
        followed[network] |= inputs[0].requires_grad

    teacher.module.register_forward_pre_hook(lambda _module, inputs: watch("teacher", inputs))
    student.register_forward_pre_hook(lambda _module, inputs: watch("student", inputs))
    source.improve(state, teacher, student, fabric)
    assert followed == {"teacher": source.needs.teacher_gradient, "student": source.needs.student_gradient}


def test_batches_are_finite_detached_and_of_the_right_shape(name: str) -> None:
    source, state, student, teacher, fabric = started(name)
    source.improve(state, teacher, student, fabric)
    for batch in source.batches(state, fabric):
        assert batch.inputs.shape == (8, 1, 8, 8)
        assert batch.inputs.isfinite().all()
        assert not batch.inputs.requires_grad


def test_the_same_seed_gives_the_same_batches(name: str) -> None:
    found = []
    for _ in range(2):
        source, state, student, teacher, fabric = started(name)
        source.improve(state, teacher, student, fabric)
        found.append(torch.stack(inputs(source, state, fabric)))
    assert torch.equal(*found)


def test_samples_move_nothing(name: str) -> None:
    source, state, student, teacher, fabric = started(name)
    source.improve(state, teacher, student, fabric)
    before = tensors_in(pack(state))
    first, second = source.samples(state, fabric), source.samples(state, fabric)
    assert torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(before, tensors_in(pack(state)), strict=True))


def test_packed_and_unpacked_it_continues_bit_for_bit(name: str, tmp_path: object) -> None:
    source, state, student, teacher, fabric = started(name)
    source.improve(state, teacher, student, fabric)
    torch.save(pack(state), f"{tmp_path}/state.pt")
    kept, random = {key: value.clone() for key, value in student.state_dict().items()}, torch.get_rng_state()
    source.improve(state, teacher, student, fabric)
    expected = inputs(source, state, fabric)
    source, state, student, teacher, fabric = started(name)
    unpack(state, torch.load(f"{tmp_path}/state.pt", weights_only=True))
    student.load_state_dict(kept)
    torch.set_rng_state(random)
    source.improve(state, teacher, student, fabric)
    assert all(torch.equal(a, b) for a, b in zip(expected, inputs(source, state, fabric), strict=True))


@pytest.mark.parametrize(
    ("source", "setting"),
    [
        *((Adversarial(), name) for name in ("generator_steps", "student_steps", "noise_size", "temperature")),
        *((FreePoints(), name) for name in ("point_steps", "student_steps", "bound", "gradient_clamp")),
        *((source, "learning_rate") for source in (Adversarial(), FreePoints(), Dfq(), Fast(), Nayer(), Cmi())),
        *((Fast(), name) for name in ("making_steps", "student_steps", "batches_per_round", "capacity", "noise_size")),
        *((Cmi(), name) for name in ("contrast_temperature", "num_others")),
        *((source, "student_steps") for source in (Dafl(), DeepInversion(), Noise(), Unlabelled(images=IMAGES))),
        (Nayer(), "generator_life"),
    ],
)
def test_settings_out_of_range_are_refused(source: AbstractSource[Any], setting: str) -> None:
    with pytest.raises(SettingsError, match=f"source.{setting} must be above 0"):
        replace(tiny_transfer(), source=replace(source, **{setting: 0}))


def of_single_inputs(source: AbstractSource[Any]) -> AbstractSource[Any]:
    """Take from a source what belongs to a batch as a whole, and so is taken of a micro-batch."""
    changed: dict[str, Any] = {"contrast": 0.0} if isinstance(source, Cmi) else {}
    if terms := getattr(source, "terms", None):
        changed["terms"] = replace(terms, balance=0.0)
    if hasattr(source, "augmentation"):
        changed["augmentation"] = "none"
    return replace(source, **changed)


def test_micro_batches_give_what_whole_batches_give(name: str) -> None:
    found = []
    for part in (None, 4):
        run = begin(replace(image_transfer(), source=of_single_inputs(SOURCES[name]), micro_batch=part), "64-true")
        found.append(([run_round(*run) for _ in range(2)], [*run[1].student.parameters()]))
    for ours, theirs in zip(found[1][0], found[0][0], strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert_close(ours[key], value, rtol=1e-7, atol=1e-10, msg=key)
    assert_close(found[1][1], found[0][1], rtol=1e-6, atol=1e-8)


class NothingIsFetched(TorchDispatchMode):
    """Fails where a number is fetched from the device, or a shape depends on values there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in ("_local_scalar_dense", "nonzero", "masked_select", "bincount"), func
        return func(*args, **(kwargs or {}))


def test_a_round_that_may_be_captured_moves_everything_in_place_and_fetches_nothing(name: str) -> None:
    if SOURCES[name].why_eager:
        pytest.skip(SOURCES[name].why_eager)
    transfer, state, teacher, fabric = begin(replace(tiny_transfer(), source=SOURCES[name]))
    run_round(transfer, state, teacher, fabric)
    before = pack(state)
    places, numbers = [tensor.data_ptr() for tensor in places_in(before)], numbers_in(before)
    with NothingIsFetched():
        compute_round(transfer, state, teacher, fabric)
    after = pack(state)
    assert [tensor.data_ptr() for tensor in places_in(after)] == places
    assert numbers_in(after) == numbers


def places_in(packed: Any) -> list[Tensor]:
    """Tensors of a packed state, but for the states of random generators, which are copied out."""
    if isinstance(packed, Tensor):
        return [packed] if packed.dtype != torch.uint8 else []
    parts = packed.values() if isinstance(packed, dict) else packed if isinstance(packed, list) else ()
    return [tensor for part in parts for tensor in places_in(part)]


def numbers_in(packed: Any) -> list[float]:
    """Numbers of a packed state that the host holds."""
    if isinstance(packed, int | float):
        return [packed]
    parts = packed.values() if isinstance(packed, dict) else packed if isinstance(packed, list) else ()
    return [number for part in parts for number in numbers_in(part)]
