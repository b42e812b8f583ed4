"""How Sphinx builds the site: `make docs`, or `sphinx-build -W --keep-going docs docs/_build/html`."""

import importlib.metadata
import re
from typing import Any

from sphinx.application import Sphinx

project = "beliefmatch"
author = "beliefmatch developers"
copyright = "beliefmatch developers, Apache-2.0"  # noqa: A001 - Sphinx reads this name
version = release = importlib.metadata.version("beliefmatch")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"beliefmatch {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = html_show_sourcelink = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# Consoles of the pages show $ before what is typed; only that is copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Pages that are notebooks are run when they are built, each in a folder of its own, and an error there fails the build.
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
default_role = "code"
napoleon_numpy_docstring = False

nitpicky = True
# Nothing is fetched while the site is built, so names of other packages have no page; neither have names of ours that
# are not public.
nitpick_ignore_regex = [
    ("py:.*", r"(torch|numpy|np|nn|pathlib|collections|typing|lightning_fabric|jinja2)(\..*)?"),
    ("py:.*", r"(Tensor|Path|Any|Self|Iterator|Callable|Fabric|ClassVar|Generic|ABC|Literal|Protocol|Sequence)"),
    ("py:.*", r"(beliefmatch\.(?!recipes\.[a-z_]+$)[a-z_]+\..*|[A-Z]\w*|optional)"),
]

MARKUP = re.compile(r"(`[^`]*`)|(\*|\||_(?=\W|$))")
"""What docstrings mean literally and reStructuredText does not, outside of backticks."""
# Examples write their files into a folder of their own.
doctest_global_setup = "import os, tempfile; home = os.getcwd(); os.chdir(tempfile.mkdtemp())"
doctest_global_cleanup = "os.chdir(home)"

FIELDS = ("attribute", "property")
"""What autodoc calls fields of classes."""
DOCSTRINGS: dict[str, list[str]] = {}
"""Of each name as it was before napoleon read it."""


def escape_markup(
    _app: Sphinx, _kind: str, name: str, _found: object, _options: object, lines: list[str], *_: Any
) -> None:
    """Escape the stars and bars of shapes and norms in a docstring, in place."""
    is_example = False
    for number, line in enumerate(lines):
        # An example ends with an empty line.
        is_example = line.lstrip().startswith(">>>") or (is_example and bool(line.strip()))
        if not is_example:
            lines[number] = _escape(line)
    DOCSTRINGS[name] = list(lines)


def restore_fields(
    _app: Sphinx, kind: str, name: str, _found: object, _options: object, lines: list[str], *_: Any
) -> None:
    """Undo what napoleon makes of a field's docstring, in place: it takes what stands before a colon for its type."""
    if kind in FIELDS and name in DOCSTRINGS:
        lines[:] = DOCSTRINGS[name]


def _escape(line: str) -> str:
    return MARKUP.sub(lambda found: found[1] or f"\\{found[2]}", line)


def setup(app: Sphinx) -> None:
    """Connect the above."""
    # Before napoleon, which writes markup of its own.
    app.connect("autodoc-process-docstring", escape_markup, priority=1)
    app.connect("autodoc-process-docstring", restore_fields, priority=900)
