"""GraphQL client of Dagster's web server: runs, daemon heartbeats, definitions; and links to its pages."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import jwt

from zk_pipeline.connectors import network
from zk_pipeline.runtime.project import LOCATION
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store.encryption import TokenCipher

REPOSITORY = "__repository__"
"""The one repository of the location, as Dagster calls it."""

_SECONDS_TO_ANSWER = 10.0
_SECONDS_TO_RELOAD = 60.0
_SECONDS_BETWEEN_LOOKS = 0.1

_ISSUER, _AUDIENCE, _ALGORITHM = "zk_pipeline", "zk_pipeline:dagster", "HS256"
_LIFE = timedelta(minutes=1)
_LEEWAY = timedelta(minutes=1)  # Tolerates clock skew between machines.

_SERVER = """query ($name: String!) { workspaceLocationEntryOrError(name: $name) { __typename
  ... on WorkspaceLocationEntry { locationOrLoadError { ... on RepositoryLocation { serverId } } } } }"""
_SHUT_DOWN = """mutation ($name: String!) { shutdownRepositoryLocation(repositoryLocationName: $name) { __typename
  ... on PythonError { message } } }"""
_DAEMONS = """{ instance { daemonHealth { allDaemonStatuses {
  daemonType required healthy lastHeartbeatTime } } } }"""
_LAUNCH = """mutation ($parameters: ExecutionParams!) { launchRun(executionParams: $parameters) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PipelineNotFoundError { message }
  ... on PythonError { message } } }"""
_CANCEL = """mutation ($id: String!) { terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) { __typename
  ... on TerminateRunFailure { message } ... on RunNotFoundError { message } ... on UnauthorizedError { message }
  ... on PythonError { message } } }"""
_RESET = """mutation ($selector: ScheduleSelector!) { resetSchedule(scheduleSelector: $selector) { __typename
  ... on ScheduleNotFoundError { message } ... on UnauthorizedError { message } ... on PythonError { message } } }"""
_STATUSES = """query ($filter: RunsFilter!) { runsOrError(filter: $filter) { __typename
  ... on Runs { results { runId status } } ... on PythonError { message } } }"""
_TAGGED = """query ($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 1) { __typename
  ... on Runs { results { runId status } } ... on PythonError { message } } }"""


class DagsterServerError(Exception):
    """Dagster did not answer or refused a request; the message says which and what to do."""


class DagsterSlowError(DagsterServerError):
    """Dagster did not answer in time; the request may still be carried out."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A Dagster daemon; `heartbeat_at` is its last heartbeat, `None` if there never was one."""

    name: str
    required: bool
    healthy: bool
    heartbeat_at: datetime | None


def service_token(cipher: TokenCipher) -> str:
    """A token with which our own programs pass Dagster's sign-in: valid for a minute, signed with our key."""
    now = datetime.now(UTC)
    content = {"iss": _ISSUER, "aud": _AUDIENCE, "iat": now, "exp": now + _LIFE}
    return jwt.encode(content, _service_keys(cipher)[0], _ALGORITHM)


