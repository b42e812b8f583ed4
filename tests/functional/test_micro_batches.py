"""Batches in parts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beliefmatch.functional.micro_batches import parts_of, smallest_part


@given(st.integers(1, 200), st.integers(1, 250) | st.none())
def test_parts_are_few_even_and_in_order(num_examples: int, most: int | None) -> None:
    batch = torch.arange(num_examples)
    parts = parts_of(batch, most)
    sizes = [len(part) for part in parts]
    assert torch.equal(torch.cat(parts), batch)
    assert max(sizes) <= (most or num_examples)
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-num_examples // (most or num_examples))
    assert min(sizes) == smallest_part(num_examples, most)


@pytest.mark.parametrize("most", [None, 3])
def test_a_batch_of_nothing_is_one_part(most: int | None) -> None:
    assert [len(part) for part in parts_of(torch.empty(0, 2), most)] == [0]
