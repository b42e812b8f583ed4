"""Which runs an experiment consists of."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from beliefmatch.errors import SettingsError
from beliefmatch.networks.loading.network import Network
from beliefmatch.recipes import few_shot, fine_tune, zero_shot
from beliefmatch.recipes.budget import scaled
from beliefmatch.recipes.datasets import Dataset
from beliefmatch.recipes.few_shot import Method
from beliefmatch.recipes.fine_tune import NUM_STEPS
from beliefmatch.recipes.zero_shot import ROUNDS
from beliefmatch.students.named import NamedStudent
from beliefmatch.studies import published
from beliefmatch.studies.published import FINE_TUNED, KD_AT, NO_TEACHER, ZERO_SHOT, Published
from beliefmatch.training.transfer import Transfer

Experiment = Literal["table1", "figure2", "mte", "svhn"]
MAIN_PAIR = ("40-2", "16-1")
BASELINES: dict[str, Method] = {NO_TEACHER: "no_teacher", KD_AT: "kd_at"}


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What the user gave: teachers, images to train the baselines on, and how much to do."""

    teachers: dict[str, Network]
    """By depth and factor, such as 40-2."""
    pairs: tuple[tuple[str, str], ...] | None
    """Pairs of teacher and student, such as (40-2, 16-1); None: the experiment's own."""
    train_images: Path | None
    """Real images to train the baselines on; without them, the data-free cells alone are run."""
    dataset: Dataset
    rounds: int | None
    """Rounds of each zero-shot run; all other runs are scaled alike. None: as the budget says."""
    budget: float
    """Fraction of the paper's rounds, where rounds are not given."""
    batch_size: int

    @property
    def share(self) -> float:
        """Fraction of the paper's rounds that each run does."""
        return self.budget if self.rounds is None else self.rounds / ROUNDS[self.dataset]


@dataclass(frozen=True, kw_only=True)
class Label:
    """What a number of a table says, and what others found for it."""

    row: str
    """Such as the pair of networks."""
    method: str
    images_per_class: int | Literal["all"] | None = None
    """Real images that the method trains on; None where it takes none."""
    published: tuple[Published, ...]

    @property
    def column(self) -> str:
        """What was done, with how much data."""
        if self.images_per_class is None:
            return self.method
        return f"{self.method}, {'all images' if self.images_per_class == 'all' else f'M = {self.images_per_class}'}"


@dataclass(frozen=True, kw_only=True)
class Cell(Label):
    """One number of a table: the mean over seeds of one kind of run."""

    transfer: Callable[[int, Path], Transfer]
    """From the seed, and the folder that holds the experiment's runs."""

    def folder_name(self, seed: int) -> str:
        """Name of the folder of one run."""
        name = f"{self.row}_{self.column}".lower()
        return "".join(c if c.isalnum() or c in "-_" else "_" for c in name) + f"_seed{seed}"


def cells_of(experiment: Experiment, setup: Setup) -> list[Cell]:
    """List the runs of an experiment, those first that others start from.

    Raises:
        SettingsError: no teacher was given for any of its pairs.
    """
    known = tuple(published.TABLE1) if experiment == "table1" else (MAIN_PAIR,)
    wanted = setup.pairs or known
    pairs = [pair for pair in wanted if pair[0] in setup.teachers]
    if not pairs:
        needed = ", ".join(f"wide_resnet_{teacher.replace('-', '_')}=FILE" for teacher in dict(wanted))
        raise SettingsError(f"{experiment} needs a teacher: --teachers {needed}; or choose others with --pairs")
    cells: list[Cell] = []
    for pair in pairs:
        cells += {"table1": _table1, "figure2": _figure2, "mte": _mte, "svhn": _svhn}[experiment](setup, pair)
    return cells


def _table1(setup: Setup, pair: tuple[str, str]) -> list[Cell]:
    row = published.TABLE1.get(pair)
    cells = [
        _zero_shot(setup, pair, row.zero_shot if row else ()),
        _zero_shot(setup, pair, row.fresh_noise if row else (), fresh_noise=True),
    ]
    if setup.train_images:
        cells.append(_few_shot(setup, pair, KD_AT, 200, row.few_shot if row else ()))
    return cells


