"""A page as its tags, attributes and words."""

from html.parser import HTMLParser
from pathlib import Path

from beliefmatch.report.page import write_report

VOID = {"meta", "link", "img", "source", "br"}


class Page(HTMLParser):
    """Tags with their attributes, headings and texts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.html = path.read_text()
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script", "svg"}.intersection(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\N{NBSP}", " ").split())

    def attributes(self, tag: str, name: str) -> list[str]:
        return [value for found, attributes in self.tags if found == tag and (value := attributes.get(name))]

    @property
    def alternatives(self) -> list[str]:
        """What stands for each figure where it is not seen."""
        labelled = [attributes for _, attributes in self.tags if attributes.get("role") == "img"]
        return [*self.attributes("img", "alt"), *(str(attributes["aria-label"]) for attributes in labelled)]


def build(*folders: Path) -> Page:
    return Page(write_report(folders, out=folders[0] / "report.html"))
