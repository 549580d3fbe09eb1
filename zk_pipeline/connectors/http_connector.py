"""What connectors that talk HTTP have in common: one client, its counts and its end."""

import time
from collections.abc import Callable

from zk_pipeline.connectors.base import Connector, Endpoint, RequestCounts, Standing
from zk_pipeline.connectors.http import Dialect, HttpClient
from zk_pipeline.domain.traffic import Traffic


class HttpConnector(Connector):
    """A connector whose requests all go through one client, in its system's dialect."""

    def __init__(self, endpoint: Endpoint, dialect: Dialect, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(endpoint)
        self._http = HttpClient(endpoint, dialect, sleep=sleep)

    @property
    def requests(self) -> RequestCounts:
        """Requests sent since the connector was made."""
        return self._http.requests

    @property
    def traffic(self) -> Traffic:
        """The same by status, and how long they took."""
        return self._http.traffic

    @property
    def standing(self) -> Standing | None:
        """Whether the system answers, as the last request showed."""
        return self._http.standing

    def close(self) -> None:
        """Release the connections."""
        self._http.close()
