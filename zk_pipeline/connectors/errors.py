"""Typed errors of the connectors: what went wrong, on which call, and what the operator does about it."""

from collections.abc import Mapping


class ConnectorError(Exception):
    """A call to an outside system failed.

    `path` is the URL path without host and query, so that no secret can be in it. `remedy` is a sentence for
    the operator. `outcome_unknown` is true when a write may have taken effect although no good answer came.
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
    """The token is missing, unknown, expired or belongs to a disabled account. Stops the run."""


class PermissionDeniedError(ConnectorError):
    """The account is known but may not do this."""


class NotFoundError(ConnectorError):
    """The record does not exist, on the system's own word; a route that it does not know is a `ProtocolError`."""


class WithheldError(PermissionDeniedError):
    """The account may not set some `fields`, so the whole write was refused and nothing of it is stored."""

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
    """The system asked us to slow down and still did after the last attempt. `retry_after` is in seconds."""

    def __init__(self, problem: str, *, retry_after: float | None, **where: object) -> None:
        self.retry_after = retry_after
        super().__init__(problem, **where)  # type: ignore[arg-type]


class UnavailableError(ConnectorError):
    """No connection, a timeout, or a 5xx answer that lasted through the attempts."""


class ProtocolError(ConnectorError):
    """The answer is not what the contract promises: HTML, cut JSON, a wrong shape, an unsupported version."""
