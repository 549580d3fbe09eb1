"""The account of the Kimai connector, what it may do, and the zones in which Kimai reads times; cached."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from zk_pipeline.connectors.answer import ApiResponse
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError, ProtocolError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.kimai import reading
from zk_pipeline.connectors.kimai.reading import zone_named
from zk_pipeline.domain.records import TargetUser, Timesheet

ME = "/api/users/me"
USERS = "/api/users"
ACTIVITIES = "/api/activities"
ALL_USERS = {"visible": 3}
PLAIN_ROLES = frozenset({"ROLE_USER"})


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """The account that the token belongs to."""

    id: int
    zone: ZoneInfo
    roles: frozenset[str]

    @property
    def is_plain(self) -> bool:
        """True for a role that by default sees only its own time sheets: Kimai then silently ignores `user=all`."""
        return self.roles <= PLAIN_ROLES


class KimaiAccount:
    """The current user and the zones of all users. Thread-safe."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._me: ApiResponse | None = None
        self._zones: dict[int, str] | None = None
        self._sees_others: bool | None = None

    def caller(self) -> CurrentUser:
        """The account. Raises `ProtocolError` if its zone is unknown on this machine."""
        return caller_in(self.me())

    def me(self) -> ApiResponse:
        """What Kimai tells of the account."""
        with self._lock:
            if self._me is None:
                self._me = self._http.get(ME)
            return self._me

    def sees_others(self) -> bool:
        """Whether the account sees other people's time sheets; if Kimai does not say, whether its role usually does."""
        with self._lock:
            known = self._sees_others
        if known is None:
            visible = sees_others(self._http)
            known = not self.caller().is_plain if visible is None else visible
            with self._lock:
                self._sees_others = known
        return known

    def learn(self, users: Iterable[TargetUser]) -> None:
        """Store the zones of the users."""
        zones = {user.id: user.timezone for user in users}
        with self._lock:
            self._zones = zones

    def forget(self) -> None:
        """Read everything again when next needed."""
        with self._lock:
            self._zones = self._me = self._sees_others = None

    def zone_of_entry(self, entry: Timesheet) -> ZoneInfo | None:
        """The zone that is stored on a time sheet, in which Kimai reads changed times; `None` if in doubt.

        It is the owner's zone when the time sheet was last saved: the owner's current zone, unless the offset that
        Kimai showed says otherwise (docs/kimai.md §3).
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
            users, _ = self._http.get(USERS, ALL_USERS, needs=("view_user",)).readable("user", reading.user)
        except PermissionDeniedError:
            return {}
        return {user.id: user.timezone for user in users}


def allowed_actions(http: HttpClient, kind: str, record_id: int) -> frozenset[str]:
    """The actions in Kimai's menu of a record for this account, such as `edit` and `trash` (docs/kimai.md §1)."""
    menu = http.get(f"/api/actions/{kind}/{record_id}/index/en").rows("action")
    return frozenset(entry.text("id") for entry in menu)


def sees_others(http: HttpClient) -> bool | None:
    """Whether the account has view_other_timesheet: only then does an activity's menu offer everybody's time sheets.

    `None` if Kimai does not say: there is no activity, or the account may not view one (view_activity).
    """
    try:
        activities = http.get(ACTIVITIES, ALL_USERS).rows("activity")
        return "filter" in allowed_actions(http, "activity", activities[0].integer("id")) if activities else None
    except (NotFoundError, PermissionDeniedError, ProtocolError):
        return None


def caller_in(answer: ApiResponse) -> CurrentUser:
    """The account in a response of `users/me`. Raises `ProtocolError` if its zone is unknown here."""
    row = answer.row("user")
    name = row.text("timezone")
    zone = zone_named(name)
    if zone is None:
        raise answer.fault(
            f"The account's time zone {name!r} is not known on this machine.",
            "Choose a zone such as Europe/Berlin in the account's preferences, or install the tzdata package.",
        )
    roles = row.texts("roles") if row.has("roles") else ()
    return CurrentUser(id=row.integer("id"), zone=zone, roles=frozenset(roles))
