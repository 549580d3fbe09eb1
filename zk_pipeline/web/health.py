"""Health by the vital signs: the route for supervisors, and alerts from this process.

The signs are measured in the background at a fixed pace (`zk_pipeline.observe.measurements`), so an answer costs
nothing and does not depend on who asked before.
"""

import logging
import threading
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from zk_pipeline.domain.vital_figures import DATABASE, Level, VitalSign, worst
from zk_pipeline.observe.alert_delivery import alert_addresses, alert_signs, deliver, send_directly
from zk_pipeline.observe.alerts import sign_failure_message, sign_recovery_message
from zk_pipeline.observe.measurements import SECONDS_BETWEEN_MEASUREMENTS, HealthMonitor
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.errors import OUTAGES, outage_line

PATH = "/api/health"

STATUS = {Level.PASS: "ok", Level.WARN: "warn", Level.FAIL: "fail"}

_log = logging.getLogger(__name__)


class Health:
    """Measures the vital signs of one web app between `start` and `stop`, and serves the route."""

    def __init__(self, runtime: Runtime) -> None:
        self._watch = HealthMonitor(runtime)
        self._teller = SignAlerter(runtime, self._watch)
        self.router = APIRouter(tags=["health"])
        unfit: dict[int | str, Any] = {503: {"content": {"application/json": {"schema": {}}}}}
        self.router.add_api_route(PATH, self.show, summary="How everything is", responses=unfit)
        self.router.add_api_route(PATH, self.show, methods=["HEAD"], include_in_schema=False)

    def start(self) -> None:
        """Start measuring and alerting. Waits for the database's first figures, two seconds at most."""
        self._watch.start()
        self._teller.start()

    def stop(self) -> None:
        """Stop both."""
        self._teller.stop()
        self._watch.stop()

    def signs(self) -> list[VitalSign]:
        """The vital signs, by the newest figures."""
        return self._watch.signs()

    async def show(self) -> JSONResponse:
        """503 while the web app cannot do its work, which takes the database; 200 otherwise.

        `status` is the worst of all signs. The answer is for everybody: it holds no address, path or name.
        """
        signs, now = self.signs(), datetime.now(UTC)
        database = next(sign for sign in signs if sign.name == DATABASE)
        content = {
            "status": STATUS[worst(signs)],
            "database": STATUS[database.level],
            "signs": {sign.name: _shown(sign, now) for sign in signs},
        }
        return JSONResponse(content, 503 if database.level is Level.FAIL else 200)


class SignAlerter:
    """Tells people of failing signs from the web process: the sensor `alerts` cannot, where its daemon is dead.

    Both record what they sent in the database, so each sign is alerted once. Without the database, an outage of it is
    remembered here.
    """

    def __init__(self, runtime: Runtime, watch: HealthMonitor) -> None:
        self._runtime = runtime
        self._watch = watch
        self._end = threading.Event()
        self._down_since: datetime | None = None
        self._is_told = False
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Start, if alerts have an address."""
        if alert_addresses(self._runtime.settings):
            self._thread.start()

    def stop(self, seconds: float = 2.0) -> None:
        """Stop; wait this many seconds for a message that is being sent."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._end.wait(SECONDS_BETWEEN_MEASUREMENTS):
            try:
                self._tell()
            except OUTAGES as error:
                _log.warning("Alerts about vital signs cannot be sent now: %s", outage_line(error))
            except Exception:  # noqa: BLE001 (whatever it is, it is logged, and the next look comes)
                _log.exception("Alerts about vital signs cannot be sent now.")

    def _tell(self) -> None:
        signs = self._watch.signs()
        database = next(sign for sign in signs if sign.name == DATABASE)
        now, settings = datetime.now(UTC), self._runtime.settings
        if database.level is Level.FAIL:
            if self._down_since is None:
                self._down_since = now  # A restart is over before the next look.
            elif not self._is_told:
                self._is_told = send_directly(settings, sign_failure_message(database, settings.alert_link))
            return
        if self._is_told and self._down_since is not None:
            send_directly(settings, sign_recovery_message(database.title, now - self._down_since))
        self._down_since, self._is_told = None, False
        alert_signs(self._runtime, [sign for sign in signs if sign.name != DATABASE])
        for problem in deliver(self._runtime).problems:
            _log.warning("%s It is tried again.", problem)


def _shown(sign: VitalSign, now: datetime) -> dict[str, Any]:
    age = None if sign.at is None else max(0.0, round((now - sign.at).total_seconds(), 1))
    return {"status": STATUS[sign.level], "age_seconds": age, "text": sign.text, "remedy": sign.remedy}
