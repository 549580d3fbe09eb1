"""Whose account the Kimai connector uses, and the zones in which Kimai reads times; asked once and kept."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from zk_pipeline.connectors import kimai_rows
from zk_pipeline.connectors.answer import Answer
from zk_pipeline.connectors.errors import PermissionDeniedError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.kimai_times import zone_named
from zk_pipeline.domain.records import TargetUser, Timesheet

ME = "/api/users/me"
USERS = "/api/users"
ALL_USERS = {"visible": 3}
PLAIN_ROLES = frozenset({"ROLE_USER"})


@dataclass(frozen=True, slots=True)
class Caller:
    """The account that the token belongs to."""

    id: int
    zone: ZoneInfo
    roles: frozenset[str]

    @property
    def is_plain(self) -> bool:
        """True for a role that by default sees nobody else's time sheets: `user=all` is then ignored silently."""
        return self.roles <= PLAIN_ROLES


class Account:
    """The caller and the zones of the users. Safe for use by several threads."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._caller: Caller | None = None
        self._zones: dict[int, str] | None = None

    def caller(self) -> Caller:
        """The account. Raises `ProtocolError` when its zone is not known on this machine."""
        with self._lock:
            if self._caller is None:
                self._caller = caller_in(self._http.get(ME))
            return self._caller

    def learn(self, users: Iterable[TargetUser]) -> None:
        """Keep the zones of the users, and ask for the caller anew when next needed."""
        zones = {user.id: user.timezone for user in users}
        with self._lock:
            self._zones = zones
            self._caller = None

    def forget(self) -> None:
        """Ask anew for everything when next needed."""
        with self._lock:
            self._zones = self._caller = None

    def zone_of_entry(self, entry: Timesheet) -> ZoneInfo | None:
        """The zone that is stored on a time sheet and in which Kimai reads a change of its times; `None` if in doubt.

        It is the owner's zone of the time when the entry was last saved: the owner's present zone, unless the offset
        that Kimai showed tells otherwise (docs/kimai.md §3).
        """
        shown = entry.raw.get("begin")
        zone = zone_named(self._zones_of_users().get(entry.user_id, ""))
        if zone is None or not isinstance(shown, str):
            return None
        moment = datetime.fromisoformat(shown)
        return zone if moment.utcoffset() == moment.astimezone(zone).utcoffset() else None

    def _zones_of_users(self) -> dict[int, str]:
        with self._lock:
            if self._zones is None:
                self._zones = self._read_zones()
            return self._zones

    def _read_zones(self) -> dict[int, str]:
        try:
            users, _ = self._http.get(USERS, ALL_USERS, needs=("view_user",)).readable("user", kimai_rows.user)
        except PermissionDeniedError:
            return {}
        return {user.id: user.timezone for user in users}


def caller_in(answer: Answer) -> Caller:
    """The account in an answer of `users/me`. Raises `ProtocolError` when its zone is unknown here."""
    row = answer.row("user")
    name = row.text("timezone")
    zone = zone_named(name)
    if zone is None:
        raise answer.fault(
            f"The account's time zone {name!r} is not known on this machine.",
            "Choose a zone such as Europe/Berlin in the account's preferences, or install the tzdata package.",
        )
    roles = row.texts("roles") if row.has("roles") else ()
    return Caller(id=row.integer("id"), zone=zone, roles=frozenset(roles))
