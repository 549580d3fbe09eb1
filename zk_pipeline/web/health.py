"""Whether the web app can do its work: asked often by supervisors and proxies, so that it must cost little."""

import asyncio
import logging
import time

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from zk_pipeline.store.database import Database
from zk_pipeline.web.outages import OUTAGES, told

PATH = "/api/health"
SECONDS_TO_ANSWER = 2.0
SECONDS_VALID = 1.0

_log = logging.getLogger(__name__)


class Health:
    """Asks the database at most once a second, and never twice at a time, however many want to know."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._probe: asyncio.Task[bool] | None = None
        self._asked_at = 0.0
        self.router = APIRouter()
        self.router.add_api_route(PATH, self.show, methods=["GET"])

    async def show(self) -> JSONResponse:
        """200 when everything works, 503 when the database does not."""
        if await self._answers():
            return JSONResponse({"status": "ok", "database": "ok"})
        return JSONResponse({"status": "unavailable", "database": "unavailable"}, 503)

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
