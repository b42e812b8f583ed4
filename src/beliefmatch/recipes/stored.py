"""The settings that a run folder holds, read again: the classes that recipes choose from, and how to read them."""

from dataclasses import replace

from beliefmatch.networks.loading.given import GivenNetwork, GivenNetworks, module_of
from beliefmatch.networks.loading.network import Network
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.optimisers import Adam, CosineSgd, StepwiseSgd
from beliefmatch.runs.folder import RunFolder
from beliefmatch.runs.serialisation import from_json
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.dfad import Dfad
from beliefmatch.sources.dfq import Dfq
from beliefmatch.sources.fast import Fast
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.sources.nayer import Nayer
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.procedural_pool import ProceduralPool
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.students.given import GivenStudent
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import PrunedStudent
from beliefmatch.students.quantized import QuantizedStudent
from beliefmatch.training.transfer import Transfer
from beliefmatch.training.trusted_code import TrustedCode, check_trusted, code_named_in

SETTINGS_TYPES: tuple[type, ...] = (
    *(Adversarial, Cmi, Dafl, DeepInversion, Dfad, Dfq, Fast, FewShot, FreePoints, Nayer, Noise, ProceduralPool),
    Unlabelled,
    *(BeliefMatching, Distillation),
    *(Network, GivenNetwork),
    *(NamedStudent, GivenStudent, PrunedStudent, QuantizedStudent),
    *(Adam, CosineSgd, StepwiseSgd),
)
"""Each source, objective, teacher, student and optimiser. What their own fields hold is found by the annotations."""


def read_transfer(
    folder: RunFolder, *, trust_code: TrustedCode = False, given: GivenNetworks = GivenNetworks()
) -> Transfer:
    """Read the settings of a run. A file of weights that is gone is sought in the folder, which may have been moved.

    Args:
        folder: of the run.
        trust_code: which Python code they may name, as networks made from them import it.
        given: networks that the run was given in Python.

    Raises:
        FolderError: there is no run, its run.json is damaged, it holds a class that is not in `SETTINGS_TYPES`, or it
            names code that is not trusted.
    """
    content = folder.read_run().settings.transfer
    transfer = from_json(content, Transfer, choices=SETTINGS_TYPES, file=folder.run, path="settings.transfer")
    check_trusted(code_named_in(transfer), trust_code, file=folder.run)
    if given.teacher is not None and isinstance(transfer.teacher, GivenNetwork):
        transfer = replace(transfer, teacher=replace(transfer.teacher, module=module_of(given.teacher)))
    if given.student is not None and isinstance(transfer.student, GivenStudent):
        transfer = replace(transfer, student=replace(transfer.student, given=given.student))
    weights = transfer.teacher.weights
    if weights is not None:
        transfer = replace(transfer, teacher=replace(transfer.teacher, weights=folder.find_moved(weights)))
    return transfer
