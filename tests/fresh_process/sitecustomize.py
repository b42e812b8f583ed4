"""Python runs this where it starts with this folder in PYTHONPATH: a process of its own, as users have them.

Packages that HIDDEN_PACKAGES lists are not found, as if they were not installed.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

HIDDEN = frozenset(os.environ.get("HIDDEN_PACKAGES", "").split())


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
