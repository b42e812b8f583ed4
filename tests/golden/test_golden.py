"""Loss curves as text, at least one of every recipe: a change that moves them must be meant.

All are in float64 with one thread. To write them anew, all or those that -k names, and then say why in the commit:

    BELIEFMATCH_GOLDEN=write python -m pytest -n 0 tests/golden
    BELIEFMATCH_GOLDEN=write python -m pytest -n 0 tests/golden -k fast

They are written with all their digits, so that `git diff` shows after this whether one moved by a bit.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from beliefmatch.networks.loading.network import Network
from beliefmatch.recipes import ALL
from beliefmatch.recipes.setup import Setup
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.loop import run_round
from beliefmatch.training.transfer import Transfer
from tiny import begin, image_transfer, make_dropout_student, named, tiny_transfer, vector_transfer

IMAGES = Path(__file__).parents[1] / "contract" / "images.npz"
"""40 made-up images of 8x8 with labels."""
CONVNETS: dict[str, Any] = {
    "teacher": Network(architecture=named("make_conv_teacher")),
    "student": NamedStudent(architecture=named("make_dropout_student")),
    "shape": (1, 8, 8),
    "mean": (0.3,),
    "std": (0.4,),
}
"""A teacher with batch-norm and a student with batch-norm and dropout, for images of known pixels."""
MLPS: dict[str, Any] = {
    "teacher": Network(architecture=named("make_mlp_teacher")),
    "student": NamedStudent(architecture=named("make_mlp_student")),
    "shape": (12,),
}
"""Networks without batch-norm, for vectors."""
PLANE: dict[str, Any] = {
    "teacher": Network(architecture=named("make_plane_network"), allow_untrained=True),
    "student": NamedStudent(architecture=named("make_plane_network")),
}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One short run of a recipe: what is smaller than usual, so that it takes a second, and whatever needs a choice."""

    recipe: str
    networks: dict[str, Any] = field(default_factory=lambda: CONVNETS)
    source: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings of the recipe's source that are not its defaults."""
    recipe_settings: dict[str, Any] = field(default_factory=dict[str, Any])
    rounds: int = 6
    batch_size: int = 8
    micro_batch: int | None = None
    tolerance: float = 1e-6
    """Relative. Larger where processors with other vector units part: gradients that are zero but for rounding, of
    biases before batch-norm, are divided by their own size in Adam, and what a generator learns carries it on."""

    def transfer(self, folder: Path) -> Transfer:
        """Make the transfer. A student to fine-tune gets its weights from a file in the folder."""
        networks = dict(self.networks)
        if self.recipe == "fine_tune":
            torch.save(make_seeded_student(), folder / "student.pt")
            networks["student"] = replace(networks["student"], weights=folder / "student.pt")
        setup = Setup(**networks, rounds=self.rounds, batch_size=self.batch_size)
        made = ALL[self.recipe](setup, **self.recipe_settings)
        return replace(made, source=replace(made.source, **self.source), micro_batch=self.micro_batch)


def make_seeded_student() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return make_dropout_student().state_dict()


