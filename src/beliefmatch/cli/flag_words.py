"""How helps show what follows a flag: in words, without types of Python, and without a default that is none."""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

WORDS = {int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def flags_in_words() -> ConstructorRegistry:
    """Return what makes the parser show fields of settings, such as `RunOptions`, in words."""
    registry, is_inside = ConstructorRegistry(), False

    @registry.struct_rule
    def show_in_words(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal is_inside
        if is_inside:
            return None
        is_inside = True
        try:
            found = ConstructorRegistry.get_struct_spec(info)
        finally:
            is_inside = False
        if not isinstance(found, StructConstructorSpec):
            return None
        return replace(found, fields=tuple(map(_field_in_words, found.fields)))

    return registry


def _field_in_words(field: StructFieldSpec) -> StructFieldSpec:
    helptext = field.helptext

    def help_text() -> str | None:
        text = helptext() if callable(helptext) else helptext
        return text and re.sub(r"\bNone:", "Default:", text)

    return replace(
        field, type=in_words(field.type, field.default), helptext=help_text if field.default is None else helptext
    )


def command_in_words(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose own flags a help shows in words."""
    hints, signature = get_type_hints(command, include_extras=True), inspect.signature(command)
    parameters = [
        each.replace(annotation=in_words(hints[each.name], each.default)) for each in signature.parameters.values()
    ]

    @functools.wraps(command)
    def displayed(*arguments: Any, **flags: Any) -> None:
        command(*arguments, **flags)

    # The parser would look at the command itself.
    del displayed.__wrapped__
    displayed.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    displayed.__annotations__ = {each.name: each.annotation for each in parameters}
    return displayed


def in_words(annotation: Any, default: object) -> Any:
    """Return the type of a flag with words that stand for what is typed after it; a nested one as it is.

    Args:
        annotation: of a field or a parameter. Words that it has already stay.
        default: of it. Where it is None, a help says in its text what happens instead.
    """
    kind, metadata = annotation, ()
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
    words = _words_of(kind, default)
    if words is None:
        return annotation
    if default is None and tyro.conf.Positional in metadata:
        words = f"[{words}]"
    displayed = tyro.conf.arg(metavar=words, help_behavior_hint="" if default is None else None)
    return Annotated[(kind, displayed, *metadata)]


def _words_of(kind: Any, default: object) -> str | None:
    """Return the words for a type; None: it has no single value, or its flag takes none."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        words = [_words_of(part, default) for part in parts if part is not NoneType]
        none = ["None"] if NoneType in parts and default is not None else []
        return None if None in words else "|".join(dict.fromkeys([*filter(None, words), *none]))
    if origin is Literal:
        return "{" + ",".join(map(str, parts)) + "}"
    if origin is tuple:
        words = [_words_of(part, default) for part in parts if part is not Ellipsis]
        return None if None in words else " ".join([*filter(None, words), *(["..."] if Ellipsis in parts else [])])
    return WORDS.get(kind)
