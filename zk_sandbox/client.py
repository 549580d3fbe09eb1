"""A client of a sandbox server's control plane, for tests, benchmarks and the demo."""

import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from zk_sandbox.control import PREFIX
from zk_sandbox.faults import FaultKind

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A sandbox server speaks plain HTTP; loading the machine's certificates would take longer than the requests."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests since the counts were reset; ids in `by_route` are replaced by {id}."""

    reads: int
    writes: int
    by_route: dict[str, int]
    log: list[dict[str, Any]]


class SandboxControl:
    """Counts, state, settings, latency and faults of the server at `url`.

    Every method raises httpx.HTTPStatusError if the server refuses; the response has its sentence.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/") + PREFIX, timeout=60, trust_env=False, verify=NO_CERTIFICATES
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def requests(self) -> Requests:
        """Counts since the last reset, and details of the last requests."""
        return Requests(**self._call("GET", "requests"))

    def reset_requests(self) -> None:
        """Start counting again."""
        self._call("DELETE", "requests")

    def state(self) -> dict[str, Any]:
        """The server's whole state."""
        return self._call("GET", "state")

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state saved earlier."""
        self._call("PUT", "state", state)

    def configure(self, **settings: Any) -> None:
        """Change settings of the simulated product, such as its version or zone."""
        self._call("PATCH", "settings", settings)

    def set_latency(self, seconds: float) -> None:
        """Delay every request by this much."""
        self._call("PUT", "latency", {"seconds": seconds})

    def add_fault(self, kind: FaultKind, **fields: Any) -> int:
        """Add a fault (fields as in `faults.Fault`) and return its id."""
        return self._call("POST", "faults", {"kind": kind, **fields})["id"]

    def faults(self) -> list[dict[str, Any]]:
        """The active faults with their hits."""
        return self._call("GET", "faults")

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "faults")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        response = self._http.request(method, f"/{path}", json=body)
        response.raise_for_status()
        return response.json() if response.content else None
