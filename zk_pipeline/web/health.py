"""Whether the web app can do its work, and how the systems around it are: asked often, so that it must cost little."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from zk_pipeline.dagster_server import DagsterServer, DagsterServerError
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import refusals, vitals
from zk_pipeline.web.outages import OUTAGES, told
from zk_pipeline.web.remembered import Remembered

PATH = "/api/health"
SECONDS_TO_ANSWER = 2.0
SECONDS_VALID = 1.0
SECONDS_BETWEEN_LOOKS = 15.0

OVERDUE = timedelta(hours=8)
"""A catch-up every 6 hours, and 2 for it to finish."""

SYSTEMS = {"zammad": "source", "kimai": "target"}

_log = logging.getLogger(__name__)


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    STALE = "stale"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Part:
    """How one part was at its last sign of life. The text is for everybody: it holds no address and no version."""

    state: State
    at: datetime | None = None
    text: str = ""

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The part with the age of its last sign of life, in seconds, null when there was none."""
        age = None if self.at is None else max(0.0, round((now - self.at).total_seconds(), 1))
        return {"status": self.state, "age_seconds": age, "text": self.text}


UNKNOWN = Part(State.UNKNOWN, text="It was not asked yet.")


class Health:
    """Asks the database at most once a second, and never twice at a time, however many want to know.

    Dagster and our records of both systems are asked in the background; only the database makes it unavailable.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._probe: asyncio.Task[bool] | None = None
        self._asked_at = 0.0
        dagster = DagsterServer(runtime.settings.dagster_server)
        self._dagster = Remembered(lambda: daemons(dagster), UNKNOWN, SECONDS_BETWEEN_LOOKS)
        self._systems = Remembered(lambda: last_reads(runtime), dict.fromkeys(SYSTEMS, UNKNOWN), SECONDS_BETWEEN_LOOKS)
        self.router = APIRouter(tags=["health"])
        self.router.add_api_route(PATH, self.show, summary="How everything is")
        self.router.add_api_route(PATH, self.show, methods=["HEAD"], include_in_schema=False)

    async def show(self) -> JSONResponse:
        """200 when the database answers, 503 when it does not; the other parts tell of themselves only."""
        works = await self._answers()
        state = State.OK if works else State.UNAVAILABLE
        now = datetime.now(UTC)
        parts = {"database": Part(state, now if works else None), "dagster": self._dagster.value()}
        if works:
            parts |= self._systems.value()
        shown = {name: part.to_json(now) for name, part in parts.items()}
        return JSONResponse({"status": state, "database": state, "parts": shown}, 200 if works else 503)

    async def _answers(self) -> bool:
        now = time.monotonic()
        if self._probe is None or (self._probe.done() and now - self._asked_at >= SECONDS_VALID):
            self._probe = asyncio.create_task(asyncio.to_thread(self._ask))
            self._asked_at = now
        done, _ = await asyncio.wait({self._probe}, timeout=SECONDS_TO_ANSWER)
        return bool(done) and self._probe.result()

    def _ask(self) -> bool:
        try:
            with self._database.transaction() as connection:
                connection.execute(text("SELECT 1"))
        except OUTAGES as error:
            _log.warning("The database does not answer: %s", told(error))
            return False
        return True


def daemons(server: DagsterServer) -> Part:
    """Dagster by the oldest sign of life of the daemons that it needs."""
    try:
        needed = [daemon for daemon in server.daemons() if daemon.required]
    except DagsterServerError:
        return Part(State.UNAVAILABLE, text="Dagster does not answer.")
    beats = [daemon.beat_at for daemon in needed if daemon.beat_at is not None]
    at = min(beats) if beats and len(beats) == len(needed) else None
    if all(daemon.healthy for daemon in needed):
        return Part(State.OK, at)
    return Part(State.UNAVAILABLE, at, "A daemon of Dagster gives no sign of life.")


def last_reads(runtime: Runtime) -> dict[str, Part]:
    """Both systems by when they were last read with success, as we noted it."""
    try:
        with runtime.database.transaction() as connection:
            reads = vitals.last_reads(connection)
            refused = {token.role for token in refusals.tokens(connection) if token.refused}
    except OUTAGES:
        return dict.fromkeys(SYSTEMS, Part(State.UNKNOWN, text="The database does not answer."))
    return {name: _read(reads.get(role), refused=role in refused) for name, role in SYSTEMS.items()}


def _read(at: datetime | None, *, refused: bool) -> Part:
    if refused:
        return Part(State.REFUSED, at, "It refuses our token. Store a new one for its connector.")
    if at is None:
        return Part(State.UNKNOWN, text="It was not read yet.")
    if datetime.now(UTC) - at > OVERDUE:
        return Part(State.STALE, at, "It was not read with success for long.")
    return Part(State.OK, at)
