"""Reading a line of metrics.jsonl."""

from dataclasses import MISSING, fields
from typing import Any

from beliefmatch.runs.reading import hints_of, load_json, parse
from beliefmatch.runs.schema.row import LoggedRow, Row


def parse_row(line: bytes, where: str) -> Row:
    """Read a line of metrics.jsonl, and check that it holds the fields of `LoggedRow` and numbers besides them."""
    content = parse(load_json(line, where), dict[str, Any], file=where)
    absent = {field.name: field.default for field in fields(LoggedRow) if field.default is not MISSING}
    known = {name: value for name, value in content.items() if name in hints_of(LoggedRow)}
    parse(absent | known, LoggedRow, file=where)
    parse({name: value for name, value in content.items() if name not in known}, dict[str, float], file=where)
    return content
