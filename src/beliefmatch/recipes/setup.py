"""What the recipes of the field's methods share: inputs, augmentation and number of rounds, settled in one way."""

from dataclasses import replace
from typing import Any

from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.optimisers import AbstractOptimiser
from beliefmatch.recipes.budget import scaled
from beliefmatch.recipes.datasets import Dataset, choose_augmentation, choose_inputs
from beliefmatch.sources.base import AbstractSource
from beliefmatch.sources.pooled import AbstractPooled
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

SOFT = BeliefMatching(divergence="kl", temperature=20.0, divergence_weight=400.0)
"""The DataFree benchmark's objective: KL at temperature 20, times its square."""


def assemble(
    recipe: str,
    *,
    teacher: Network,
    student: NamedStudent,
    dataset: Dataset | None,
    shape: tuple[int, ...] | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    source: AbstractSource[Any],
    objective: BeliefMatching,
    rounds: int | None,
    usual_rounds: int,
    budget: float,
    batch_size: int,
    optimiser: AbstractOptimiser,
    seed: int,
) -> Transfer:
    """Make a transfer of what a recipe was given.

    Args:
        recipe: its name.
        teacher: as given; what it knows of its own inputs counts.
        student: as given.
        dataset: sets the normalisation where nothing else does, and with it the augmentation where none was chosen;
            None where the user named none.
        shape: of one input, or None.
        mean: of each channel, or None.
        std: of each channel, or None.
        source: as given.
        objective: as given.
        rounds: as given, or None for the usual ones times the budget.
        usual_rounds: of the paper, or ours.
        budget: fraction of the usual rounds.
        batch_size: as given.
        optimiser: of the student.
        seed: as given.

    Raises:
        SettingsError: a setting is out of its range.
    """
    if isinstance(source, AbstractPooled | Unlabelled):
        source = replace(source, augmentation=choose_augmentation(source.augmentation, dataset, shape))
    return Transfer(
        recipe=recipe,
        teacher=teacher,
        inputs=choose_inputs(dataset, shape, mean, std, teacher.known_inputs()),
        student=student,
        source=source,
        objective=objective,
        rounds=scaled(usual_rounds, budget) if rounds is None else rounds,
        usual_rounds=usual_rounds,
        batch_size=batch_size,
        student_optimiser=optimiser,
        seed=seed,
    )
