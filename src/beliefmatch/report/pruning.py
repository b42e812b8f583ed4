"""What a student lost that was made from its teacher."""

from beliefmatch.report.elements import Cell, Part, Table, number_cell, text_cell
from beliefmatch.runs.schema.plan import PruningPlan


def pruning_parts(plan: PruningPlan | None) -> tuple[Part, ...]:
    """Return a table of the layers that lost channels, and the blocks that were left out, as far as there are any."""
    if plan is None:
        return ()
    parts = ()
    if plan.dropped:
        parts += (Part(title="Blocks that are left out", text=f"In this order: {', '.join(plan.dropped)}."),)
    if plan.layers:
        rows = tuple(
            (
                text_cell(layer.name),
                *_cells(layer.outputs, layer.num_outputs),
                *_cells(layer.inputs, layer.num_inputs),
            )
            for layer in plan.layers
        )
        table = Table(
            caption="Channels that each layer keeps",
            columns=("layer", "outputs kept", "of", "inputs kept", "of"),
            rows=rows,
            sortable=True,
        )
        parts += (Part(title="Layers that lost channels", tables=(table,), folded="which channels each layer keeps"),)
    return parts


def _cells(kept: tuple[int, ...] | None, size: int | None) -> tuple[Cell, Cell]:
    return (
        number_cell("exact", size if kept is None else len(kept), missing="as outputs"),
        number_cell("exact", size),
    )
