"""What every recipe is given: two networks, their inputs, and how long to train. It is written here once."""

from dataclasses import dataclass, replace
from typing import Any

from beliefmatch.errors import SettingsError
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.trained import AbstractNetwork
from beliefmatch.networks.model_settings import Dataset
from beliefmatch.networks.taps import TapPair
from beliefmatch.objectives.base import AbstractObjective
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import AbstractOptimiser
from beliefmatch.recipes.datasets import choose_augmentation, choose_inputs
from beliefmatch.setting_names import Setting
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.pooled import PooledSettings
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.students.base import AbstractStudent
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import PrunedStudent, asks_for_pruning
from beliefmatch.students.quantized import QuantizedStudent, asks_for_quantization
from beliefmatch.training.transfer import Transfer

SOFT = BeliefMatching(divergence="kl", temperature=20.0, divergence_weight=400.0)
"""The DataFree benchmark's objective: KL at temperature 20, times its square."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a recipe takes where its setup names nothing."""

    rounds: int
    """As many as the paper or the benchmark does, or ours where neither gives a number."""
    each_round: str
    """What one round is, in words for the help."""
    batch_size: int
    """Examples a batch, over all devices together."""
    student: NamedStudent | None = None
    """None where the user has to name one."""
    inputs: InputSpec | None = None
    """The only inputs that the recipe is for. None: any."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What every recipe is given. None leaves a setting to the recipe."""

    teacher: AbstractNetwork
    """Trained network to learn from."""
    student: AbstractStudent | None = None
    """Smaller network that learns. Default: the recipe's, where it has one."""
    dataset: Dataset | None = None
    """What the teacher was trained on: sets the normalisation, and what else the recipe has for it. No data is read.
    Default: what the teacher's own name or file says."""
    shape: tuple[int, ...] | None = None
    """Shape of one input instead of the dataset's, such as 1 28 28 for grey images or 64 for a vector. Its
    normalisation is then none but mean and std. Default: what the teacher's own name or file says."""
    mean: tuple[float, ...] | None = None
    """Mean of each channel that the teacher was trained with, in pixels scaled to [0, 1]; one number serves all."""
    std: tuple[float, ...] | None = None
    """Standard deviation of each channel that the teacher was trained with, in pixels scaled to [0, 1]; one number
    serves all."""
    taps: tuple[str, ...] | None = None
    """Activations for attention transfer, as TEACHER_MODULE=STUDENT_MODULE; one name if they are called alike.
    Default: those that both architectures declare, or else the last of each resolution that both reach."""
    rounds: int | None = None
    """Rounds. Default: the recipe's."""
    batch_size: int | None = None
    """Examples a batch, over all devices together. Default: the recipe's."""
    seed: int = 0
    """Of fresh weights and of all noise, draws and orders: at least 0, below 2**32."""

    def make_transfer(
        self,
        recipe: str,
        defaults: Defaults,
        *,
        source: AbstractSource[Any],
        objective: AbstractObjective,
        optimiser: AbstractOptimiser,
    ) -> Transfer:
        """Build the transfer of a recipe: what this setup leaves open is the recipe's.

        Args:
            recipe: its name.
            defaults: its own.
            source: where inputs come from. Its augmentation follows the data set where the user chose none.
            objective: what the student matches on them.
            optimiser: of the student.

        Raises:
            SettingsError: a setting is out of its range, or does not go with the recipe.
        """
        student = self.student or defaults.student
        if student is None:
            raise SettingsError(f"{Setting('student')} is missing: {recipe} needs one, such as convnet_8")
        if isinstance(student, NamedStudent) and asks_for_pruning(student.architecture):
            student = PrunedStudent.of(student)
        elif isinstance(student, NamedStudent) and asks_for_quantization(student.architecture):
            student = QuantizedStudent.of(student)
        if isinstance(source, PooledSettings | Unlabelled | FewShot):
            source = replace(source, augmentation=choose_augmentation(source.augmentation, self.dataset, self.shape))
        return Transfer(
            recipe=recipe,
            teacher=self.teacher,
            inputs=self._inputs(recipe, defaults),
            student=student,
            source=source,
            objective=objective if self.taps is None else replace(objective, taps=tuple(map(TapPair.parse, self.taps))),
            rounds=defaults.rounds if self.rounds is None else self.rounds,
            usual_rounds=defaults.rounds,
            batch_size=defaults.batch_size if self.batch_size is None else self.batch_size,
            student_optimiser=optimiser,
            seed=self.seed,
            # Statistics of real data are worth more than those of made inputs, and fold into weights of few bits.
            freeze_batch_norm=isinstance(student, QuantizedStudent),
        )

    def _inputs(self, recipe: str, defaults: Defaults) -> InputSpec:
        if defaults.inputs is None:
            known, name = self.teacher.known_inputs(), self.teacher.architecture
            return choose_inputs(self.dataset, self.shape, self.mean, self.std, known, name=name)
        for name in ("shape", "mean", "std"):
            given, only = getattr(self, name), getattr(defaults.inputs, name)
            if given is not None and given != only:
                raise SettingsError(f"{Setting(name)} is {given}, but {recipe} takes inputs of {name} {only} alone")
        return defaults.inputs
