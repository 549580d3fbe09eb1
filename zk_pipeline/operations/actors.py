"""Who asks for something, and what their role allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from zk_pipeline.store.audit import AuditEvent


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

    def did(self, event: str, subject: str, detail: Mapping[str, Any]) -> AuditEvent:
        """The event for the audit trail; the address stands in its detail, which can be erased."""
        address = {"address": self.address} if self.address else {}
        return AuditEvent(event, self.name, subject, {**detail, **address})
