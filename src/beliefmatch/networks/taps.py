"""Taps: reading named activations of any module without editing it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from beliefmatch.errors import TapError, the_nearest
from beliefmatch.functional.attention import attention_map
from beliefmatch.functional.upcast import upcast
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.outputs import logits_of
from beliefmatch.networks.passes import run_network
from beliefmatch.networks.tasks import SINGLE_LABEL, AbstractTask
from beliefmatch.setting_names import Setting, where_known


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The outputs of a network for a batch, and its tapped activations."""

    logits: Tensor
    """(batch, classes), or labels or numbers, as the task has it; float32 or wider."""
    activations: dict[str, Tensor]
    """Output of each tapped module, by name: (batch, channels, *positions)."""
    inputs: dict[str, Tensor]
    """Input of each module tapped at its input, by name."""
    maps: dict[str, Tensor] = field(default_factory=dict)
    """Attention maps that were asked for, by name."""
    task: AbstractTask = SINGLE_LABEL
    """What the logits predict. It counts for a teacher's outputs; a student's task is its teacher's."""

    def attention_map(self, name: str) -> Tensor:
        """Return the attention map of a tapped output, (batch, positions), computed once."""
        if name not in self.maps:
            self.maps[name] = attention_map(self.activations[name])
        return self.maps[name]


@dataclass(frozen=True, kw_only=True)
class TapPair:
    """A module of the teacher and the module of the student whose output is to match it."""

    teacher: str
    student: str

    @staticmethod
    def parse(text: str) -> "TapPair":
        """Read TEACHER_MODULE=STUDENT_MODULE, or one name if both are called alike.

        Raises:
            TapError: a name is empty.

        Example:
            >>> from beliefmatch import TapPair
            >>> TapPair.parse("layer2=stage1")
            TapPair(teacher='layer2', student='stage1')
        """
        teacher, _, student = text.partition("=")
        if not teacher or text.endswith("="):
            raise TapError(f"{text!r} names no pair of modules; expected TEACHER_MODULE=STUDENT_MODULE")
        return TapPair(teacher=teacher, student=student or teacher)


def declared_pairs(teacher: nn.Module, student: nn.Module) -> tuple[TapPair, ...]:
    """Pair the taps that both architectures declare as `attention_taps`, in order; none where their number differs."""
    taps = [tuple(getattr(network, "attention_taps", ())) for network in (teacher, student)]
    if len(taps[0]) != len(taps[1]):
        return ()
    return tuple(TapPair(teacher=first, student=second) for first, second in zip(*taps, strict=True))


def outputs_of(
    network: nn.Module, batch: Tensor, *, outputs: Sequence[str] = (), inputs: Sequence[str] = ()
) -> Outputs:
    """Run a network and read named activations on the way. Hooks live only as long as the call.

    Args:
        network: any module that maps a batch to logits.
        batch: (batch, *shape), network inputs.
        outputs: names of modules whose output to keep.
        inputs: names of modules whose input to keep.

    Raises:
        TapError: a name does not exist (the message lists those that do), its module did not run, or the network
            takes a batch in pieces.
        NetworkError: the network returned something other than logits (batch, classes).
    """
    if (outputs or inputs) and (why := why_untappable(network)):
        raise TapError(f"nothing can be tapped in {why}")
    found = Outputs(logits=batch, activations={}, inputs={})
    with ExitStack() as stack:
        for name in outputs:
            stack.enter_context(_tap_output(find_module(network, name), name, found.activations))
        for name in inputs:
            stack.enter_context(_tap_input(find_module(network, name), name, found.inputs))
        output = run_network(network, batch)
    for name in (*outputs, *inputs):
        if name not in found.activations and name not in found.inputs:
            raise TapError(f"module {name!r} did not run, so nothing could be read from it")
    logits = logits_of(output, network=type(network).__name__, batch_size=len(batch))
    return Outputs(logits=upcast(logits), activations=found.activations, inputs=found.inputs)


def why_untappable(network: nn.Module) -> str | None:
    """Return why nothing in a network can be tapped, and what helps; None where something can."""
    if getattr(network, "runs_in_pieces", False):
        return "a program that takes a fixed number of examples: export it for any"
    if not getattr(network, "runs_modules", True):
        return (
            "a program of operators without modules: the network that it was exported from can be tapped, and mostly "
            "its .onnx file"
        )
    return None


def why_no_pairs(teacher: nn.Module, student: nn.Module, spec: InputSpec) -> str:
    """Return why no pairs of activations were found, and what helps where something does."""
    for role, network in (("teacher", teacher), ("student", student)):
        if why := why_untappable(network):
            return f"the {role} is {why}"
    if len(spec.shape) == 1:
        return "vectors have no positions to attend to"
    taps = Setting("taps", placeholder="TEACHER_MODULE=STUDENT_MODULE")
    return f"the networks have no resolution of feature maps in common{where_known('; name some with {}', taps)}"


def find_module(network: nn.Module, name: str) -> nn.Module:
    """Return a module by its dotted name.

    Raises:
        TapError: no module has this name; the message gives the nearest and lists all.
    """
    try:
        return network.get_submodule(name or "?")
    except AttributeError:
        names = [key for key, _ in network.named_modules() if key]
        nearest = the_nearest(name, names)
    raise TapError(f"{type(network).__name__} has no module {name!r}; {nearest}; all: {', '.join(names)}")


@contextmanager
def _tap_output(module: nn.Module, name: str, found: dict[str, Tensor]) -> Iterator[None]:
    version = 0

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal version
        if not isinstance(output, Tensor):
            raise TapError(f"module {name!r} returns a {type(output).__name__}, expected a tensor")
        found[name], version = output, output._version

    handle = module.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
    if name in found and found[name]._version != version:
        raise TapError(f"the output of module {name!r} is changed in place by what follows it: tap the module after it")


@contextmanager
def _tap_input(module: nn.Module, name: str, found: dict[str, Tensor]) -> Iterator[None]:
    def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        found[name] = inputs[0]

    handle = module.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()
