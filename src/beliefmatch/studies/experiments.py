"""Which runs an experiment consists of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from beliefmatch.errors import SettingsError
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.model_settings import Dataset
from beliefmatch.recipes import few_shot, fine_tune, zero_shot
from beliefmatch.recipes.few_shot import Method
from beliefmatch.recipes.setup import Setup
from beliefmatch.recipes.zero_shot import ROUNDS
from beliefmatch.setting_names import Setting
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.students.named import NamedStudent
from beliefmatch.studies import published
from beliefmatch.studies.published import FINE_TUNED, KD_AT, NO_TEACHER, ZERO_SHOT, Published
from beliefmatch.training.transfer import Transfer

Experiment = Literal["table1", "figure2", "mte", "svhn"]
MAIN_PAIR = ("40-2", "16-1")
MAX_FRACTION = 1_000_000
"""Times the paper's rounds: no machine lives as long as that."""
BASELINES: dict[str, Method] = {NO_TEACHER: "no_teacher", KD_AT: "kd_at"}


@dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
    """Settings of an experiment: teachers, images to train the baselines on, and how much to do."""

    teachers: dict[str, Network]
    """By depth and factor, such as 40-2."""
    pairs: tuple[tuple[str, str], ...] | None
    """Pairs of teacher and student, such as (40-2, 16-1); None: the experiment's own."""
    train_images: Path | None
    """Real images to train the baselines on; without them, the data-free cells alone are run."""
    dataset: Dataset
    rounds: int | None
    """Rounds of each zero-shot run; all other runs are scaled alike. None: as the fraction says."""
    rounds_fraction: float
    """Fraction of the paper's rounds, where rounds are not given."""
    batch_size: int

    @property
    def fraction(self) -> float:
        """Fraction of the paper's rounds that each run does."""
        return self.rounds_fraction if self.rounds is None else self.rounds / ROUNDS[self.dataset]


@dataclass(frozen=True, kw_only=True)
class Label:
    """Row and column of a number in a table, and what others published for it."""

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

    @property
    def name(self) -> str:
        """The same in a form that folders can be named by."""
        name = f"{self.row}_{self.column}".lower()
        return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)

    def folder_name(self, seed: int) -> str:
        """Return the name of the folder of one run."""
        return f"{self.name}_seed{seed}"


@dataclass(frozen=True, kw_only=True)
class TableCell:
    """One number of a table: the mean over seeds of one kind of run."""

    label: Label
    transfer: Callable[[int, Path], Transfer]
    """Builds the transfer of a seed, given the folder that holds the experiment's runs."""


def cells_of(experiment: Experiment, settings: ExperimentSettings) -> list[TableCell]:
    """Build the cells of an experiment, those first that others start from.

    Raises:
        SettingsError: no teacher was given for any of its pairs.
    """
    known = tuple(published.TABLE1) if experiment == "table1" else (MAIN_PAIR,)
    wanted = settings.pairs or known
    pairs = [pair for pair in wanted if pair[0] in settings.teachers]
    if not pairs:
        needed = ", ".join(f"wide_resnet_{teacher.replace('-', '_')}=FILE" for teacher in dict(wanted))
        raise SettingsError(
            f"{experiment} needs a teacher: {Setting('teachers', placeholder=needed)}; or choose others with "
            f"{Setting('pairs')}"
        )
    cells: list[TableCell] = []
    for pair in pairs:
        cells += {"table1": _table1, "figure2": _figure2, "mte": _mte, "svhn": _svhn}[experiment](settings, pair)
    return cells


def _table1(settings: ExperimentSettings, pair: tuple[str, str]) -> list[TableCell]:
    row = published.TABLE1.get(pair)
    cells = [
        _zero_shot(settings, pair, row.zero_shot if row else ()),
        _zero_shot(settings, pair, row.fresh_noise if row else (), fresh_noise=True),
    ]
    if settings.train_images:
        cells.append(_few_shot(settings, pair, KD_AT, 200, row.few_shot if row else ()))
    return cells


def _figure2(settings: ExperimentSettings, pair: tuple[str, str]) -> list[TableCell]:
    is_main = pair == MAIN_PAIR
    start = _zero_shot(settings, pair, published.FIGURE2_START[settings.dataset] if is_main else ())
    if not settings.train_images:
        return [start]
    curves = published.FIGURE2[settings.dataset] if is_main else {}
    cells = [start]
    for index, count in enumerate(published.IMAGES_PER_CLASS):
        numbers = {method: (published.paper(curve[index]),) for method, curve in curves.items()}
        cells += [_few_shot(settings, pair, method, count, numbers.get(method, ())) for method in BASELINES]
        cells.append(_fine_tuned(settings, pair, start, count, numbers.get(FINE_TUNED, ())))
    everything = published.ALL_IMAGES[settings.dataset] if is_main else ()
    return [*cells, _few_shot(settings, pair, KD_AT, "all", everything)]


def _mte(settings: ExperimentSettings, pair: tuple[str, str]) -> list[TableCell]:
    errors = published.TRANSITION_ERRORS[settings.dataset] if pair == MAIN_PAIR else {}
    cells = [_zero_shot(settings, pair, errors.get(ZERO_SHOT, ()))]
    if settings.train_images:
        cells.append(_few_shot(settings, pair, KD_AT, "all", errors.get(KD_AT, ())))
    return cells


