"""Checking that a converted ONNX model computes what onnxruntime does, on inputs of noise and of textures.

A converter can take an operator for another, or leave out what an attribute asks for, and say nothing of it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.functional.textures import textures
from beliefmatch.log_once import log_once
from beliefmatch.networks.loading.onnx_compatibility import EXTRA, NEWEST
from beliefmatch.networks.loading.onnx_session import FATAL, start_session
from beliefmatch.networks.loading.packages import quiet

logger = logging.getLogger(__name__)

BATCH_SIZES = (1, 2, 5)
"""Examples a batch, where the model takes any number."""
TOLERANCE = 1e-3
"""Difference of an output, as a fraction of the range of all outputs of a batch, up to which both compute the same."""
ROUNDING = 1e-5
"""Likewise as a fraction of the largest output, for outputs that hardly differ from one another."""
INSTEAD = "take the network in PyTorch, or as a .pt2 of torch.export"

Run = Callable[[Tensor], list[Any]]
"""Maps a batch to all outputs of a model, arrays of numpy."""

MAX_KEPT = 2**28
"""Numbers in the outputs of all operators that are kept at a time, to find the first that differs."""


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A converted model, and what it was converted from."""

    name: str
    """What to call it in errors."""
    file: str
    """Path of the model as the user has it."""
    program: fx.GraphModule
    """Gives the outputs of the model."""
    translated: Any
    """The `onnx.ModelProto` that was converted; its nodes are those of the program, in order."""
    names: Sequence[str]
    """What the user's file calls each of these nodes."""
    operators: Sequence[str]
    """Operators of the user's file, in its order."""


def check_conversion(converted: Converted, shape: tuple[int, ...], batch_size: int | None) -> None:
    """Check that a converted model gives what onnxruntime gives; where that is missing, the log says so.

    Args:
        converted: in eval mode, on the CPU.
        shape: of one example.
        batch_size: the one number of examples that it takes at once; None if it takes any.

    Raises:
        NetworkError: it gives something else; the first operator whose output differs is named.
    """
    try:
        with quiet():
            run = _load(converted.file)
    except ImportError:
        log_once(
            logger,
            logging.INFO,
            "onnxruntime is not installed, so it was not checked that %s was converted rightly: pip install '%s'",
            *(converted.name, EXTRA),
        )
        return
    except Exception as error:
        _log_failure(converted, error)
        return
    _compare(converted, run, [batch_size] if batch_size else BATCH_SIZES, shape)


def _compare(converted: Converted, run: Run, sizes: Sequence[int], shape: tuple[int, ...]) -> None:
    """Compare on batches of all sizes that onnxruntime takes.

    Raises:
        NetworkError: outputs differ, or the converted model takes none of these batches.
    """
    failure: NetworkError | None = None
    num_compared, why_not = 0, ""
    for batch in _batches(sizes, shape):
        try:
            expected = run(batch)
        except Exception as error:
            why_not = first_line(error)
            continue
        runner = _Runner(converted.program)
        try:
            outputs = runner.run_on(batch)
        except _NodeError as error:
            what = first_line(error.__cause__ or error)
            failure = NetworkError(
                f"{converted.name} cannot be converted: {_describe(converted, error.index)} fails in torch, and not in "
                f"onnxruntime ({what}): {INSTEAD}"
            )
            continue
        num_compared += 1
        if not are_equal(expected, outputs, len(batch)):
            raise NetworkError(
                f"{converted.name} is refused: converted to torch it computes something else than onnxruntime, on "
                f"batches of {len(batch)}. {_first_difference(converted, batch, runner.num_numbers)}: {INSTEAD}"
            )
    if not num_compared and failure:
        raise failure
    if not num_compared:
        _log_failure(converted, why_not)


def _log_failure(converted: Converted, why: object) -> None:
    log_once(
        logger,
        logging.INFO,
        "it was not checked that %s was converted rightly, for onnxruntime does not run it: %s",
        *(converted.name, first_line(why) if isinstance(why, Exception) else why),
    )


