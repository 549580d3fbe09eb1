"""Seeds of the fault matrix, five quick ones and those that once failed; and whether its judge sees anything."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from zk_pipeline_tests.chaos.oracle import wrong_state
from zk_pipeline_tests.chaos.place import Place, open_place
from zk_pipeline_tests.chaos.schedule import PARTS, Kind, drawn
from zk_pipeline_tests.chaos.seeds import failing, judged, orphans

SEEDS = (1, 2, 3, 4, 12)
SECONDS = 10.0
SEEDS_OF_A_PLACE = 5
"""A part that dies more than five times within ten minutes, `zk up` gives up."""


class Places:
    """One place after the other, each for some seeds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)
        self._opened = ExitStack()
        self._place: Place | None = None

    def for_a_seed(self) -> Place:
        """The present place, or a new one when that has served its seeds."""
        if self._place is not None and self._place.seeds == SEEDS_OF_A_PLACE:
            self.close()
        return self.present()

    def present(self) -> Place:
        """The present place, opened if there is none."""
        if self._place is None:
            home = self._directory / str(next(self._numbers))
            home.mkdir()
            self._opened.callback(_expect_nothing_left, home)
            self._place = self._opened.enter_context(open_place(home))
        return self._place

    def close(self) -> None:
        """Stop the present place, and see that nothing outlives it."""
        self._place = None
        self._opened.close()


def _expect_nothing_left(home: Path) -> None:
    assert orphans(home) == []


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    places = Places(tmp_path_factory.mktemp("places"))
    yield places
    places.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "seconds"), [*((seed, SECONDS) for seed in SEEDS), *failing()])
def test_whatever_fails_kimai_agrees_in_the_end_or_somebody_is_asked(places: Places, seed: int, seconds: float) -> None:
    verdict = judged(places.for_a_seed(), seed, seconds)
    assert not verdict.differences, "\n".join([*verdict.events, "", *verdict.differences, "", *verdict.stories])


def test_a_seed_always_draws_the_same_events() -> None:
    assert drawn(7, 60) == drawn(7, 60) != drawn(8, 60)


def test_no_part_is_killed_twice_in_a_seed() -> None:
    for seed in range(100):
        killed = [event.detail["part"] for event in drawn(seed, 60) if event.kind is Kind.KILL]
        assert len(set(killed)) == len(killed)


def test_the_quick_seeds_kill_every_part_and_do_everything_else_too() -> None:
    events = [event for seed in SEEDS for event in drawn(seed, SECONDS)]
    assert {event.kind for event in events} == set(Kind)
    assert {event.detail["part"] for event in events if event.kind is Kind.KILL} == set(PARTS)


def test_the_judge_sees_every_field_that_is_wrong_and_doubled_minutes(places: Places) -> None:
    place = places.present()
    desk = place.world.desk
    organization = desk.server.add_organization("Initech")
    person = desk.server.add_user("office@initech.example", organization_id=organization)
    desk.tickets["quiet"] = desk.server.add_ticket("Of nobody else", customer_id=person, organization_id=organization)
    booking = desk.book(60, ticket="quiet")
    for _ in range(2):
        place.world.sync()
    assert str(booking) not in {difference.reference for difference in wrong_state(place)}
    office = place.world.office
    row = office.sheet(booking)
    held = "60.0 min of anna for Initech (Consulting) at 2025-10-06 09:00"
    for changed, told in (
        ({"duration": row.duration - 300}, held.replace("60.0", "55.0")),
        ({"user": office.users["ben"]}, held.replace("anna", "ben")),
        ({"project": office.other_project}, held.replace("Initech", "Ourselves")),
        ({"activity": office.server.add_activity("Travel")}, held.replace("Consulting", "Travel")),
        ({"begin": row.begin + 86400}, held.replace("-06", "-07")),
    ):
        office.change(row, **changed)
        assert sentence_about(place, booking) == f"Booking {booking} is {held} in Zammad and {told} in Kimai."
    office.change(row, id=row.id + 1000)
    assert sentence_about(place, booking) == f"Booking {booking} has 2 time sheets."


def sentence_about(place: Place, booking: int) -> str:
    """The first thing that is said to be wrong with a booking."""
    return next(found.sentence for found in wrong_state(place) if found.reference == str(booking))
