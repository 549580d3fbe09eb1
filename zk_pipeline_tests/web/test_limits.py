"""Rate and memory limits, on a clock of our own."""

import pytest

from zk_pipeline.web.limits import BodyBudget, FullError, RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_address_may_send_its_rate_at_once_and_then_waits(clock: Clock):
    limit = RateLimit(3, clock=clock)
    assert [limit.take("10.0.0.1") for _ in range(4)] == [0, 0, 0, 1]


def test_a_rested_address_may_send_again_what_has_come_back(clock: Clock):
    limit = RateLimit(4, clock=clock)
    assert [limit.take("10.0.0.1") for _ in range(5)][-1] == 1
    clock.now += 0.5
    assert [limit.take("10.0.0.1") for _ in range(3)] == [0, 0, 1]


def test_rest_adds_up_to_one_second_and_no_more(clock: Clock):
    limit = RateLimit(2, clock=clock)
    limit.take("10.0.0.1")
    clock.now += 3600
    assert [limit.take("10.0.0.1") for _ in range(3)] == [0, 0, 1]


def test_addresses_do_not_share_their_limit(clock: Clock):
    limit = RateLimit(1, clock=clock)
    assert [limit.take("10.0.0.1"), limit.take("10.0.0.2"), limit.take("10.0.0.1")] == [0, 0, 1]


def test_the_addresses_of_one_ipv6_network_share_their_limit(clock: Clock):
    limit = RateLimit(1, clock=clock)
    assert [limit.take("2001:db8::1"), limit.take("2001:db8::ffff"), limit.take("2001:db8:0:1::1")] == [0, 1, 0]


def test_only_so_many_addresses_are_remembered(clock: Clock):
    limit = RateLimit(1, most=2, clock=clock)
    assert [limit.take(f"10.0.0.{n}") for n in (1, 2, 3)] == [0, 0, 0]
    assert limit.take("10.0.0.3") == 1
    assert limit.take("10.0.0.1") == 0


def test_bodies_share_the_memory_and_give_it_back():
    memory = BodyBudget(100)
    with memory.share() as first, memory.share() as second:
        first.grow(60)
        second.grow(40)
        with pytest.raises(FullError):
            second.grow(1)
    with memory.share() as third:
        third.grow(100)
    assert third.taken == 100
