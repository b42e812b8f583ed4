"""Python runs this where it starts with this folder in PYTHONPATH: a process of its own, as users have them.

Torchvision gets the operators that it misses when it is imported, and not before, so that torch stays out of processes
that do without. Packages that HIDDEN_PACKAGES lists are not found, as if they were not installed.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

HIDDEN = frozenset(os.environ.get("HIDDEN_PACKAGES", "").split())


class BeforeTorchvision(MetaPathFinder):
    """Finds nothing: it is asked before torchvision is found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            sys.path.append(str(Path(__file__).parents[1]))
            from torchvision_operators import define_missing_operators  # noqa: PLC0415

            define_missing_operators()
        return None


class WithoutHidden(MetaPathFinder):
    """Finds what lies on the path, but for what is hidden."""

    find_distributions = staticmethod(PathFinder.find_distributions)

    def invalidate_caches(self) -> None:
        PathFinder.invalidate_caches()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] in HIDDEN else PathFinder.find_spec(fullname, path, target)


finders: list[Any] = sys.meta_path
finders[finders.index(PathFinder)] = WithoutHidden()
if "torchvision" not in HIDDEN:
    finders.insert(0, BeforeTorchvision())
