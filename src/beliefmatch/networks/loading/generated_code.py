"""Checking the Python source that torch.fx makes from a graph, before it is called.

Names and constants of a file could be more than they seem once they are written into source. What a converted program
may do is known: call its own modules and torch's operators on values that it has. Anything else is refused.
"""

import ast
import re
from collections.abc import Iterator

from torch import fx

from beliefmatch.errors import NetworkError

FUNCTIONS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|torchvision)\.(?!save\b|from_file\b)\w+(\.\w+)?"
    r"|torch\.sym_\w+|math\.(trunc|ceil|floor)|_?operator\.(?!call\b|attrgetter\b|methodcaller\b|itemgetter\b)[a-z_]+"
    r"|torch\.device|device|slice"
)
"""What may be called besides modules of the program's own."""
NODES = (
    *(ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.AnnAssign, ast.Return, ast.Expr, ast.Pass),
    *(ast.Call, ast.Attribute, ast.Name, ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.keyword, ast.Subscript),
    *(ast.Slice, ast.Starred, ast.UnaryOp, ast.BinOp, ast.Compare, ast.expr_context, ast.operator, ast.unaryop),
    ast.cmpop,
)
"""What such source is made of."""
OPERATOR_METHOD = re.compile(r"__i?(and|or|xor|lshift|rshift)__")
"""The only names within double underscores: torch's operators of these names."""


def check_generated_code(program: fx.GraphModule, *, name: str) -> None:
    """Check that the source of a program, and of all within it, calls nothing but its modules and torch's operators.

    Args:
        program: not called yet.
        name: what to call it in errors.

    Raises:
        NetworkError: it does anything else.
    """
    for module in program.modules():
        if isinstance(module, fx.GraphModule):
            check_source(module.code, name=name)


def check_source(source: str, *, name: str) -> None:
    """Check one source; see `check_generated_code`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NetworkError(f"{name} is refused: no code can be made from its graph") from None
    if found := next(_disallowed_nodes(tree), None):
        text = ast.unparse(found)
        raise NetworkError(f"{name} is refused: it would run {text[:60]!r}, which is no operator of torch's")


def _disallowed_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that a graph of operators never contains."""
    if [type(statement) for statement in tree.body] != [ast.FunctionDef]:
        yield tree
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef():
                is_known = node in tree.body and node.name == "forward" and not node.decorator_list
            case ast.Call():
                is_known = _is_known_call(node)
            case ast.Attribute(attr=text) | ast.Name(id=text) | ast.arg(arg=text):
                is_known = not text.startswith("__") or bool(OPERATOR_METHOD.fullmatch(text))
            case _:
                is_known = isinstance(node, NODES)
        if not is_known:
            yield node


def _is_known_call(node: ast.Call) -> bool:
    """Whether a call is of a module of the program's own, of a known function, or reads an attribute by its name."""
    if isinstance(node.func, ast.Name) and node.func.id == "getattr":
        return _is_own(node)
    return _is_own(node.func) or bool(FUNCTIONS.fullmatch(ast.unparse(node.func)))


def _is_own(node: ast.expr) -> bool:
    """Whether an expression is a chain of attributes that begins with self."""
    match node:
        case ast.Attribute(value=ast.Name(id="self")):
            return True
        case ast.Attribute(value=inner):
            return _is_own(inner)
        case ast.Call(func=ast.Name(id="getattr"), args=[inner, ast.Constant(value=str() as text)], keywords=[]):
            is_self = isinstance(inner, ast.Name) and inner.id == "self"
            return (is_self or _is_own(inner)) and bool(re.fullmatch(r"\w+", text)) and not text.startswith("__")
        case _:
            return False
