"""Settings as plain JSON with type tags, and back."""

import dataclasses
from pathlib import Path
from typing import Any

from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.network import Network
from beliefmatch.networks.taps import TapPair
from beliefmatch.objectives.belief_matching import BeliefMatching
from beliefmatch.objectives.distillation import Distillation
from beliefmatch.optimisers import Adam, CosineSgd, StepwiseSgd
from beliefmatch.sources.adversarial import Adversarial
from beliefmatch.sources.cmi import Cmi
from beliefmatch.sources.dafl import Dafl
from beliefmatch.sources.deep_inversion import DeepInversion
from beliefmatch.sources.dfad import Dfad
from beliefmatch.sources.dfq import Dfq
from beliefmatch.sources.fast import Fast
from beliefmatch.sources.few_shot import FewShot
from beliefmatch.sources.free_points import FreePoints
from beliefmatch.sources.inversion_loss import Terms
from beliefmatch.sources.nayer import Nayer
from beliefmatch.sources.noise import Noise
from beliefmatch.sources.refined_textures import RefinedTextures
from beliefmatch.sources.unlabelled import Unlabelled
from beliefmatch.students.named import NamedStudent
from beliefmatch.training.transfer import Transfer

TYPES: dict[str, type] = {
    "Adam": Adam,
    "Adversarial": Adversarial,
    "BeliefMatching": BeliefMatching,
    "Cmi": Cmi,
    "CosineSgd": CosineSgd,
    "Dafl": Dafl,
    "DeepInversion": DeepInversion,
    "Dfad": Dfad,
    "Dfq": Dfq,
    "Distillation": Distillation,
    "Fast": Fast,
    "FewShot": FewShot,
    "FreePoints": FreePoints,
    "InputSpec": InputSpec,
    "NamedStudent": NamedStudent,
    "Nayer": Nayer,
    "Network": Network,
    "Noise": Noise,
    "RefinedTextures": RefinedTextures,
    "StepwiseSgd": StepwiseSgd,
    "TapPair": TapPair,
    "Terms": Terms,
    "Transfer": Transfer,
    "Unlabelled": Unlabelled,
}


def to_plain(settings: Any) -> Any:
    """Turn frozen dataclasses of numbers, strings, tuples and paths into JSON values; each dataclass keeps its type."""
    if dataclasses.is_dataclass(settings):
        assert TYPES.get(type(settings).__name__) is type(settings), f"{type(settings)} is missing in TYPES"
        fields = {field.name: to_plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
        return {"type": type(settings).__name__, **fields}
    if isinstance(settings, Path):
        return {"type": "Path", "path": str(settings)}
    if isinstance(settings, tuple):
        return [to_plain(item) for item in settings]
    return settings


def from_plain(plain: Any) -> Any:
    """Turn what `to_plain` made back into the same settings."""
    if isinstance(plain, list):
        return tuple(from_plain(item) for item in plain)
    if not isinstance(plain, dict):
        return plain
    if plain["type"] == "Path":
        return Path(plain["path"])
    return TYPES[plain["type"]](**{key: from_plain(value) for key, value in plain.items() if key != "type"})


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Say field by field how two plain settings differ, one line each."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in (*old, *(key for key in new if key not in old)):
            place = f"{path}.{key}" if path else key
            lines += differences(old.get(key), new.get(key), place)
        return lines
    return [] if old == new else [f"{path} was {_show(old)}, is {_show(new)} now"]


def _show(value: Any) -> str:
    return str(value["path"]) if isinstance(value, dict) and value.get("type") == "Path" else str(value)