def _svhn(settings: ExperimentSettings, pair: tuple[str, str]) -> list[TableCell]:
    is_main = pair == MAIN_PAIR
    cells = [_zero_shot(settings, pair, published.SVHN_ZERO_SHOT if is_main else ())]
    if settings.train_images:
        cells.append(_few_shot(settings, pair, KD_AT, "all", published.ALL_IMAGES["svhn"] if is_main else ()))
    return cells


def _zero_shot(
    settings: ExperimentSettings, pair: tuple[str, str], numbers: tuple[Published, ...], *, fresh_noise: bool = False
) -> TableCell:
    def transfer(seed: int, _folder: Path) -> Transfer:
        made = zero_shot(_setup(settings, pair, seed))
        return _scaled(replace(made, source=replace(made.source, fresh_noise=fresh_noise)), settings)

    method = f"{ZERO_SHOT}, fresh noise" if fresh_noise else ZERO_SHOT
    label = Label(row=name_of(pair), method=method, published=numbers)
    return TableCell(label=label, transfer=transfer)


def _few_shot(
    settings: ExperimentSettings,
    pair: tuple[str, str],
    method: str,
    count: int | Literal["all"],
    numbers: tuple[Published, ...],
) -> TableCell:
    def transfer(seed: int, _folder: Path) -> Transfer:
        assert settings.train_images
        source = FewShot(images=settings.train_images, images_per_class=None if count == "all" else count)
        return _scaled(few_shot(_setup(settings, pair, seed), source=source, method=BASELINES[method]), settings)

    label = Label(row=name_of(pair), method=method, images_per_class=count, published=numbers)
    return TableCell(label=label, transfer=transfer)


def _fine_tuned(
    settings: ExperimentSettings, pair: tuple[str, str], start: TableCell, count: int, numbers: tuple[Published, ...]
) -> TableCell:
    def transfer(seed: int, folder: Path) -> Transfer:
        assert settings.train_images
        weights = folder / start.label.folder_name(seed) / "student.safetensors"
        tuned = fine_tune(
            replace(_setup(settings, pair, seed), student=replace(student_of(pair), weights=weights)),
            source=FewShot(images=settings.train_images, images_per_class=count),
        )
        return _scaled(tuned, settings)

    label = Label(row=name_of(pair), method=FINE_TUNED, images_per_class=count, published=numbers)
    return TableCell(label=label, transfer=transfer)


def parse_teachers(texts: Sequence[str]) -> dict[str, Network]:
    """Read ARCHITECTURE=FILE, each a Wide ResNet, into networks by depth and factor, such as 40-2.

    Raises:
        SettingsError: a text is not of this form.
    """
    teachers = {}
    for text in texts:
        architecture, _, file = text.partition("=")
        parts = architecture.split("_")
        if parts[:2] != ["wide", "resnet"] or len(parts) < 4 or not file:
            raise SettingsError(f"{text!r} names no teacher; expected such as wide_resnet_40_2=FILE")
        teachers[f"{parts[2]}-{parts[3]}"] = Network(architecture=architecture, weights=Path(file))
    return teachers


def parse_pairs(texts: Sequence[str] | None) -> tuple[tuple[str, str], ...] | None:
    """Read TEACHER:STUDENT, such as 40-2:16-1; None stays None.

    Raises:
        SettingsError: a text is not of this form.
    """
    if texts is None:
        return None
    pairs = []
    for text in texts:
        teacher, _, student = text.partition(":")
        if not all(len(part.split("-")) == 2 for part in (teacher, student)):
            raise SettingsError(f"{text!r} names no pair; expected such as 40-2:16-1")
        pairs.append((teacher, student))
    return tuple(pairs)


def _setup(settings: ExperimentSettings, pair: tuple[str, str], seed: int) -> Setup:
    return Setup(
        teacher=settings.teachers[pair[0]],
        student=student_of(pair),
        dataset=settings.dataset,
        batch_size=settings.batch_size,
        seed=seed,
    )


def _scaled(transfer: Transfer, settings: ExperimentSettings) -> Transfer:
    """Return a transfer that does the fraction of its usual rounds that all runs do."""
    assert transfer.usual_rounds
    return replace(transfer, rounds=scale_rounds(transfer.usual_rounds, settings.fraction))


def scale_rounds(usual_rounds: int, fraction: float) -> int:
    """Scale the rounds that a paper prints by a fraction, to at least one.

    Raises:
        SettingsError: the fraction is not above 0, or no run could be as long.
    """
    if not 0 < fraction <= MAX_FRACTION:
        raise SettingsError(
            f"{Setting('rounds_fraction')} must be above 0 and at most {MAX_FRACTION:,}, such as 0.01 for a "
            f"hundredth of the paper's rounds; got {fraction}"
        )
    return max(1, round(fraction * usual_rounds))


def name_of(pair: tuple[str, str]) -> str:
    """Return the name that the paper gives a pair."""
    return f"WRN-{pair[0]} -> WRN-{pair[1]}"


def student_of(pair: tuple[str, str]) -> NamedStudent:
    """Return the student of a pair."""
    return NamedStudent(architecture=f"wide_resnet_{pair[1].replace('-', '_')}")
