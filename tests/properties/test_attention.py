"""Properties of attention maps."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beliefmatch.functional.attention import attention_distance, attention_map

shapes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))


@given(shape=shapes, seed=st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_a_map_has_norm_one_and_no_negative_entry(shape: tuple[int, ...], seed: int) -> None:
    found = attention_map(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
    assert found.shape == (shape[0], shape[2] * shape[3])
    assert (found >= 0).all()
    torch.testing.assert_close(found.norm(dim=1), torch.ones(shape[0]))


@given(shape=shapes, seed=st.integers(0, 999), scale=st.floats(0.1, 50))
@settings(max_examples=50, deadline=None)
def test_scale_and_order_of_channels_do_not_matter(shape: tuple[int, ...], seed: int, scale: float) -> None:
    activation = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()
    other = scale * activation.flip(1)
    torch.testing.assert_close(attention_map(activation), attention_map(other))
    assert attention_distance(attention_map(activation), attention_map(other)).abs().max() < 1e-12


@given(shape=shapes, seed=st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_distance_is_symmetric_bounded_and_one_value_per_example(shape: tuple[int, ...], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    first = torch.randn(shape, generator=random)
    second = torch.randn((shape[0], shape[1] + 2, *shape[2:]), generator=random)
    first, second = attention_map(first), attention_map(second)
    distance = attention_distance(first, second)
    assert distance.shape == shape[:1]
    torch.testing.assert_close(distance, attention_distance(second, first))
    assert (distance <= 2 / (shape[2] * shape[3]) + 1e-6).all()
