"""A student that is made from its teacher: with fewer channels, thin:0.5, or fewer blocks, shallow:0.5."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import nn

from beliefmatch.errors import ExtraError, NetworkError, SettingsError, did_you_mean
from beliefmatch.log_once import log_once
from beliefmatch.networks.pruning.blocks import drop_blocks
from beliefmatch.networks.pruning.channel_groups import ChannelGroup, find_groups
from beliefmatch.networks.pruning.narrowing import apply_plan, plan_of
from beliefmatch.networks.pruning.thinning import Quantity, thin
from beliefmatch.networks.teacher import Teacher
from beliefmatch.paths import make_absolute
from beliefmatch.runs.reading import IN_MEMORY
from beliefmatch.runs.schema.plan import PruningPlan
from beliefmatch.setting_names import Setting
from beliefmatch.students.base import AbstractStudent, check_start, load_given_weights
from beliefmatch.students.of_teacher import AbstractStudentOfTeacher, copy_teacher, count_outputs

logger = logging.getLogger(__name__)

Method = Literal["thin", "shallow"]
METHODS: dict[Method, tuple[Quantity, ...]] = {"thin": ("macs", "parameters", "latency"), "shallow": ("macs",)}
"""By what a name begins with: quantities of which it can keep a part, the usual one first."""


@dataclass(frozen=True, kw_only=True)
class PruningRequest:
    """What a name such as thin:parameters=0.3 asks for."""

    method: Method
    quantity: Quantity
    """Of which a part is kept."""
    fraction: float
    """Most that is kept of it, above 0, at most 1."""

    @classmethod
    def parse(cls, name: str) -> "PruningRequest":
        """Read a name.

        Raises:
            SettingsError: the quantity is unknown, or the part is out of (0, 1].
        """
        method, _, rest = name.partition(":")
        if method not in METHODS:
            raise SettingsError(f"{Setting('student')} {name} is not made by pruning; {did_you_mean(method, METHODS)}")
        key, equals, number = rest.rpartition("=")
        known = METHODS[method]
        quantity = key if key in known else known[0]
        if equals and key not in known:
            others = "" if method == "thin" else ", and thin:parameters=0.3 prunes channels"
            raise SettingsError(
                f"{Setting('student')} {name} keeps a part of {key!r}; {did_you_mean(key, known)}{others}"
            )
        try:
            fraction = float(number)
        except ValueError:
            fraction = math.nan
        if not 0 < fraction <= 1:
            raise SettingsError(
                f"{Setting('student')} {name} must name the part that is kept, above 0 and at most 1, such as "
                f"{method}:0.5; got "
                f"{number or 'none'}"
            )
        return cls(method=method, quantity=quantity, fraction=fraction)

    def __str__(self) -> str:
        """Return the one name that stands for all that ask for this."""
        key = "" if self.quantity == METHODS[self.method][0] else f"{self.quantity}="
        return f"{self.method}:{key}{self.fraction!r}"


def asks_for_pruning(name: str) -> bool:
    """Whether the name of a student asks for one that is made from its teacher."""
    return name.partition(":")[0] in METHODS


@dataclass(frozen=True, kw_only=True)
class PrunedStudent(AbstractStudentOfTeacher):
    """The teacher with fewer channels or fewer blocks. It starts with what is left of the teacher's weights."""

    architecture: str
    """thin:0.5 keeps half of the multiply-accumulates, thin:parameters=0.3 so many of the parameters and
    thin:latency=0.5 half of the time of one example on this machine's CPU, in fewer channels; shallow:0.5 drops
    residual blocks."""
    plan: PruningPlan | None = field(default=None, compare=False, repr=False, metadata=IN_MEMORY)
    """What the name comes to for this teacher, where that was found already: it can take minutes. None: `build` finds
    it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "architecture", str(PruningRequest.parse(self.architecture)))
        make_absolute(self, "weights")
        check_start(self)

    def build(self, teacher: Teacher) -> nn.Module:
        """Copy the teacher and prune the copy; the same teacher gives the same student, but for a part of the latency.

        Raises:
            NetworkError: the teacher cannot be traced, or so little cannot be kept of it.
            ExtraError: Torch-Pruning is missing.
            WeightsError: weights are given, and cannot be read or do not fit.
        """
        student = copy_teacher(teacher)
        apply_plan(student, self.plan or _find_plan(self.architecture, student, teacher))
        if self.weights is not None:
            load_given_weights(student, self)
        elif self.start == "fresh":
            _draw_weights(student)
        return student.train().requires_grad_(requires_grad=True)


def _find_plan(
    name: str, network: nn.Module, teacher: Teacher, *, groups: Sequence[ChannelGroup] | None = None
) -> PruningPlan:
    request = PruningRequest.parse(name)
    num_outputs = count_outputs(network, teacher)
    if request.method == "shallow":
        dropped = drop_blocks(network, teacher.spec, fraction=request.fraction)
        return PruningPlan(num_outputs=num_outputs, dropped=dropped, layers=())
    layers = thin(network, teacher.spec, quantity=request.quantity, fraction=request.fraction, groups=groups)
    return PruningPlan(num_outputs=num_outputs, dropped=(), layers=layers)


def plan_students(names: Sequence[str], teacher: Teacher) -> list[PrunedStudent]:
    """Return several students of one teacher with their plans, for which groups of channels are found once.

    Args:
        names: such as thin:0.5 and shallow:0.5.
        teacher: that all are made from.

    Returns:
        Those that can be made; the log says why others cannot.
    """
    network = copy_teacher(teacher)
    students: list[PrunedStudent] = []
    left_out: dict[str, list[str]] = {}
    groups, why = None, None
    for name in names:
        is_thin = PruningRequest.parse(name).method == "thin"
        try:
            if is_thin and why is not None:
                raise why
            if is_thin and groups is None:
                groups = find_groups(network, teacher.spec)
            plan = _find_plan(name, network, teacher, groups=groups)
        except (NetworkError, ExtraError) as error:
            left_out.setdefault(str(error), []).append(name)
            why = error if is_thin and groups is None else why
            continue
        students.append(PrunedStudent(architecture=name, plan=plan))
    for reason, without in left_out.items():
        log_once(logger, logging.INFO, "not tried: %s, since %s", ", ".join(without), reason)
    return students


def with_plan(settings: AbstractStudent, student: nn.Module) -> AbstractStudent:
    """Return settings with the plan of a student that was built of them, so that it need not be found again.

    Args:
        settings: of the student.
        student: that they built, for the same teacher as others that are built of what is returned.
    """
    return replace(settings, plan=plan_of(student)) if isinstance(settings, PrunedStudent) else settings


def _draw_weights(network: nn.Module) -> None:
    """Draw fresh weights for all layers that know how, as torch does for each of its kind."""
    for module in network.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
