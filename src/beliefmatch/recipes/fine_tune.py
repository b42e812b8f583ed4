"""Few-shot fine-tuning of a student that was made without data: Micaelli & Storkey 2019, figure 2."""

from dataclasses import replace

from beliefmatch.errors import SettingsError
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.optimisers import Adam
from beliefmatch.recipes.setup import Defaults, Setup
from beliefmatch.setting_names import Setting
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.training.transfer import Transfer

DEFAULTS = Defaults(rounds=300, each_round="one student step", batch_size=128)


def fine_tune(
    setup: Setup,
    *,
    source: FewShot,
    objective: Distillation = Distillation(label_weight=0.1, divergence_weight=1.0, temperature=1.0),
    optimiser: Adam = Adam(learning_rate=3e-3, gradient_clip=5.0),
    freeze_batch_norm: bool = True,
) -> Transfer:
    """Fine-tune a student that a data-free run made, on M real images of each class.

    The student comes with its weights, such as student.safetensors in the folder of a run; the teacher is the one that
    it was trained by.

    Args:
        setup: Networks, inputs, and how long to train.
        source: Real examples, and how many of each class.
        objective: What the student matches on them.
        optimiser: Of the student.
        freeze_batch_norm: Keep the statistics that the student's batch-norm layers have, in training as in use;
            otherwise each batch is normalised by its own, and the running ones follow.

    Raises:
        SettingsError: the student has no weights to start from.
    """
    if setup.student is None or setup.student.weights is None:
        raise SettingsError(
            f"{Setting('student.weights')} are missing, so there is nothing to fine-tune: name them, such as "
            "RUN/student.safetensors"
        )
    made = setup.make_transfer("fine_tune", DEFAULTS, source=source, objective=objective, optimiser=optimiser)
    return replace(made, freeze_batch_norm=freeze_batch_norm)