# Usual numbers of steps are 5 to 1000 for a batch and 5 to 400 for the student, warm-ups 10 to 200 batches, pools
# 20,000 to 50,000 inputs, and NAYER's generator lives for ten rounds. Where these are smaller here, each still happens
# more than once, pools are filled twice, and all else is as the recipe has it.
CURVES: dict[str, Curve | Transfer] = {
    "zero_shot": vector_transfer(rounds=20, batch_size=16),
    "zero_shot_attention": image_transfer(rounds=10, batch_size=10),
    "digits": tiny_transfer(rounds=20, batch_size=16),
    "digits_micro_batch": replace(tiny_transfer(rounds=6, batch_size=16), micro_batch=6),
    "best": Curve(
        recipe="best", source={"making_steps": 5, "student_steps": 4, "warm_up": 3, "capacity": 40, "made_batch": None}
    ),
    "best_without_batch_norm": Curve(
        recipe="best", networks=MLPS, source={"student_steps": 4, "warm_up": 2, "made_batch": 16}
    ),
    "dafl": Curve(recipe="dafl", rounds=10),
    "dfad": Curve(recipe="dfad", rounds=10),
    "dfq": Curve(recipe="dfq", source={"student_steps": 4}, rounds=8),
    "deep_inversion": Curve(
        recipe="deep_inversion", source={"making_steps": 6, "student_steps": 4, "augmentation": "crop_flip"}
    ),
    "cmi": Curve(
        recipe="cmi",
        source={"making_steps": 5, "student_steps": 4, "capacity": 24, "num_others": 12, "augmentation": "crop_flip"},
    ),
    "cmi_one_view": Curve(recipe="cmi", source={"making_steps": 4, "student_steps": 2}, rounds=3),
    "fast": Curve(
        recipe="fast", source={"student_steps": 4, "warm_up": 2, "augmentation": "crop_flip"}, tolerance=0.05
    ),
    "fast_reptile": Curve(
        recipe="fast",
        source={"making_steps": 4, "student_steps": 4, "warm_up": 2, "outer": "reptile"},
        tolerance=0.05,
    ),
    "nayer": Curve(
        recipe="nayer",
        source={"making_steps": 4, "student_steps": 4, "warm_up": 3, "generator_life": 2, "augmentation": "crop"},
        batch_size=12,
        tolerance=0.05,
    ),
    "nayer_learnt": Curve(
        recipe="nayer",
        source={"making_steps": 4, "student_steps": 4, "warm_up": 2, "generator_life": 2, "embedding": "learnt"},
        batch_size=12,
        rounds=4,
        tolerance=0.05,
    ),
    "noise": Curve(recipe="noise"),
    "noise_uniform": Curve(recipe="noise", source={"distribution": "uniform"}),
    "unlabelled": Curve(recipe="unlabelled", recipe_settings={"source": Unlabelled(images=IMAGES)}),
    "unlabelled_augmented": Curve(
        recipe="unlabelled", recipe_settings={"source": Unlabelled(images=IMAGES, augmentation="crop_flip")}, rounds=4
    ),
    "few_shot": Curve(
        recipe="few_shot",
        recipe_settings={"source": FewShot(images=IMAGES, images_per_class=2, augmentation="crop_flip")},
        rounds=12,
    ),
    "fine_tune": Curve(recipe="fine_tune", recipe_settings={"source": FewShot(images=IMAGES)}, rounds=12),
    "toy": Curve(recipe="toy", networks=PLANE, source={"point_steps": 20}),
    "toy_generator": Curve(recipe="toy_generator", networks=PLANE),
}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sum in the same order everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_recipe_has_a_curve() -> None:
    made = {curve.recipe for curve in CURVES.values()}
    assert made == set(ALL)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", CURVES)
def test_the_losses_are_those_on_file(name: str, tmp_path: Path) -> None:
    curve = CURVES[name]
    made = curve.transfer(tmp_path) if isinstance(curve, Curve) else curve
    transfer, state, teacher, fabric = begin(made, precision="64-true")
    names, rows = "", []
    for _ in range(transfer.rounds):
        record = run_round(transfer, state, teacher, fabric)
        losses = {key: value[-1].item() for key, value in record.items() if key.endswith("_loss")}
        names = " ".join(losses)
        rows.append(list(losses.values()))
    path = Path(__file__).parent / f"{name}.txt"
    if os.environ.get("BELIEFMATCH_GOLDEN") == "write":
        path.write_text("\n".join([names, *(" ".join(f"{x:.16e}" for x in row) for row in rows)]) + "\n")
    header, *lines = path.read_text().splitlines()
    assert names == header
    expected = [[float(x) for x in line.split()] for line in lines]
    assert all(math.isfinite(x) for row in rows for x in row)
    torch.testing.assert_close(
        torch.tensor(rows, dtype=torch.float64),
        torch.tensor(expected, dtype=torch.float64),
        rtol=curve.tolerance if isinstance(curve, Curve) else 1e-6,
        atol=1e-9,
    )
