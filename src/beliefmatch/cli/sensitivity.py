"""The tables of `inspect --prune`: what a network loses with each group of channels and with each block."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beliefmatch.runs.schema.sensitivity import Sensitivity


def print_sensitivity(sensitivity: "Sensitivity") -> None:
    """Print a table of groups and one of blocks, and what to type."""
    from beliefmatch.cli.output import open_table, print_table
    from beliefmatch.cli.printing import print_text

    compared = sensitivity.num_compared
    print_text(f"agreement with itself on {compared} pseudo inputs, in per cent, when one group loses channels:")
    table = open_table()
    table.add_column("channels of")
    for heading in (
        "channels",
        "MACs of half",
        *(f"without {100 * fraction:.0f} %" for fraction in sensitivity.fractions),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in sensitivity.groups:
        agreements = (f"{100 * each:.1f}" for each in group.agreements)
        table.add_row(group.name, f"{group.channels}", f"{100 * group.macs_fraction:.1f} %", *agreements)
    print_table(table)
    line = "--student thin:0.5 keeps half of the MACs in fewer channels"
    if sensitivity.blocks:
        table = open_table()
        table.add_column("block")
        for heading in ("MACs", "without it"):
            table.add_column(heading, justify="right", no_wrap=True)
        for block in sensitivity.blocks:
            table.add_row(block.name, f"{100 * block.macs_fraction:.1f} %", f"{100 * block.agreement:.1f}")
        print_table(table)
        line += ", --student shallow:0.7 drops blocks"
    print_text(f"{line}; training recovers much of what is lost")
