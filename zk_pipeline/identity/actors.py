"""Who asks for something, what their role allows, and why an operation was not done."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from zk_pipeline.store.audit import AuditEvent

# Who asks for something, and what their role allows.


class Role(StrEnum):
    """What somebody may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    """Look at everything but users and settings."""
    OPERATOR = "operator"
    """Resolve, map and sync."""
    ADMIN = "admin"
    """Connectors, users, settings and privacy."""

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what the needed one may."""
        order = tuple(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who was recognized by the server.

    `name` goes into decisions and into the audit chain, so it is no personal data: `user:7`, `cli:root`. `address` is
    the client's, where there is one.
    """

    name: str
    role: Role
    address: str = ""

    @property
    def user_id(self) -> int | None:
        """The number of the user; `None` for somebody at the command line."""
        kind, _, number = self.name.partition(":")
        return int(number) if kind == "user" else None

    def audit_event(self, event: str, subject: str, detail: Mapping[str, Any]) -> AuditEvent:
        """The event for the audit trail; the address stands in its detail, which can be erased."""
        address = {"address": self.address} if self.address else {}
        return AuditEvent(event, self.name, subject, {**detail, **address})


# Why an operation was not done: errors whose message is a sentence for the person who asked.


class OperationError(Exception):
    """What was asked for cannot be done; nothing was changed. The message names the field, the value and the remedy."""


class UnknownError(OperationError):
    """What it is about does not exist."""


class StaleError(OperationError):
    """It is no longer as it was when the person looked at it, or the state of something else forbids it."""


class DeniedError(OperationError):
    """The role of whoever asks does not allow it."""


class SignInError(OperationError):
    """Nobody was recognized; the message is the same whatever was wrong."""


class IncompleteError(OperationError):
    """It was done, but something is left, which the message names with what to do about it."""
