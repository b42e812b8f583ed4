"""Texts in Markdown: what a reader sees is the text, whatever is in it."""

import pytest
from markdown_it import MarkdownIt

from beliefmatch.export.markdown import code, escape
from hostile_texts import KINDS, TEXTS

RENDERER = MarkdownIt("commonmark").enable("table")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.onnx", "`a.onnx`"),
        ("a`b", "``a`b``"),
        ("`a``b", "``` `a``b ```"),
        ("", "`  `"),
        ("a\nb\x1b[31m", "`a b [31m`"),
    ],
)
def test_a_code_span_is_longer_than_any_backticks_in_it(text: str, shown: str) -> None:
    assert code(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("test.npz", "test.npz"),
        ("wide_resnet_16_1", "wide_resnet_16_1"),
        ("_a_ __b", r"\_a\_ \_\_b"),
        ("a|b*c`d`[e]\\", r"a\|b\*c\`d\`\[e\]" + "\\\\"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("http://a www.b.c", "http&#58;//a www&#46;b.c"),
    ],
)
def test_what_might_be_markup_is_escaped(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", [code, escape])
def test_a_renderer_shows_the_text(kind: str, write: object) -> None:
    assert callable(write)
    (_, inline, _) = RENDERER.parse(f"x {write(TEXTS[kind])} y")
    assert {token.type for token in inline.children or ()} <= {"text", "code_inline"}
    shown = "".join(token.content for token in inline.children or ())
    printed = "".join(letter if letter.isprintable() else " " for letter in TEXTS[kind])
    assert shown.split() == ["x", *printed.split(), "y"]
