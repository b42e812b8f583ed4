"""Networks that were programs of other kinds: they run as they were written, and never train."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from beliefmatch.errors import NetworkError
from beliefmatch.networks.dtypes import to_inputs_of
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.base import AbstractOrigin
from beliefmatch.networks.loading.generated_code import check_generated_code
from beliefmatch.networks.outputs import OutputHook, logits_of
from beliefmatch.setting_names import Setting

RESIZES = ("OnnxResize", "OnnxResizeV10")
"""Classes of onnx2torch: all inputs but the first say how much they enlarge, and are no weights."""


class ConvertedProgram(nn.Module):
    """A program as a network in eval mode, which takes batches of any size."""

    def __init__(
        self,
        program: fx.GraphModule,
        *,
        batch_size: int | None,
        operators: Mapping[str, str],
        name: str,
        outputs: Sequence[str] | None = None,
    ) -> None:
        """Check the code of a program and wrap it; it does not run.

        Args:
            program: maps a batch to logits, or to something that holds them.
            batch_size: the one number of examples that it takes at once; None if it takes any.
            operators: by name of a node of its graph, what the user knows as the operator there.
            name: what to call it in errors.
            outputs: names of its outputs; None if it has none.

        Raises:
            NetworkError: the program would do more than a graph of operators.
        """
        super().__init__()
        check_generated_code(program, name=name)
        # Its weights stay as they are, so that a gradient is one to its input.
        self.program = program.requires_grad_(requires_grad=False)
        _tie_parameters(self.program)
        self.batch_size = batch_size
        self.operators = dict(operators)
        self.outputs = outputs
        self.output_name: str | None = None
        for module in self.modules():
            module.training = False

    def constants(self) -> Iterator[Tensor]:
        """Yield arrays of floats that an ONNX model holds beside its layers, such as weights of matrix products."""
        held = self._held()
        yield from (each for each, is_scale in held if each.is_floating_point() and each.numel() > 1 and not is_scale)

    def operands(self) -> Iterator[Tensor]:
        """Yield what an ONNX model holds to say how its operators work: shapes, axes, scales and single factors."""
        held = self._held()
        yield from (each for each, is_scale in held if each.dtype == torch.int64 or each.numel() == 1 or is_scale)

    def _held(self) -> Iterator[tuple[Tensor, bool]]:
        """Yield what an ONNX model holds beside its layers, each with whether it says how much Resize enlarges."""
        kinds = {name: type(module).__name__ for name, module in self.program.named_modules()}
        nodes: dict[str, list[fx.Node]] = {}
        for node in self.program.graph.nodes:
            nodes.setdefault(str(node.target), []).append(node)
        for name, buffer in self.program.named_buffers():
            holder = name.rpartition(".")[0]
            if holder == "initializers" or kinds[holder] == "OnnxConstant":
                uses = [(user, node) for node in (*nodes.get(name, ()), *nodes.get(holder, ())) for user in node.users]
                resized = [kinds.get(str(user.target)) in RESIZES and user.args[0] is not node for user, node in uses]
                yield buffer, bool(resized) and all(resized)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - as nn.Module has it
        """Return the network in eval mode, as the program was written."""
        return self

    def forward(self, batch: Tensor) -> Tensor:
        """Map (batch, *shape) to (batch, classes), in pieces where the program takes so many and no others."""
        if self.batch_size is None:
            return self._run(batch)
        return torch.cat([self._run_padded(piece, self.batch_size) for piece in batch.split(self.batch_size)])

    @property
    def runs_in_pieces(self) -> bool:
        """Whether a batch passes in pieces, so that what is tapped within belongs to one of them alone."""
        return self.batch_size is not None

    @property
    def runs_modules(self) -> bool:
        """Whether it consists of modules that run, whose activations can be tapped, and not of operators alone."""
        return any(node.op == "call_module" for node in self.program.graph.nodes)

    def find_stop(self, spec: InputSpec) -> str:
        """Find the operator through which no gradient flows from logits to inputs; empty if none is found."""
        generator = torch.Generator().manual_seed(0)
        batch = torch.randn((self.batch_size or 2, *spec.shape), generator=generator)
        batch = to_inputs_of(self, batch)
        where = _GradientTracer(self.program).find_stop(batch, self, generator)
        return self.operators.get(where, where)

    def _run_padded(self, piece: Tensor, size: int) -> Tensor:
        """Run a piece that may be too short, padded with copies of its first example."""
        missing = size - len(piece)
        if not missing:
            return self._run(piece)
        copies = piece[:1].detach().expand(missing, *piece.shape[1:])
        return self._run(torch.cat([piece, copies]))[: len(piece)]

    def _run(self, batch: Tensor) -> Tensor:
        return self.find_logits(self.program(batch), len(batch))

    def find_logits(self, output: Any, batch_size: int) -> Tensor:
        """Return the logits in the output of the program."""
        if self.outputs is not None:
            output = dict(zip(self.outputs, output, strict=True))
        if self.output_name is not None:
            output = OutputHook(output=self.output_name)(self, (), output)
        return logits_of(output, network="the program", batch_size=batch_size)


def _tie_parameters(program: nn.Module) -> None:
    """Let parameters of one memory be one, so that they stay so in copies and in other memory formats."""
    kept: dict[object, nn.Parameter] = {}
    for module in program.modules():
        for name, parameter in module.named_parameters(recurse=False):
            key = parameter.data_ptr() or id(parameter), parameter.shape, parameter.stride(), parameter.dtype
            setattr(module, name, kept.setdefault(key, parameter))


@dataclass(frozen=True, kw_only=True)
class AbstractProgramFile(AbstractOrigin):
    """A file that holds a program with its weights."""

    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Raise an error: a program has its weights, and no way to make others."""
        raise NetworkError(
            f"{self.architecture} is a program with its own weights: it can be a teacher without "
            f"{Setting('teacher.weights')}, but no student; name an architecture for the student"
        )

    def locate(self) -> str:
        """Return the path of the file, made absolute."""
        return str(Path(self.architecture).absolute())


