"""Typed errors of the connectors: what went wrong, on which call, and what the operator can do."""

from collections.abc import Mapping


class ConnectorError(Exception):
    """A call to an outside system failed.

    `path` is the URL path without host and query, so that it contains no secret. `remedy` is a sentence for the
    operator. `outcome_unknown` is true if a write may have taken effect although no success was received.
    """

    def __init__(
        self,
        problem: str,
        *,
        system: str,
        method: str,
        path: str,
        status: int | None = None,
        remedy: str = "",
        outcome_unknown: bool = False,
    ) -> None:
        self.problem = problem
        self.system = system
        self.method = method
        self.path = path
        self.status = status
        self.remedy = remedy
        self.outcome_unknown = outcome_unknown
        super().__init__(problem)

    @property
    def summary(self) -> str:
        """What went wrong on which call, without the remedy."""
        answered = f" answered {self.status}" if self.status is not None else ""
        return f"{self.system}: {self.method} {self.path}{answered}: {self.problem}"

    def __str__(self) -> str:
        return f"{self.summary} {self.remedy}".strip()


class AuthenticationError(ConnectorError):
    """The token is missing, unknown or expired, or its account is disabled. Stops the run."""


class PermissionDeniedError(ConnectorError):
    """The account is known but may not do this."""


class NotFoundError(ConnectorError):
    """The system itself says that the record does not exist; an unknown route is a `ProtocolError`."""


class WithheldError(PermissionDeniedError):
    """The account may not set some `fields`, so the whole write was refused and nothing was stored."""

    def __init__(self, problem: str, *, fields: frozenset[str], **where: object) -> None:
        self.fields = fields
        super().__init__(problem, **where)  # type: ignore[arg-type]


class ValidationFailedError(ConnectorError):
    """The system refused the content of a write. `fields` maps a field, or "" for the whole form, to its messages."""

    def __init__(self, problem: str, *, fields: Mapping[str, tuple[str, ...]], **where: object) -> None:
        self.fields = dict(fields)
        super().__init__(problem, **where)  # type: ignore[arg-type]


class StillInUseError(ConnectorError):
    """A record was not deleted, because others refer to it or it is not the one meant. Nothing was sent."""


class RateLimitedError(ConnectorError):
    """The system asked us to slow down, even after the last attempt. `retry_after` is in seconds."""

    def __init__(self, problem: str, *, retry_after: float | None, **where: object) -> None:
        self.retry_after = retry_after
        super().__init__(problem, **where)  # type: ignore[arg-type]


class UnavailableError(ConnectorError):
    """No connection, a timeout, or a 5xx response to every attempt."""


class ProtocolError(ConnectorError):
    """The response breaks the contract: HTML, truncated JSON, a wrong shape, an unsupported version."""