def is_service_token(cipher: TokenCipher, token: str) -> bool:
    """Whether this is a valid, unexpired token from `service_token`."""
    for key in _service_keys(cipher):
        try:
            jwt.decode(
                token,
                key,
                [_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                leeway=_LEEWAY,
                options={"require": ["iss", "aud", "iat", "exp"]},
            )
        except jwt.InvalidTokenError:
            continue
        return True
    return False


def _service_keys(cipher: TokenCipher) -> tuple[bytes, ...]:
    return cipher.derived("zk_pipeline tokens of our own programs")


@dataclass(frozen=True, slots=True)
class DagsterServer:
    """The web server at this address, such as `http://127.0.0.1:3000`. Every method raises `DagsterServerError`."""

    address: str
    cipher: TokenCipher = field(repr=False)

    def daemons(self) -> list[Daemon]:
        """All daemons with their heartbeats."""
        rows = self._ask(_DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return [
            Daemon(row["daemonType"], row["required"], bool(row["healthy"]), _instant(row["lastHeartbeatTime"]))
            for row in rows
        ]

    def launch(self, job: str, tags: Mapping[str, str], config: Mapping[str, Any] | None = None) -> str:
        """Start a run of a job and return its id. Pass its days as tags (`run_tags.range_tags`)."""
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job}
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        parameters = {"selector": selector, "runConfigData": config or {}, "executionMetadata": {"tags": listed}}
        answer = self._ask(_LAUNCH, parameters=parameters)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise DagsterServerError(f"Dagster did not start a run of {job}: {_reason(answer)} Look at its UI.")
        return answer["run"]["runId"]

    def cancel(self, run_id: str) -> str | None:
        """Stop a queued or running run; return why it cannot be stopped, or `None`."""
        answer = self._ask(_CANCEL, id=run_id)["terminateRun"]
        return None if answer["__typename"] == "TerminateRunSuccess" else _reason(answer)

    def run_statuses(self, ids: Collection[str]) -> dict[str, str]:
        """The status of each existing run among these, such as `QUEUED`, `STARTED`, `SUCCESS` or `FAILURE`."""
        if not ids:  # Dagster takes an empty list as all runs.
            return {}
        answer = self._ask(_STATUSES, filter={"runIds": list(ids)})["runsOrError"]
        if answer["__typename"] != "Runs":
            raise DagsterServerError(
                f"Check the runs in Dagster's UI; it did not return their status: {_reason(answer)}"
            )
        return {run["runId"]: run["status"] for run in answer["results"]}

    def run_with_tag(self, key: str, value: str) -> str | None:
        """The newest run with this tag, if any."""
        answer = self._ask(_TAGGED, filter={"tags": [{"key": key, "value": value}]})["runsOrError"]
        if answer["__typename"] != "Runs":
            raise DagsterServerError(f"Check the runs in Dagster's UI; it did not return them: {_reason(answer)}")
        return next((run["runId"] for run in answer["results"]), None)

    def reset_schedule(self, name: str) -> None:
        """Reset a schedule to running or stopped as defined in code, undoing a change made in Dagster's UI."""
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "scheduleName": name}
        answer = self._ask(_RESET, selector=selector)["resetSchedule"]
        if answer["__typename"] != "ScheduleStateResult":
            raise DagsterServerError(f"Switch {name} in Dagster's UI; it did not do so here: {_reason(answer)}")

    def reload(self) -> None:
        """Make the code server reload the definitions, and wait until the web server shows them.

        Our code server cannot reload in place, so it is asked to shut down. It does so once its runs have finished, and
        its supervisor starts it again.
        """
        before = self._server_id()
        answer = self._ask(_SHUT_DOWN, name=LOCATION)["shutdownRepositoryLocation"]
        asked = f"Dagster at {self.address} was asked to reload the definitions."
        if answer["__typename"] != "ShutdownRepositoryLocationSuccess":
            raise DagsterServerError(f"{asked} {_reason(answer)}")
        deadline = time.monotonic() + _SECONDS_TO_RELOAD
        while self._server_id() in {before, None}:
            if time.monotonic() > deadline:
                raise DagsterServerError(
                    f"{asked} It has not within {_SECONDS_TO_RELOAD:.0f} s; it will when the current runs have ended."
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _server_id(self) -> str | None:
        """The id of the process serving the definitions, or `None`."""
        entry = self._ask(_SERVER, name=LOCATION)["workspaceLocationEntryOrError"]
        location = (entry or {}).get("locationOrLoadError") or {}
        return location.get("serverId")

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        try:
            with network.client(proxies=False, timeout=_SECONDS_TO_ANSWER) as http:
                asked = {"query": query, "variables": variables}
                headers = {"Authorization": f"Bearer {service_token(self.cipher)}"}
                answer = http.post(f"{self.address}/graphql", json=asked, headers=headers)
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    raise DagsterServerError(
                        f"Set the same ZK_ENCRYPTION_KEY for all processes: {self.address} refused our token."
                    )
                data = answer.raise_for_status().json()["data"]
        except network.NetworkError as error:
            raise DagsterServerError(str(error)) from error
        except httpx.ReadTimeout as error:
            raise DagsterSlowError(
                f"Dagster has not answered within {_SECONDS_TO_ANSWER:.0f} s. What it was asked for may have started: "
                "look at Runs before you ask again."
            ) from error
        except httpx.HTTPError as error:
            raise DagsterServerError(
                f"Dagster at {self.address} does not answer ({type(error).__name__}). Restart zk_pipeline, or correct "
                "ZK_DAGSTER_ADDRESS."
            ) from error
        except (ValueError, KeyError) as error:  # Another server, or a login page.
            raise DagsterServerError(f"Correct ZK_DAGSTER_ADDRESS: {self.address} is no Dagster web server.") from error
        if data is None:
            raise DagsterServerError(
                f"Check the version of Dagster at {self.address}: it does not understand the request."
            )
        return data


def dagster_server(runtime: Runtime) -> DagsterServer:
    """The web server of this installation."""
    return DagsterServer(runtime.settings.dagster_server, runtime.cipher)


def run_url(base: str, run_id: str) -> str:
    """The page of a run; `base` is where people reach Dagster (`Settings.dagster_link`)."""
    return f"{base}/runs/{quote(run_id, safe='')}"


def asset_url(base: str, key: str) -> str:
    """The page of an asset, whose key is written with slashes."""
    return f"{base}/assets/{quote(key)}"


def partition_url(base: str, key: str, day: date) -> str:
    """The page of one day of an asset."""
    return f"{asset_url(base, key)}?view=partitions&partition={day.isoformat()}"


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _reason(answer: Mapping[str, Any]) -> str:
    return f"{answer.get('message', answer['__typename']).rstrip('.')}."
