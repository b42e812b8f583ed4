"""Which layers of a student compute with few bits."""

from beliefmatch.report.elements import Part, Table, number_cell, text_cell
from beliefmatch.runs.schema.quantization_plan import QuantizationPlan


def quantization_parts(plan: QuantizationPlan | None) -> tuple[Part, ...]:
    """Return a word on what is simulated, and a table of the layers in few bits; nothing where there are none."""
    if plan is None:
        return ()
    rows = tuple(
        (
            text_cell(layer.name),
            number_cell("exact", layer.weight_bits),
            number_cell("exact", layer.activation_bits),
            number_cell("exact", -layer.lowest),
        )
        for layer in plan.layers
    )
    table = Table(
        caption="Bits of each layer",
        columns=("layer", "bits of weights", "bits of what it gets", "levels below 0"),
        rows=rows,
        sortable=True,
    )
    text = (
        "The bits are simulated: layers round their weights and what they get, and compute in 32 bits. The student's "
        "size is what the bits would take, and its latency that of the simulation."
    )
    return (
        Part(title="Simulated bits", text=text),
        Part(title="Bits of each layer", tables=(table,), folded="how many bits each layer has"),
    )
