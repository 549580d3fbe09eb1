"""Ids of sources: their order, and how they go into hashes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.source_ids import hashed_id, is_whole_number, source_id_order


@given(st.lists(st.integers(0, 2**63), unique=True))
def test_whole_numbers_are_ordered_by_number(numbers: list[int]):
    assert sorted(map(str, numbers), key=source_id_order) == list(map(str, sorted(numbers)))


def test_text_follows_by_length_and_letters_whatever_the_order_was():
    ordered = ["2", "a", "10", "a2", "a10", "557058:0a1b"]
    shuffled = random.Random(1).sample(ordered, len(ordered))
    assert sorted(shuffled, key=source_id_order) == ordered


@pytest.mark.parametrize(
    ("id_", "hashed"), [("7", 7), ("0", 0), (None, None), ("007", "007"), ("a7", "a7"), ("\u0667", "\u0667")]
)
def test_whole_numbers_are_hashed_as_numbers_and_all_else_as_it_is(id_: str | None, hashed: int | str | None):
    assert hashed_id(id_) == hashed


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_ids_never_become_one(one: str, other: str):
    assert (hashed_id(one) == hashed_id(other)) == (one == other)


@given(st.text(min_size=1))
def test_only_what_a_number_is_written_as_is_a_whole_number(text: str):
    assert not is_whole_number(text) or str(int(text)) == text
