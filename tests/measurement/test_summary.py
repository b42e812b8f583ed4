"""A measurement is printed as a table, and shown as one in a notebook."""

import torch
from torch import nn

from beliefmatch import InputSpec, measure_pair
from tiny import make_mlp_student, make_mlp_teacher

INPUTS = torch.randn(40, 12, generator=torch.Generator().manual_seed(0))


def test_print_shows_every_number_with_its_interval() -> None:
    teacher, student = make_mlp_teacher().eval(), make_mlp_student().eval()
    with torch.no_grad():
        labels = teacher(INPUTS).argmax(dim=1)
    measured = measure_pair(teacher, student, InputSpec(shape=(12,)), INPUTS, labels)
    lines = str(measured).splitlines()
    assert lines[0] == "40 examples"
    assert lines[1].split() == ["value", "95", "%", "interval"]
    assert lines[2].startswith("teacher accuracy, %")
    assert "100.00" in lines[2]
    share = f"{100 * measured.agreement.value:.2f}"
    (agreement,) = [line for line in lines if line.startswith("agreement, %")]
    assert agreement.split()[2] == share
    page = measured._repr_html_()
    assert page.count("<tr>") == len(lines) - 1
    assert f"<td>agreement, %</td><td>{share}</td>" in page


def test_without_labels_accuracy_is_no_number() -> None:
    network: nn.Module = make_mlp_teacher().eval()
    measured = measure_pair(network, network, InputSpec(shape=(12,)), INPUTS)
    assert "teacher accuracy" in str(measured)
    assert "no labels" in str(measured)
