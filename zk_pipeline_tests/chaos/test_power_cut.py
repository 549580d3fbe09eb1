"""The power is cut in the middle of a run, and again at each step of the start after it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.chaos.oracle import differences
from zk_pipeline_tests.chaos.place import SECONDS_TO_START, open_place
from zk_pipeline_tests.tools import slowness

BOOKINGS, WRITTEN = 60, 16
SECONDS_TO_CATCH_UP = 120
STEPS = ("ok  database", "ok  web app", "ok  code server", "ok  daemon")
"""What a start prints, one after the other; at the next step it is ready."""


@pytest.mark.timeout(1200)
def test_what_a_power_cut_interrupts_is_done_by_itself_afterwards(tmp_path: Path) -> None:
    with open_place(tmp_path) as place:
        desk, office = place.world.desk, place.world.office
        office.control.add_fault("delay", method="POST", path="/api/timesheets$", seconds=0.3, times=10 * BOOKINGS)
        with place.turn():
            booked = {desk.book(5, datetime.now(UTC)) for _ in range(BOOKINGS)}
        assert wait_until(lambda: len(office.rows) >= WRITTEN, SECONDS_TO_CATCH_UP * slowness())
        assert place.cut_power() > len(STEPS)
        assert WRITTEN <= len(office.rows) < BOOKINGS
        for step in STEPS:
            place.start().wait_for(step, SECONDS_TO_START)
            place.cut_power()

        place.start().wait_for("Press Ctrl-C", SECONDS_TO_START)
        assert wait_until(lambda: set(office.minutes()) >= booked, SECONDS_TO_CATCH_UP * slowness()), office.minutes()
        assert {booking: office.minutes()[booking] for booking in booked} == {booking: [5] for booking in booked}
        assert differences(place) == []
