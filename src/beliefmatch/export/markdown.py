"""Texts of a user's files in Markdown: shown as they are, and never taken for markup, HTML or links."""

import html
import re

SPECIAL = re.compile(r"([\\`*\[\]|~])")
EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore that may begin or end emphasis: one within a word does neither."""
LINKS = (("://", "&#58;//"), ("www.", "www&#46;"))
"""What some renderers make a link of, and what is shown alike."""


def code(text: str) -> str:
    """Return a text as a code span, whatever backticks are in it."""
    shown = _on_one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    edge = " " if not shown or "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def escape(text: str) -> str:
    """Return a text in which nothing is markup, HTML or a link."""
    shown = html.escape(_on_one_line(text), quote=False)
    for link, instead in LINKS:
        shown = shown.replace(link, instead)
    return EDGE.sub(r"\\_", SPECIAL.sub(r"\\\1", shown))


def _on_one_line(text: str) -> str:
    """Return a text without line breaks and without what is not shown, such as terminal escapes."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
