"""Carrying out the events of a seed on a place, each at its time."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from signal import Signals
from typing import Any

import httpx
from sqlalchemy.exc import OperationalError

from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate import sync
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline_tests.chaos.place import SECRET, Place
from zk_pipeline_tests.chaos.schedule import Event, Kind
from zk_pipeline_tests.tools import slowness

ADMIN = Actor("cli:admin", Role.ADMIN)
SECONDS_TO_DELIVER = 2.0
SLOWEST = 3.0
"""So many times longer the events of a seed may take; an installation costs processor time for as long as it runs."""

SECONDS_BETWEEN_ACTS = 15.0
"""How often people act during an outage of minutes."""

SECONDS_BETWEEN_KILLS = 0.5
"""How often a daemon that is to stay dead is looked for."""

SECONDS_FOR_A_RUN = 3.0
"""How long a killer waits for a run to come."""


class Storm:
    """The events of one seed. `told` says what came of each; `harmed` requests met a fault, `killed` processes died."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.told: list[str] = []
        self.harmed = self.killed = 0
        self._slowness = min(slowness(), SLOWEST)
        self._acts: Mapping[Kind, Callable[..., str]] = {
            Kind.ACT: self._act,
            Kind.BOOK_NOW: self._book_now,
            Kind.DELIVER: self._deliver,
            Kind.ASK: self._ask,
            Kind.FAULT: self._fault,
            Kind.CLOCK: self._clock,
            Kind.KILL: self._kill,
            Kind.KILL_RUN: self._kill_run,
            Kind.RESTART: self._restart,
            Kind.POWER_CUT: self._cut_power,
            Kind.OWN_CLOCK: self._own_clock,
            Kind.NO_NAMES: self._no_names,
            Kind.OUTAGE: self._outage,
            Kind.LONG_OUTAGE: self._long_outage,
            Kind.NO_DAEMON: self._no_daemon,
        }

    def run(self, events: Iterable[Event]) -> None:
        """Carry out the events, and then end everything that would go on.

        On a busy machine they follow each other as much more slowly as everything else: otherwise the faults would be
        over before anything met them.
        """
        began = time.monotonic()
        for event in events:
            time.sleep(max(0.0, began + self._slowness * event.at - time.monotonic()))
            came_of_it = self._acts[event.kind](**event.detail)
            self.told.append(f"{event}: {came_of_it}" if came_of_it else str(event))
        self._clear()

    def _clear(self) -> None:
        desk, office = self._place.world.desk, self._place.world.office
        for control in (desk.control, office.control):
            self.harmed += sum(fault["hits"] for fault in control.faults())
            control.clear_faults()
            control.configure(now=None)
        self._place.set_clock(timedelta(0))
        self._place.let_names_resolve(resolve=True)

    def _act(self) -> str:
        people, state = self._place.people, self._place.world.desk.server.state
        before, known = len(people.done), {row.id for row in state.accountings}
        with self._place.turn():
            try:
                people.act()
            except (DatabaseUnavailableError, OperationalError):
                return "could not decide, the database being away"
            # Booked for another day, but just now: nobody saves anything in the past.
            for row in [row for row in state.accountings if row.id not in known]:
                state.accountings.change(row, updated_at=datetime.now(UTC))
        return " ".join(people.done[before:])

    def _book_now(self) -> str:
        people, dice = self._place.people, self._place.people.dice
        minutes, agent = dice.choice((15, 20)), dice.choice(("anna", "ben"))
        with self._place.turn():
            return f"book {people.world.desk.book(minutes, datetime.now(UTC), agent=agent)}"

    def _deliver(self) -> str:
        """What Zammad's webhook sends for a ticket; lost when nobody takes it."""
        dice = self._place.people.dice
        body = json.dumps({"ticket": {"id": dice.choice(list(self._place.world.desk.tickets.values()))}}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature": signature(SECRET, body),
            "X-Zammad-Delivery": str(uuid.UUID(int=dice.getrandbits(128))),
        }
        url = f"{self._place.up.web_url}/api/v1/webhooks/zammad"
        try:
            answer = httpx.post(
                url, content=body, headers=headers, timeout=self._slowness * SECONDS_TO_DELIVER, trust_env=False
            )
        except httpx.HTTPError as error:
            return f"lost, {type(error).__name__}"
        return f"answered {answer.status_code}"

    def _ask(self) -> str:
        """Ask for the days on which people book, as `zk sync --request` does."""
        people, runtime = self._place.people, self._place.world.environment.runtime
        try:
            asked = sync.request_days(runtime, ADMIN, people.first, people.last)
        except (DatabaseUnavailableError, OperationalError):
            return "could not, the database being away"
        return f"request {asked.id}"

    def _fault(self, *, system: str, kind: Any, **fields: Any) -> str:
        self._control(system).add_fault(kind, **fields)
        return ""

    def _clock(self, *, system: str, jump: Any) -> str:
        self._control(system).configure(now=(datetime.now(UTC) + jump).isoformat() if jump else None)
        return ""

    def _control(self, system: str) -> Any:
        world = self._place.world
        return world.desk.control if system == "zammad" else world.office.control

    def _kill(self, *, part: str) -> str:
        return self._killed(self._place.kill(part))

    def _kill_run(self) -> str:
        if not wait_until(lambda: bool(self._place.runs()), self._slowness * SECONDS_FOR_A_RUN):
            return "no run came"
        return self._killed(self._place.kill_run())

    def _killed(self, number: int) -> str:
        self.killed += number
        return f"{number} processes"

    def _restart(self, *, signal: str) -> str:
        """End the database; nobody but the installation itself starts it again."""
        try:
            self._place.end_database(Signals[signal])
        except OSError as error:
            return f"could not, {type(error).__name__}"
        return ""

    def _cut_power(self, *, again_after: float | None) -> str:
        killed = self._place.cut_power()
        self._place.start()
        if again_after is not None:
            time.sleep(self._slowness * again_after)
            killed += self._place.cut_power()
            self._place.start()
        return self._killed(killed)

    def _own_clock(self, *, jump: timedelta) -> str:
        self._place.set_clock(jump)
        return ""

    def _no_names(self, *, begins: bool) -> str:
        self._place.let_names_resolve(resolve=not begins)
        return ""

    def _outage(self, *, system: str, begins: bool) -> str:
        """A system that refuses everything; its end takes the system's other faults away, too."""
        if begins:
            self._control(system).add_fault("respond", status=503, times=1_000_000)
        else:
            self.harmed += sum(fault["hits"] for fault in self._control(system).faults())
            self._control(system).clear_faults()
        return ""

    def _long_outage(self, *, system: str, lasts: float) -> str:
        """Minutes of an outage during which people go on, and the events that were to follow wait."""
        self._outage(system=system, begins=True)
        done = self._pass_minutes(lasts, lambda: None, SECONDS_BETWEEN_ACTS)
        self._outage(system=system, begins=False)
        return done

    def _no_daemon(self, *, lasts: float) -> str:
        """Minutes without a daemon: whenever it is started again, it dies."""
        killed = self.killed
        done = self._pass_minutes(lasts, lambda: self._kill(part="processes.daemon"), SECONDS_BETWEEN_KILLS)
        return f"{self.killed - killed} processes, {done}"

    def _pass_minutes(self, seconds: float, each_time: Callable[[], object], pause: float) -> str:
        """Pass time while people act; what they did."""
        done: list[str] = []
        ends_at, acts_at = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < ends_at:
            each_time()
            if now >= acts_at:
                acts_at = now + SECONDS_BETWEEN_ACTS
                done.append(self._act())
            time.sleep(pause)
        return ", ".join(done)
