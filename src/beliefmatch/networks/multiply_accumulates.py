"""Counting multiply-accumulates of one pass, whatever operators a network uses."""

import logging
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey
from torch._ops import HigherOrderOperator
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from beliefmatch.log_once import log_once

logger = logging.getLogger(__name__)


@contextmanager
def counting_flops() -> Iterator[Callable[[], int]]:
    """Count floating-point operations of convolutions and products while the block lasts: two a multiply-accumulate.

    One of complex numbers counts as one of real numbers does, although it takes three or four real multiplications.
    Attention is computed as matrix products, since fused kernels of a CPU count as nothing. Of torch.cond the branch
    that is taken counts. Operators that may multiply and have no formula are named in the log.

    Yields:
        What returns the number so far.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # Such a mode warns of what works without one.
            _compiling_nothing(),
            _Uncounted() as uncounted,
            sdpa_kernel(SDPBackend.MATH),
            _counter() as counter,
            _GraphsInOperators(),
            _ProductsInFunctions(counter) as functions,
        ):
            uncounted.counted = set(counter.flop_registry)
            yield lambda: counter.get_total_flops() + functions.flops
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    if uncounted.names:
        log_once(
            logger,
            logging.INFO,
            "multiply-accumulates leave out %s, for which there is no formula",
            ", ".join(uncounted.names),
        )


def _compiling_nothing() -> AbstractContextManager[None]:
    """Run what torch.compile compiles as it is written: where there are such modes it fails, then and ever after.

    The compiler takes seconds to import: it is left alone where no pass of the network has loaded it before.
    """
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _counter() -> FlopCounterMode:
    """Build torch's counter without its hooks on modules, which fail where a network computes gradients in its pass."""
    counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
    counter.mod_tracker = _Everywhere()  # pyright: ignore[reportAttributeAccessIssue]
    return counter


class _Everywhere(nullcontext[None]):
    """Stands for the tracker that knows which modules run: all is counted together."""

    parents = ("Global",)


class _ProductsInFunctions(TorchFunctionMode):
    """Counts what operators do not tell later: elementwise products (an outer einsum, vecdot), and complex numbers."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.counter = counter
        self.flops = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function, and count it if it is such a product of which nothing else was counted."""
        before = self.counter.get_total_flops()
        output = func(*args, **(kwargs or {}))
        counted = self.counter.get_total_flops() - before
        count = {torch.einsum: _einsum_products, torch.linalg.vecdot: _vecdot_products}.get(func)
        if count and not counted:
            self.flops += 2 * count(*args, **(kwargs or {}))
        if counted and CONVOLUTION.match(getattr(func, "__name__", "")) and output.is_complex():
            # torch makes three real convolutions of it.
            self.flops -= counted - counted // 3
        return output


CONVOLUTION = re.compile(r"conv(_transpose)?[123]d\b")
"""Names of the functions that make real convolutions of complex ones."""


