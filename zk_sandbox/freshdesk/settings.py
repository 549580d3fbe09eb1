"""Settings of a simulated Freshdesk: its plan and limits, and a switch for everything that is not known of it.

There are no recordings of a real Freshdesk. Each switch stands for a question that only an account can answer; its
first value is the one that seems likely.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from zk_sandbox.freshdesk.records import instant_of, stored_instant

SWITCHES: dict[str, tuple[str, ...]] = {
    "limit_span": ("minute", "hour"),
    "order": ("id", "newest", "shuffled"),
    "bounds": ("inclusive", "exclusive"),
    "trashed_rows": ("hidden", "shown"),
    "trashed_ticket": ("flagged", "unflagged", "404"),
    "archived_rows": ("hidden", "shown"),
    "archived_ticket": ("404", "301", "200"),
    "merge": ("stay", "move", "copy"),
    "company_of_row": ("sent", "null", "absent"),
    "rounding": ("down", "up"),
    "entry_by_id": ("404", "405", "200"),
    "link": ("usual", "foreign", "loop"),
}
"""The switches with their values.

`order` is that of the list of time entries; `bounds` says whether `executed_after` and `executed_before` include their
instant; `trashed_rows` and `archived_rows` whether the list of all time entries has those of such tickets;
`trashed_ticket` and `archived_ticket` what the ordinary route of a ticket answers; `merge` what becomes of time
entries; `rounding` how seconds become `hh:mm`; `link` where the next page is said to be.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the account is set up; `now` freezes its clock (ISO with offset, None: the real time).

    `limit` is the number of requests in each `limit_span` of all users and apps together; other apps take `others_use`
    of them with each request. Without `timesheets` the plan has no time tracking. `hidden_days` is the range of the
    list of time entries if no bounds are sent. `touches_ticket` says whether booking moves a ticket's `updated_at`,
    `sends_seconds` whether rows have them, `shows_account` whether the key may read the account.
    """

    now: str | None = None
    zone: str = "Berlin"
    tier: str = "pro"
    timesheets: bool = True
    limit: int = 5000
    limit_span: str = "minute"
    others_use: int = 0
    order: str = "id"
    bounds: str = "inclusive"
    hidden_days: int | None = None
    trashed_rows: str = "hidden"
    trashed_ticket: str = "flagged"
    archived_rows: str = "hidden"
    archived_ticket: str = "404"
    merge: str = "stay"
    touches_ticket: bool = True
    company_of_row: str = "sent"
    sends_seconds: bool = True
    rounding: str = "down"
    entry_by_id: str = "404"
    shows_account: bool = True
    link: str = "usual"

    def changed(self, changes: Mapping[str, Any]) -> "Settings":
        """The settings with some changed; ValueError names an unknown one or a value that cannot be."""
        unknown = sorted(set(changes) - set(asdict(self)))
        if unknown:
            raise ValueError(f"Freshdesk has no setting {', '.join(unknown)}; there are {', '.join(asdict(self))}.")
        settings = replace(self, **changes)
        for name, values in SWITCHES.items():
            if getattr(settings, name) not in values:
                raise ValueError(f"{name} is {getattr(settings, name)!r}; use one of {', '.join(values)}.")
        if settings.now is not None:
            instant_of(settings.now)
        return settings

    def clock(self) -> datetime:
        """The server's present instant, to the second."""
        return stored_instant(datetime.now(UTC) if self.now is None else instant_of(self.now))
