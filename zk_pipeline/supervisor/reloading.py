"""Having a running Dagster take over definitions that were changed by a setting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from zk_pipeline.supervisor.groups import exists, wait_until
from zk_pipeline.supervisor.home import Record, SupervisorError
from zk_pipeline.supervisor.parts import LOCATION

_SECONDS_TO_ANSWER = 10.0
_SECONDS_TO_RELOAD = 60.0

_SERVER = """query ($name: String!) { workspaceLocationEntryOrError(name: $name) { __typename
  ... on WorkspaceLocationEntry { locationOrLoadError { ... on RepositoryLocation { serverId } } } } }"""
_SHUT_DOWN = """mutation ($name: String!) { shutdownRepositoryLocation(repositoryLocationName: $name) { __typename
  ... on PythonError { message } } }"""


@dataclass(frozen=True, slots=True)
class Dagster:
    """The running Dagster of a home, by its address."""

    address: str

    @classmethod
    def of(cls, home: Path) -> "Dagster | None":
        """The Dagster that `zk up` runs on this home, or `None` if none does."""
        try:
            record = Record.of(home)
        except FileNotFoundError:
            return None
        return cls(record.address) if any(map(exists, record.groups)) else None

    def reload(self) -> None:
        """Have the code server load the definitions anew, and wait until the web server shows them.

        A code server of the kind that we run cannot reload in place, so it is asked to end, which it does after the
        runs that it has begun, and is started again. Raises `SupervisorError` when that does not come about.
        """
        before = self._server_id()
        answer = self._ask(_SHUT_DOWN)["shutdownRepositoryLocation"]
        if answer["__typename"] != "ShutdownRepositoryLocationSuccess":
            raise SupervisorError(f"{self._failure} {answer.get('message', answer['__typename'])}.")
        if not wait_until(lambda: self._server_id() not in {before, None}, _SECONDS_TO_RELOAD):
            raise SupervisorError(
                f"{self._failure} It has not done so within {_SECONDS_TO_RELOAD:.0f} s; it does when the runs that are "
                "under way have ended."
            )

    @property
    def _failure(self) -> str:
        return f"Dagster at {self.address} was asked to load the definitions anew."

    def _server_id(self) -> str | None:
        """Which process serves the definitions, or `None` while none does."""
        entry = self._ask(_SERVER)["workspaceLocationEntryOrError"]
        location = (entry or {}).get("locationOrLoadError") or {}
        return location.get("serverId")

    def _ask(self, query: str) -> dict[str, Any]:
        try:
            answer = httpx.post(
                f"{self.address}/graphql",
                json={"query": query, "variables": {"name": LOCATION}},
                timeout=_SECONDS_TO_ANSWER,
                trust_env=False,
            ).raise_for_status()
        except httpx.HTTPError as error:
            raise SupervisorError(
                f"Dagster at {self.address} does not answer ({type(error).__name__}). Start `zk up` anew."
            ) from error
        return answer.json()["data"]
