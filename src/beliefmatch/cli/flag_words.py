"""How helps show what follows a flag: in words, without types of Python, and without a default that is none."""

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from beliefmatch.networks.model_settings import ModelSettings

ModelFlags = Annotated[ModelSettings, tyro.conf.arg(name="")]
"""Settings of a model, each a flag of the command itself. It calls them its teacher, since messages do."""
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
    def help_text() -> str | None:
        text = _text_of(field)
        return text and re.sub(r"\bNone:", "Default:", text)

    return replace(
        field, type=in_words(field.type, field.default), helptext=help_text if field.default is None else field.helptext
    )


def _text_of(field: StructFieldSpec) -> str | None:
    return field.helptext() if callable(field.helptext) else field.helptext


def command_in_words(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose own flags a help shows in words, those of a model in the place of its settings."""
    hints, signature = get_type_hints(command, include_extras=True), inspect.signature(command)
    parameters = [
        each.replace(annotation=in_words(hints[each.name], each.default)) for each in signature.parameters.values()
    ]
    flat = next((each for each in parameters if isinstance(each.default, ModelSettings)), None)
    if flat is not None:
        index = parameters.index(flat)
        parameters[index : index + 1] = _flags_of_model()

    @functools.wraps(command)
    def displayed(*arguments: Any, **flags: Any) -> None:
        if flat is not None:
            flags[flat.name] = ModelSettings(**{each.name: flags.pop(each.name) for each in fields(ModelSettings)})
        command(*arguments, **flags)

    # The parser would look at the command itself.
    del displayed.__wrapped__
    displayed.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    displayed.__annotations__ = {each.name: each.annotation for each in parameters}
    return displayed


def _flags_of_model() -> list[inspect.Parameter]:
    """Return the parameters that settings of a model are to the parser, which would put those of a part last."""
    spec = ConstructorRegistry.get_struct_spec(
        StructTypeInfo.make(ModelSettings, ModelSettings(), in_union_context=False)
    )
    assert isinstance(spec, StructConstructorSpec)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[field.type, tyro.conf.arg(help=_text_of(field))],
        )
        for field in map(_field_in_words, spec.fields)
    ]


def in_words(annotation: Any, default: object) -> Any:
    """Return the type of a flag with words that stand for what is typed after it; a nested one as it is.

    Args:
        annotation: of a field or a parameter. A text beside its type is taken as these words, and those that it has
            already stay.
        default: of it. Where it is None, a help says in its text what happens instead.
    """
    kind, metadata = annotation, ()
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
    words = next((each for each in metadata if isinstance(each, str)), None) or _words_of(kind, default)
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
