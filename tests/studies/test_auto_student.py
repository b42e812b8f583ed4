"""Students for a target: what is tried, what is measured of it, and which one is trained first."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from beliefmatch.errors import ExportError, NetworkError, SettingsError
from beliefmatch.export import onnx
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.pruning.channel_groups import find_groups
from beliefmatch.networks.teacher import Teacher
from beliefmatch.runs.schema.candidates import Candidate, Target
from beliefmatch.students import pruned
from beliefmatch.students.named import NamedStudent
from beliefmatch.students.pruned import plan_students
from beliefmatch.studies import auto_student
from beliefmatch.studies.auto_student import Proposal, check_target, list_proposals, measure_proposals, order_candidates
from networks_to_prune import make, spec_of
from tiny import make_conv_teacher

SPEC = InputSpec(shape=(1, 8, 8))


@pytest.fixture
def teacher() -> Teacher:
    return Teacher(make_conv_teacher(), SPEC)


def named(proposals: list[Proposal]) -> list[str | None]:
    return [each.name for each in proposals]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target(), "give speedup, such as 2, size, such as 0.25, or macs, such as 0.5"),
        *((Target(speedup=value), "speedup must be above 1") for value in (1, 0.5, -2, float("nan"), float("inf"))),
        *((Target(size=value), "size must be above 0 and below 1") for value in (0, 1, float("nan"))),
        *((Target(macs=value), "macs must be above 0 and below 1") for value in (-1, 2)),
    ],
)
def test_targets_that_cannot_be_are_one_line(target: Target, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        check_target(target)
    assert "\n" not in str(caught.value)


LADDER = ("thin:0.7", "thin:0.5", "thin:0.35", "thin:0.25", "thin:0.175")


@pytest.mark.parametrize(
    ("target", "names", "part"),
    [
        (Target(macs=0.6), ("thin:0.6", "shallow:0.6"), 0.6),
        (Target(size=0.6), ("thin:parameters=0.6", "shallow:0.6"), 0.6),
        (Target(speedup=2), (*LADDER, "shallow:0.5", "shallow:0.35"), 0.5),
        (Target(speedup=2, size=0.9), (*LADDER, "shallow:0.5", "shallow:0.35"), 0.5),
    ],
)
def test_what_is_tried_follows_from_the_target(target: Target, names: tuple[str, ...], part: float) -> None:
    """The network itself, then pruned ones, the largest first, then those of a name that are small enough."""
    teacher = Teacher(make("wide_resnet_16_1"), spec_of("wide_resnet_16_1"))
    first, *others = list_proposals("wide_resnet_16_1", teacher, target)
    pruned, others = others[: len(names)], others[len(names) :]
    assert (first.name, named(pruned)) == (None, list(names))
    assert 1 <= len(others) <= auto_student.MOST_NAMED
    for each in others:
        assert isinstance(each.student, NamedStudent)
        quantity = "parameters" if target == Target(size=0.6) else "macs"
        assert getattr(each.cost, quantity) <= part * getattr(first.cost, quantity)


def test_groups_are_found_once_and_what_cannot_be_reached_is_left_out(
    teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[nn.Module] = []

    def count(network: nn.Module, spec: InputSpec) -> Any:
        calls.append(network)
        return find_groups(network, spec)

    monkeypatch.setattr(pruned, "find_groups", count)
    monkeypatch.setattr("beliefmatch.networks.pruning.thinning.find_groups", count)
    students = plan_students(["thin:0.7", "thin:0.5", "thin:0.001", "shallow:0.5"], teacher)
    assert [each.architecture for each in students] == ["thin:0.7", "thin:0.5"]
    assert len(calls) == 1
    assert [each.build(teacher)[0].out_channels for each in students] == [5, 4]  # pyright: ignore
    assert len(calls) == 1


def test_a_network_that_cannot_be_traced_is_traced_once(
    teacher: Teacher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[object] = []

    def fail(*arguments: object) -> None:
        calls.append(arguments)
        raise NetworkError("it cannot be traced")

    monkeypatch.setattr(pruned, "find_groups", fail)
    with caplog.at_level(logging.INFO):
        assert plan_students(["thin:0.7", "thin:0.5"], teacher) == []
    assert len(calls) == 1
    assert caplog.messages == ["not tried: thin:0.7, thin:0.5, since it cannot be traced"]


def test_students_of_one_plan_are_tried_once(teacher: Teacher) -> None:
    found = named(list_proposals("convnet_8", teacher, Target(speedup=1.5, macs=0.6)))
    assert len(set(found)) == len(found)
    first, second = plan_students(["thin:0.7", "thin:0.69"], teacher)
    assert first.plan == second.plan
    proposals = [
        Proposal(student=each, network=teacher.module, cost=list_proposals("a", teacher, Target(macs=0.6))[0].cost)
        for each in (None, first, second)
    ]
    assert named(auto_student._without_twins(proposals)) == [None, "thin:0.7"]  # pyright: ignore


@pytest.fixture
def proposals(teacher: Teacher) -> list[Proposal]:
    return list_proposals("none", teacher, Target(macs=0.5))[:2]


def test_all_are_measured_in_onnxruntime_in_32_bits_and_in_8(proposals: list[Proposal]) -> None:
    runtime, found = measure_proposals(proposals, SPEC, Target(size=0.9, macs=0.5))
    assert runtime == "onnxruntime"
    assert [(each.student, each.in_8_bits) for each in found] == [
        (None, False),
        (None, True),
        ("thin:0.5", False),
        ("thin:0.5", True),
    ]
    assert all(each.latency > 0 < each.bytes for each in found)
    assert [each.macs for each in found] == [proposals[0].cost.macs] * 2 + [proposals[1].cost.macs] * 2
    assert [each.meets for each in found][:2] == [False, False]
    for each in found[2:]:
        assert each.meets is (each.bytes <= 0.9 * found[0].bytes)


def test_8_bits_are_left_out_where_they_cannot_help(proposals: list[Proposal]) -> None:
    _, found = measure_proposals(proposals, SPEC, Target(macs=0.5))
    assert [(each.in_8_bits, each.meets) for each in found] == [(False, False), (False, True)]


def test_torch_measures_where_no_onnx_file_can_be_written(
    proposals: list[Proposal], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise ExportError("it cannot be traced")

    monkeypatch.setattr(onnx, "write", fail)
    monkeypatch.setattr(auto_student, "measure_latency", lambda *_, num_timed: [1.0, 2.0 / num_timed])
    runtime, found = measure_proposals(proposals, SPEC, Target(speedup=2))
    assert runtime == "torch"
    assert [(each.in_8_bits, each.bytes, each.meets) for each in found] == [
        (False, proposals[0].cost.bytes, False),
        (False, proposals[1].cost.bytes, True),
    ]


USUAL = Candidate(student="thin:0.5", in_8_bits=False, macs=50, parameters=5, bytes=5, latency=1.0, meets=True)


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        # More multiply-accumulates first.
        ([{"macs": 40}, {"student": "shallow:0.5"}], (1, 0)),
        # In 32 bits where that is enough, and the same in 8 bits not at all.
        ([{"in_8_bits": True}, {}], (1,)),
        ([{"in_8_bits": True}, {"meets": False}], (0,)),
        # The network itself in 8 bits needs no training.
        ([{}, {"student": None, "in_8_bits": True, "macs": 100}], (1, 0)),
        # Another way to make a student before a second of the same.
        ([{}, {"student": "thin:0.4", "macs": 40}, {"student": "convnet_8", "macs": 30}], (0, 2, 1)),
        (
            [{"student": "convnet_9"}, {"student": "convnet_8", "macs": 30}, {"student": "thin:0.1", "macs": 9}],
            (0, 2, 1),
        ),
        ([{"meets": False}], ()),
    ],
)
def test_the_order_of_training(changes: list[dict[str, Any]], order: tuple[int, ...]) -> None:
    assert order_candidates([replace(USUAL, **each) for each in changes]) == order


def test_where_nothing_so_small_can_be_made_the_smallest_is_tried_to_tell_what_comes_nearest(teacher: Teacher) -> None:
    found = named(list_proposals("mine", teacher, Target(speedup=2000)))
    assert found[1] == "thin:0.2"
