"""The table of `compress --student auto`: all that was tried, with what was measured."""

from typing import TYPE_CHECKING

from beliefmatch.cli.output import open_table, print_table
from beliefmatch.cli.printing import print_text

if TYPE_CHECKING:
    from beliefmatch.runs.schema.candidates import Candidate, Candidates


def print_candidates(found: "Candidates") -> None:
    """Print one row a candidate, the network itself first, and what is trained."""
    from beliefmatch.studies.auto_compress import describe_target

    first = found.candidates[0]
    print_text(
        f"tried for {describe_target(found.target)}; latency of one example in {found.runtime} on this machine with "
        f"{found.threads} threads:"
    )
    table = open_table(collapse_padding=True)
    table.add_column("student", overflow="fold")
    headings = ("bits", "MACs", "parameters", "size", "ms", "speedup", "meets")
    was_trained = any(each.agreement is not None for each in found.candidates)
    for heading in (*headings, *(("agreement",) if was_trained else ())):
        table.add_column(heading, justify="right")
    for number, each in enumerate(found.candidates):
        style = "bold" if number == (found.order[:1] or (None,))[0] or number == found.chosen else None
        agreement = "-" if each.agreement is None else f"{100 * each.agreement:.1f} %"
        cells = (each.student or "itself", *_cells(each, first), *((agreement,) if was_trained else ()))
        table.add_row(*cells, style=style)
    print_table(table)


def _cells(each: "Candidate", first: "Candidate") -> tuple[str, ...]:
    from beliefmatch.cli.tables import short
    from beliefmatch.number_texts import three_digits

    return (
        "8" if each.in_8_bits else "32",
        short(each.macs),
        short(each.parameters),
        f"{each.bytes / first.bytes:.2f}",
        three_digits(1e3 * each.latency),
        f"{first.latency / each.latency:.2f}",
        "" if each is first else "yes" if each.meets else "no",
    )
