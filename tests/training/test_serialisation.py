"""Settings as JSON and back."""

import json
from dataclasses import replace

import pytest

from beliefmatch.networks.taps import TapPair
from beliefmatch.training.serialisation import differences, from_plain, to_plain
from beliefmatch.training.transfer import Transfer
from tiny import tiny_transfer, vector_transfer


@pytest.mark.parametrize("transfer", [tiny_transfer(), vector_transfer()], ids=["digits", "zero_shot"])
def test_every_setting_survives(transfer: Transfer) -> None:
    taps = (TapPair(teacher="a", student="b"),)
    transfer = replace(transfer, objective=replace(transfer.objective, taps=taps))
    assert from_plain(json.loads(json.dumps(to_plain(transfer)))) == transfer


def test_types_are_tagged() -> None:
    plain = to_plain(tiny_transfer())
    assert (plain["type"], plain["source"]["type"]) == ("Transfer", "Adversarial")


def test_differences_are_told_field_by_field() -> None:
    old, new = tiny_transfer(), tiny_transfer(rounds=9)
    new = replace(new, source=replace(new.source, divergence="kl"))
    assert differences(to_plain(old), to_plain(new)) == [
        "source.divergence was l1, is kl now",
        "rounds was 4, is 9 now",
    ]