def _figure2(setup: Setup, pair: tuple[str, str]) -> list[Cell]:
    is_main = pair == MAIN_PAIR
    start = _zero_shot(setup, pair, published.FIGURE2_START[setup.dataset] if is_main else ())
    if not setup.train_images:
        return [start]
    curves = published.FIGURE2[setup.dataset] if is_main else {}
    cells = [start]
    for place, count in enumerate(published.IMAGES_PER_CLASS):
        numbers = {method: (published.paper(curve[place]),) for method, curve in curves.items()}
        cells += [_few_shot(setup, pair, method, count, numbers.get(method, ())) for method in BASELINES]
        cells.append(_fine_tuned(setup, pair, start, count, numbers.get(FINE_TUNED, ())))
    everything = published.ALL_IMAGES[setup.dataset] if is_main else ()
    return [*cells, _few_shot(setup, pair, KD_AT, "all", everything)]


def _mte(setup: Setup, pair: tuple[str, str]) -> list[Cell]:
    errors = published.TRANSITION_ERRORS[setup.dataset] if pair == MAIN_PAIR else {}
    cells = [_zero_shot(setup, pair, errors.get(ZERO_SHOT, ()))]
    if setup.train_images:
        cells.append(_few_shot(setup, pair, KD_AT, "all", errors.get(KD_AT, ())))
    return cells


def _svhn(setup: Setup, pair: tuple[str, str]) -> list[Cell]:
    is_main = pair == MAIN_PAIR
    cells = [_zero_shot(setup, pair, published.ZERO_SHOT_ACCURACY["svhn"] if is_main else ())]
    if setup.train_images:
        cells.append(_few_shot(setup, pair, KD_AT, "all", published.ALL_IMAGES["svhn"] if is_main else ()))
    return cells


def _zero_shot(
    setup: Setup, pair: tuple[str, str], numbers: tuple[Published, ...], *, fresh_noise: bool = False
) -> Cell:
    def transfer(seed: int, _folder: Path) -> Transfer:
        made = zero_shot(
            teacher=setup.teachers[pair[0]],
            student=student_of(pair),
            dataset=setup.dataset,
            budget=setup.share,
            batch_size=setup.batch_size,
            seed=seed,
        )
        return replace(made, source=replace(made.source, fresh_noise=fresh_noise))

    method = f"{ZERO_SHOT}, fresh noise" if fresh_noise else ZERO_SHOT
    return Cell(row=name_of(pair), method=method, published=numbers, transfer=transfer)


def _few_shot(
    setup: Setup,
    pair: tuple[str, str],
    method: str,
    count: int | Literal["all"],
    numbers: tuple[Published, ...],
) -> Cell:
    def transfer(seed: int, _folder: Path) -> Transfer:
        assert setup.train_images
        return few_shot(
            teacher=setup.teachers[pair[0]],
            student=student_of(pair),
            images=setup.train_images,
            images_per_class=None if count == "all" else count,
            method=BASELINES[method],
            dataset=setup.dataset,
            budget=setup.share,
            batch_size=setup.batch_size,
            seed=seed,
        )

    return Cell(row=name_of(pair), method=method, images_per_class=count, published=numbers, transfer=transfer)


def _fine_tuned(setup: Setup, pair: tuple[str, str], start: Cell, count: int, numbers: tuple[Published, ...]) -> Cell:
    def transfer(seed: int, folder: Path) -> Transfer:
        assert setup.train_images
        weights = folder / start.folder_name(seed) / "student.safetensors"
        return fine_tune(
            teacher=setup.teachers[pair[0]],
            student=replace(student_of(pair), weights=weights),
            images=setup.train_images,
            images_per_class=count,
            dataset=setup.dataset,
            rounds=scaled(NUM_STEPS, setup.share),
            batch_size=setup.batch_size,
            seed=seed,
        )

    return Cell(row=name_of(pair), method=FINE_TUNED, images_per_class=count, published=numbers, transfer=transfer)


def name_of(pair: tuple[str, str]) -> str:
    """Name a pair as the paper does."""
    return f"WRN-{pair[0]} -> WRN-{pair[1]}"


def student_of(pair: tuple[str, str]) -> NamedStudent:
    """Name the student of a pair."""
    return NamedStudent(architecture=f"wide_resnet_{pair[1].replace('-', '_')}")
