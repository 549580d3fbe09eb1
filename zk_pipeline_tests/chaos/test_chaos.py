"""Seeds of the fault matrix, twenty quick ones and those that once failed; and whether its judge sees anything."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

import pytest

from zk_pipeline_tests.chaos import place as places
from zk_pipeline_tests.chaos.oracle import wrong_state
from zk_pipeline_tests.chaos.place import Place, furnished_place
from zk_pipeline_tests.chaos.schedule import FAULTS, LONG_OUTAGES, PARTS, Kind, drawn
from zk_pipeline_tests.chaos.seeds import Seed, Verdict, failing, judged_on_one_place, processes

SECONDS = 4.0

QUICK = (*range(1, 10), *range(11, 16), 17, 18, 19, 21, 44, 48)
"""Twenty that meet every fault together and cut the power in two seeds only: a cut costs a start, which takes more
processor time than two seeds. With forty seconds, as `make chaos` has them, most of its twenty do."""

TAKES_MINUTES = {Kind.LONG_OUTAGE, Kind.NO_DAEMON}
SEEDS = list(dict.fromkeys([*(Seed(number, SECONDS) for number in QUICK), *failing()]))
PLACES_AT_ONCE = 2
SEEDS_OF_A_PLACE = 11
"""A start costs more than a seed."""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[Seed, Future[list[Verdict]]]]:
    """What will have come of each place, by its seeds. They mostly wait, so that several are run at once."""
    number = ceil(len(SEEDS) / SEEDS_OF_A_PLACE)
    served = [SEEDS[first::number] for first in range(number)]
    with processes(PLACES_AT_ONCE) as pool:
        homes = [tmp_path_factory.mktemp("place") for _ in served]
        futures = [pool.submit(judged_on_one_place, *place) for place in zip(homes, served, strict=True)]
        yield {seed: future for seeds, future in zip(served, futures, strict=True) for seed in seeds}


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.number}-{seed.seconds:g}")
def test_whatever_fails_kimai_agrees_in_the_end_or_somebody_is_asked(
    verdicts: Mapping[Seed, Future[list[Verdict]]], seed: Seed
) -> None:
    (verdict,) = [verdict for verdict in verdicts[seed].result() if verdict.seed == seed]
    assert not verdict.differences, "\n".join([*verdict.events, "", *verdict.differences, "", *verdict.stories])


def test_a_seed_always_draws_the_same_events() -> None:
    assert drawn(7, 60) == drawn(7, 60) != drawn(8, 60)


def test_the_command_begins_no_seed_after_its_time() -> None:
    command = [sys.executable, "-m", "zk_pipeline_tests.chaos", "--seeds", "2", "--at-once", "2", "--minutes", "1e-9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "There was no time for any seed.\n0 seeds, 0 of them failed.\n"


def test_no_part_is_killed_twice_in_a_seed() -> None:
    for seed in range(100):
        killed = [event.detail["part"] for event in drawn(seed, 60) if event.kind is Kind.KILL]
        assert len(set(killed)) == len(killed)


def test_the_seeds_kill_every_part_meet_every_fault_and_do_everything_else_too() -> None:
    events = [event for number in QUICK for event in drawn(number, SECONDS)]
    assert {event.kind for event in events} == set(Kind) - TAKES_MINUTES
    assert {event.detail["part"] for event in events if event.kind is Kind.KILL} == set(PARTS)
    met = [event.detail for event in events if event.kind is Kind.FAULT]
    assert [fault for system, fault in FAULTS if {"system": system, **fault} not in met] == []
    for kind, detail, values in (
        (Kind.OUTAGE, "system", {"zammad", "kimai"}),
        (Kind.RESTART, "signal", {"SIGINT", "SIGQUIT", "SIGKILL"}),
        (Kind.OWN_CLOCK, "jump", {timedelta(hours=hours) for hours in (-24, -1, 0, 1, 24)}),
    ):
        assert {event.detail[detail] for event in events if event.kind is kind} == values
    again = {event.detail["again_after"] is None for event in events if event.kind is Kind.POWER_CUT}
    assert again == {True, False}


def test_two_hundred_seeds_have_minutes_without_each_system_and_without_the_daemon() -> None:
    events = [event for seed in range(1, 201) for event in drawn(seed, SECONDS) if event.kind in TAKES_MINUTES]
    assert {event.detail.get("system", "daemon"): event.detail["lasts"] for event in events} == LONG_OUTAGES


@pytest.mark.skipif(shutil.which("cc") is None, reason="the library that sets the clock takes a C compiler")
def test_the_clock_of_postgresql_jumps_and_is_right_again(tmp_path: Path) -> None:
    with furnished_place(tmp_path) as place:
        for jump in (timedelta(hours=1), timedelta(days=-1), timedelta(0)):
            place.set_clock(jump)
            ((now,),) = place.rows("SELECT clock_timestamp()")
            assert abs(now - datetime.now(UTC) - jump) < timedelta(seconds=30)


def test_without_a_compiler_the_clock_stays_and_nothing_else_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_clock_library", lambda: None)
    with furnished_place(tmp_path) as place:
        place.set_clock(timedelta(hours=1))
        ((now,),) = place.rows("SELECT clock_timestamp()")
        assert abs(now - datetime.now(UTC)) < timedelta(seconds=30)


def test_the_judge_sees_every_field_that_is_wrong_and_doubled_minutes(tmp_path: Path) -> None:
    with furnished_place(tmp_path) as place:
        expect_each_wrong_field_to_be_told(place)


def expect_each_wrong_field_to_be_told(place: Place) -> None:
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
