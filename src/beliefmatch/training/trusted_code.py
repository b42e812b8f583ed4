"""Python code that a run folder names: only what the caller names too, or trusts, is imported."""

import dataclasses
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from beliefmatch.errors import FolderError
from beliefmatch.networks.loading.network import Network, is_own_code
from beliefmatch.setting_names import Setting
from beliefmatch.sources.generator_settings import GeneratorSettings
from beliefmatch.students.named import NamedStudent

TrustedCode = bool | Collection[str]
"""Which Python code that a folder names may be imported. True: any, as the user trusts whoever made the folder. False:
none. A collection: what the caller itself has named, such as my_file.py:make_network with its path made absolute."""


def check_trusted(names: Collection[str], trust_code: TrustedCode, *, file: Path) -> None:
    """Check that code which a file of a run folder names may be imported.

    Args:
        names: of architectures or generators.
        trust_code: which may be imported.
        file: that names them.

    Raises:
        FolderError: one may not.
    """
    known = () if isinstance(trust_code, bool) else trust_code
    for name in names:
        if trust_code is True or not is_own_code(name) or name in known:
            continue
        way_out = (
            f"read that code first; if you trust it, add {Setting('trust_code', value=True)}"
            if isinstance(trust_code, bool)
            else "you did not name it here: make the run again in another folder"
        )
        raise FolderError(f"{file} names Python code, {name}, and code that a folder names is not imported: {way_out}")


def code_named_in(settings: Any) -> list[str]:
    """Return the Python code that settings name, as file.py:function: of teacher, student and generator."""
    return [name for name in _names_in(settings) if is_own_code(name)]


def _names_in(settings: Any) -> Iterator[str]:
    if isinstance(settings, Network | NamedStudent):
        yield settings.architecture
    if isinstance(settings, GeneratorSettings) and settings.generator is not None:
        yield settings.generator
    if dataclasses.is_dataclass(settings):
        for field in dataclasses.fields(settings):
            yield from _names_in(getattr(settings, field.name))
    elif isinstance(settings, tuple):
        for item in settings:
            yield from _names_in(item)
