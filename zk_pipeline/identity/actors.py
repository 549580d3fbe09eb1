"""Actors, roles, and the errors of operations."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from zk_pipeline.store.audit import AuditEvent


class Role(StrEnum):
    """Roles; each includes the ones before it."""

    VIEWER = "viewer"
    """Read everything except users and settings."""
    OPERATOR = "operator"
    """Decide conflicts, set mappings, and sync."""
    ADMIN = "admin"
    """Manage connectors, users, settings and privacy."""

    def covers(self, needed: "Role") -> bool:
        """Whether this role includes the needed one."""
        order = tuple(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated actor.

    `name` is stored in decisions and in the audit chain, so it is no personal data: `user:7`, `cli:root`. `address` is
    the client's, if there is one.
    """

    name: str
    role: Role
    address: str = ""

    @property
    def user_id(self) -> int | None:
        """The id of the user; `None` at the command line."""
        kind, _, number = self.name.partition(":")
        return int(number) if kind == "user" else None

    def audit_event(self, event: str, subject: str, detail: Mapping[str, Any]) -> AuditEvent:
        """An event for the audit trail, with the address in its detail, which can be erased."""
        address = {"address": self.address} if self.address else {}
        return AuditEvent(event, self.name, subject, {**detail, **address})


# Errors of operations; their messages are for people.


class OperationError(Exception):
    """The operation is not possible; nothing was changed. The message names field, value and remedy.

    `field` is what the value was given as, where it is one of several.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnknownError(OperationError):
    """The subject does not exist."""


class StaleError(OperationError):
    """The subject has changed since it was shown, or another state prevents the operation."""


class DeniedError(OperationError):
    """The actor's role does not allow it."""


class SignInError(OperationError):
    """Authentication failed; the message does not say what was wrong."""


class IncompleteError(OperationError):
    """The operation was done, but not completely; the message names what is left and the remedy."""