@dataclass(frozen=True, kw_only=True)
class ProgramInput:
    """What a program takes."""

    batch_size: int | None
    """The one number of examples that it takes at once; None for any."""
    shape: tuple[int, ...] | None
    """Of one example; None where it is free."""

    @property
    def spec(self) -> InputSpec | None:
        """Return the spec of such inputs; None where their shape is free."""
        return InputSpec(shape=self.shape) if self.shape is not None else None

    def check(self, spec: InputSpec, *, name: str) -> None:
        """Check that a program takes such inputs.

        Raises:
            NetworkError: it takes others.
        """
        if self.shape not in (None, spec.shape):
            raise NetworkError(
                f"{name} takes inputs of shape {self.shape}, not {spec.shape}: {Setting('shape', self.shape)}"
            )


def read_sizes(sizes: Sequence[int | None], *, name: str) -> ProgramInput:
    """Return what a program takes, by the sizes of its input, None where one is free.

    Raises:
        NetworkError: it does not take batches.
    """
    if len(sizes) < 2:
        raise NetworkError(f"{name} takes a tensor of {len(sizes)} axes, expected (batch, ...)")
    fixed = tuple(size for size in sizes[1:] if size is not None)
    return ProgramInput(batch_size=sizes[0], shape=fixed if len(fixed) == len(sizes) - 1 else None)


class _GradientTracer(fx.Interpreter):
    """Runs a program node by node and records where its gradient ends."""

    def find_stop(self, batch: Tensor, network: ConvertedProgram, random: torch.Generator) -> str:
        """Find the node through which no gradient flows; empty where none is found."""
        self.seen: list[tuple[fx.Node, list[Tensor], list[Tensor]]] = []
        with torch.enable_grad():
            logits = network.find_logits(self.run(batch.clone().requires_grad_()), len(batch))
            if logits.requires_grad:
                (logits * torch.randn(logits.shape, generator=random).to(logits)).sum().backward()
        for node, inputs, outputs in reversed(self.seen):
            arrives = any(given.grad is not None and bool(given.grad.any()) for given in outputs)
            leaves = any(taken.grad is not None and bool(taken.grad.any()) for taken in inputs)
            if arrives and inputs and not leaves:
                return node.name
        # Nothing arrives anywhere: the last node whose inputs had a gradient to pass on, and whose output has none.
        ends = [node.name for node, inputs, outputs in self.seen if inputs and not outputs]
        return ends[-1] if ends else ""

    def run_node(self, n: fx.Node) -> Any:
        """Run a node as fx does, and record which tensors with a gradient go in and come out."""
        arguments, keywords = self.fetch_args_kwargs_from_env(n)
        inputs = _with_gradient((arguments, keywords))
        output = super().run_node(n)
        outputs = [] if n.op == "output" else _with_gradient(output)
        for tensor in outputs:
            tensor.retain_grad()
        if n.op not in ("output", "placeholder", "get_attr") and (outputs or _is_values(output)):
            self.seen.append((n, inputs, outputs))
        return output


def _with_gradient(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor) and value.requires_grad]


def _is_values(output: Any) -> bool:
    """Whether a node's output is values, rather than a size or a shape."""
    return any(isinstance(value, Tensor) and value.numel() > value.dim() > 0 for value in tree_leaves(output))
