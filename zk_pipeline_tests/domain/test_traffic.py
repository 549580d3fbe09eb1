"""Requests in classes of seconds."""

import pytest

from zk_pipeline.domain.requests import BOUNDS, NOTHING, merged_traffic, tally_of


@pytest.mark.parametrize(("seconds", "place"), [(0.0, 0), (0.05, 0), (0.051, 1), (30.0, 8), (31.0, 9)])
def test_a_request_counts_in_the_first_class_that_reaches_so_far(seconds: float, place: int) -> None:
    counts = tally_of(seconds).counts
    assert (len(counts), sum(counts), counts[place]) == (len(BOUNDS) + 1, 1, 1)


def test_traffic_adds_up_by_kind_and_status() -> None:
    reads, writes = {("read", "200"): tally_of(0.25)}, {("write", "none"): tally_of(60)}
    total = merged_traffic([reads, writes, reads])
    assert total["read", "200"] == tally_of(0.25) + tally_of(0.25)
    assert total["read", "200"].seconds == 0.5
    assert total["write", "none"] + NOTHING == tally_of(60)