class _GraphsInOperators(TorchDispatchMode):
    """Runs what operators on graphs compute, such as the branch of torch.cond that is taken, so that it is counted."""

    supports_higher_order_operators = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, or the operators in its graph one by one."""
        if not isinstance(func, HigherOrderOperator):
            return func(*args, **(kwargs or {}))
        run: Callable[..., Any] = func.py_kernels[DispatchKey.CompositeExplicitAutograd]
        operands: Any = args
        if func is torch.ops.higher_order.cond:
            # torch's counter takes the larger branch, and adds both.
            taken, if_true, if_false, operands = args
            run = if_true if taken else if_false
        with self:
            return run(*operands, **(kwargs or {}))


def _einsum_products(equation: str, *given: Any) -> int:
    """Count products of an einsum; that of a single operand has none."""
    operands = given[0] if isinstance(given[0], list | tuple) else given
    return math.prod(_sizes_in(equation, operands).values()) if len(operands) > 1 else 0


def _vecdot_products(x: Tensor, y: Tensor, **_options: Any) -> int:
    return math.prod(torch.broadcast_shapes(x.shape, y.shape))


def _sizes_in(equation: str, operands: Any) -> dict[str, int]:
    """Return the size of each index of an einsum; axes of an ellipsis are counted from the right."""
    sizes: dict[str, int] = {}
    for term, operand in zip(equation.replace(" ", "").partition("->")[0].split(","), operands, strict=True):
        left, dots, right = term.partition("...")
        middle = [f".{axis}" for axis in reversed(range(operand.dim() - len(left) - len(right)))] if dots else []
        for index, size in zip([*left, *middle, *right], operand.shape, strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    return sizes


class _Uncounted(TorchDispatchMode):
    """Collects the names of operators that may multiply and have no formula."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}
        self.counted: set[Any] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, and keep its name if it is one of these."""
        packet = func.overloadpacket
        if packet not in self.counted and (func.namespace not in FEW_MULTIPLY or MAY_MULTIPLY.search(packet.__name__)):
            self.names.setdefault(f"{func.namespace}.{packet.__name__}")
        return func(*args, **(kwargs or {}))


FEW_MULTIPLY = ("aten", "prim", "prims", "profiler")
"""Namespaces of operators of which few multiply."""
MAY_MULTIPLY = re.compile(
    r"fft_|linalg_(?!vector_norm|check)|cdist|euclidean|linear|rnn|lstm|gru|conv|mm|dot|mv(?!lgamma)|matmul|sparse"
    r"|embedding_bag|grid_sampler|attention"
)


def _attention_flops(query: Any, key: Any, value: Any, *_rest: Any, **_options: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _lstm_flops(inputs: Any, first: Any, second: Any, *_rest: Any, **_options: Any) -> int:
    """Count one direction of one layer: (steps, batch, features), and both weights, (4 hidden, ...)."""
    steps, batch, _ = inputs
    return 2 * steps * batch * sum(torch.Size(shape).numel() for shape in (first, second))


def _mv_flops(matrix: Any, *_rest: Any, **_options: Any) -> int:
    """Count (rows, columns) times a vector; a dot product is the same of one row."""
    return 2 * math.prod(matrix)


def _addmv_flops(_added: Any, matrix: Any, *_rest: Any, **_options: Any) -> int:
    return 2 * math.prod(matrix)


def _addbmm_flops(_added: Any, first: Any, second: Any, *_rest: Any, **_options: Any) -> int:
    """Count (batch, rows, inner) times (batch, inner, columns)."""
    return 2 * math.prod(first) * second[-1]


def _addr_flops(_added: Any, first: Any, second: Any, *_rest: Any, **_options: Any) -> int:
    return 2 * math.prod(first) * math.prod(second)


def _bilinear_flops(*arguments: Any, **_options: Any) -> int:
    """Count each product of three entries once, over the axes that the three tensors are expanded to."""
    shapes, expansions = arguments[:3], arguments[3:6]
    dims = len(shapes[0]) + len(expansions[0])
    sizes = [1] * dims
    for shape, expanded in zip(shapes, expansions, strict=True):
        own = iter(shape)
        for axis in (axis for axis in range(dims) if axis not in expanded):
            sizes[axis] = max(sizes[axis], next(own))
    return 2 * math.prod(sizes)


def _distance_flops(first: Any, *_rest: Any, out_shape: Any = None, **_options: Any) -> int:
    """Count a multiplication for each feature of each pair of vectors (..., features)."""
    return 2 * math.prod(out_shape) * first[-1]


def _affine_grid_flops(affine: Any, *_rest: Any, out_shape: Any = None, **_options: Any) -> int:
    """Count (batch, dims, dims + 1) times each position of a grid (batch, ..., dims)."""
    return 2 * math.prod(out_shape) * affine[-1]


def _int8_linear_flops(inputs: Any, *_rest: Any, out_shape: Any = None, **_options: Any) -> int:
    """Count a layer of 8-bit weights, which are packed: (..., inputs) to (..., outputs)."""
    return 2 * math.prod(out_shape) * inputs[-1]


def _int8_conv_flops(_inputs: Any, packed: Any, *_rest: Any, out_shape: Any = None, **_options: Any) -> int:
    """Count a convolution of 8-bit weights by the kernel of each output."""
    return 2 * math.prod(out_shape) * math.prod(packed.weight().shape[1:])


def _int8_recurrent_flops(inputs: Any, *rest: Any, **_options: Any) -> int:
    """Count layers and directions whose weights are packed: (steps, batch, features), or all steps (..., features)."""
    cells = next(each for each in rest if isinstance(each, list | tuple) and isinstance(each[0], torch.ScriptObject))
    packed = [weight for cell in cells for weight in cell.__getstate__()[0][4]]  # pyright: ignore[reportAttributeAccessIssue]
    return 2 * math.prod(inputs[:-1]) * _num_packed(packed)


def _int8_cell_flops(inputs: Any, _hidden: Any, *rest: Any, **_options: Any) -> int:
    """Count one step of weights that are packed: (batch, features)."""
    return 2 * math.prod(inputs[:-1]) * _num_packed(rest[:2])


def _num_packed(packed: Iterable[Any]) -> int:
    """Return how many weights linear layers in 8 bits hold."""
    return sum(each.unpack()[0].numel() for each in packed)


FORMULAS: dict[Any, Any] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten.mkldnn_rnn_layer: _lstm_flops,
    torch.ops.aten.mv: _mv_flops,
    torch.ops.aten.dot: _mv_flops,
    torch.ops.aten.vdot: _mv_flops,
    torch.ops.aten.addmv: _addmv_flops,
    torch.ops.aten.addbmm: _addbmm_flops,
    torch.ops.aten.addr: _addr_flops,
    torch.ops.aten._trilinear: _bilinear_flops,
    torch.ops.aten._cdist_forward: _distance_flops,
    torch.ops.aten._euclidean_dist: _distance_flops,
    torch.ops.aten._pdist_forward: _distance_flops,
    torch.ops.aten.affine_grid_generator: _affine_grid_flops,
    torch.ops.aten.quantized_lstm: _int8_recurrent_flops,
    torch.ops.aten.quantized_gru: _int8_recurrent_flops,
    torch.ops.quantized.quantized_lstm_cell_dynamic: _int8_cell_flops,
    torch.ops.quantized.quantized_gru_cell_dynamic: _int8_cell_flops,
    torch.ops.quantized.quantized_rnn_tanh_cell_dynamic: _int8_cell_flops,
    torch.ops.quantized.quantized_rnn_relu_cell_dynamic: _int8_cell_flops,
    torch.ops.quantized.linear: _int8_linear_flops,
    torch.ops.quantized.linear_relu: _int8_linear_flops,
    torch.ops.quantized.linear_dynamic: _int8_linear_flops,
    torch.ops.quantized.linear_relu_dynamic: _int8_linear_flops,
    torch.ops.quantized.conv1d: _int8_conv_flops,
    torch.ops.quantized.conv1d_relu: _int8_conv_flops,
    torch.ops.quantized.conv2d: _int8_conv_flops,
    torch.ops.quantized.conv2d_relu: _int8_conv_flops,
    torch.ops.quantized.conv3d: _int8_conv_flops,
    torch.ops.quantized.conv3d_relu: _int8_conv_flops,
}
"""Operators that torch's own counter does not know."""