def _batches(sizes: Sequence[int], shape: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield noise and textures in batches of each size."""
    random = torch.Generator().manual_seed(0)
    for size in sizes:
        yield torch.randn((size, *shape), generator=random)
        yield textures(size, shape, random, torch.float32, curve_fraction=0.5)


def _load(model: str | bytes, *, optimised: bool = True) -> Run:
    """Load a model with onnxruntime, whose own log says nothing: what is wrong, we say.

    Raises:
        ImportError: onnxruntime is not installed.
        Exception: it cannot run the model, of any kind.
    """
    session = start_session(model, log_level=FATAL, optimised=optimised)
    (taken,) = session.get_inputs()
    return lambda batch: list(session.run(None, {taken.name: batch.numpy()}))


class _NodeError(Exception):
    """A node of the program failed."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index


class _Runner(fx.Interpreter):
    """Runs a program node by node, so that a node that fails is known."""

    def __init__(self, program: fx.GraphModule, *, kept: list[list[Any]] | None = None) -> None:
        """Build a runner.

        Args:
            program: to run.
            kept: takes the outputs of each node, in order. None: they are let go as soon as no node needs them.
        """
        super().__init__(program)
        self.kept, self.num_nodes = kept, 0
        self.num_numbers = 0
        """In the outputs of all nodes."""

    def run_node(self, n: fx.Node) -> Any:
        if n.op != "call_module":
            return super().run_node(n)
        try:
            output = super().run_node(n)
            if self.kept is not None:
                self.kept.append(_as_list(output))
        except Exception as error:
            raise _NodeError(self.num_nodes) from error
        each = output if isinstance(output, tuple | list) else [output]
        self.num_numbers += sum(value.numel() for value in each if isinstance(value, Tensor))
        self.num_nodes += 1
        return output

    def run_on(self, batch: Tensor) -> list[Any]:
        """Return the outputs for a batch."""
        with torch.no_grad(), quiet():
            return _as_list(self.run(batch.clone()))


def _as_list(output: Any) -> list[Any]:
    """Return what a node gives as copies: a later node may work in place."""
    each = output if isinstance(output, tuple | list) else [output]
    return [value.detach().clone() if isinstance(value, Tensor) else value for value in each]


def are_equal(expected: Sequence[Any], found: Sequence[Any], num_examples: int) -> bool:
    """Whether at most half of the examples of a batch differ: rounding can flip single ones, at a sign or a step."""
    for theirs, ours in zip(expected, found, strict=False):
        if not isinstance(ours, Tensor):
            continue
        wanted = torch.as_tensor(theirs)
        if wanted.shape != ours.shape:
            return False
        if not wanted.is_floating_point() or not wanted.numel():
            continue
        differs = _differs(wanted.double(), ours.double())
        if wanted.dim() and len(wanted) == num_examples:
            differs = differs.flatten(1).any(dim=1) if wanted.dim() > 1 else differs
            if int(differs.sum()) * 2 > num_examples:
                return False
        elif bool(differs.any()):
            return False
    return True


def _differs(wanted: Tensor, found: Tensor) -> Tensor:
    """Compute for each number whether two tensors differ there by more than rounding."""
    finite = wanted[wanted.isfinite()]
    if not finite.numel():
        return ~torch.isclose(found, wanted, equal_nan=True)
    tolerance = TOLERANCE * (finite.max() - finite.min()) + ROUNDING * finite.abs().max() + torch.finfo().tiny
    alike = ((found - wanted).abs() <= tolerance) | (found == wanted) | (found.isnan() & wanted.isnan())
    return ~alike


def _first_difference(converted: Converted, batch: Tensor, num_numbers: int) -> str:
    """Return in words which operator is the first whose output differs; the outputs have so many numbers together."""
    if num_numbers > MAX_KEPT:
        return f"Which operator differs cannot be told (its values are {num_numbers:,} numbers)"
    found: list[list[Any]] = []
    try:
        _Runner(converted.program, kept=found).run_on(batch)
        run = _load(_with_all_outputs(converted.translated).SerializeToString(), optimised=False)
        expected = iter(run(batch))
    except Exception as error:
        # The model as a whole may be larger than one message of protobuf can be.
        return f"Which operator differs cannot be told ({first_line(error)})"
    for index, (node, ours) in enumerate(zip(converted.translated.graph.node, found, strict=True)):
        theirs = [next(expected) for name in node.output if name]
        if not are_equal(theirs, [each for each, name in zip(ours, node.output, strict=False) if name], len(batch)):
            return f"The first operator whose output differs is {_describe(converted, index)}"
    left = {node.op_type for node in converted.translated.graph.node}
    replaced = ", ".join(dict.fromkeys(each for each in converted.operators if each not in left))
    return f"What differs is the translation of {replaced or 'its operators'} to those of ONNX's opset {NEWEST}"


def _with_all_outputs(model: Any) -> Any:
    """Return a copy of a model that gives the outputs of all its nodes, in their order."""
    copied = type(model)()
    copied.CopyFrom(model)
    del copied.graph.output[:]
    for node in copied.graph.node:
        for name in filter(None, node.output):
            copied.graph.output.add().name = name
    return copied


def _describe(converted: Converted, index: int) -> str:
    """Return the operator of a node, with what the file calls it where that can be shown."""
    operator, name = converted.translated.graph.node[index].op_type, converted.names[index]
    return f"{operator} ({name})" if name and name.isprintable() else operator
