"""Reads of Zammad and Kimai that nothing but the doctor needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from zk_pipeline.connectors.answer import Dialect
from zk_pipeline.connectors.base import Endpoint
from zk_pipeline.connectors.errors import PermissionDeniedError, ValidationFailedError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.kimai_errors import PROBE_FIELD, KimaiDialect
from zk_pipeline.connectors.kimai_registers import TAGS, same_tag
from zk_pipeline.connectors.zammad_errors import ZammadDialect
from zk_pipeline.connectors.zammad_window import NEEDS, FlatList

NEWEST = 500
"""How many bookings tell the unit before any is stored."""


@dataclass(frozen=True, slots=True)
class TagStates:
    """Tags by what Kimai says about them."""

    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    missing: tuple[str, ...]


def unit_label(endpoint: Endpoint) -> str | None:
    """Zammad's label on its numbers; `None` without one, and when the account may not see it (docs/zammad.md §4)."""
    with _client(endpoint, ZammadDialect()) as http:
        try:
            rows = http.get("/api/v1/settings", needs=NEEDS).rows("setting")
        except PermissionDeniedError:
            return None
    states = [row.raw.get("state_current") for row in rows if row.text("name") == "time_accounting_unit"]
    return next((state.get("value") or None for state in states if isinstance(state, dict)), None)


def newest_units(endpoint: Endpoint) -> list[Decimal]:
    """The numbers of the bookings that were made or changed last, in Zammad's unit."""
    with _client(endpoint, ZammadDialect()) as http:
        rows, _total = FlatList(http).newest_changes(NEWEST)
    return [row.units for row in rows if not row.faults]


def tag_states(endpoint: Endpoint, names: tuple[str, ...]) -> TagStates:
    """Which tags exist and are visible in Kimai; creates none."""
    with _client(endpoint, KimaiDialect()) as http:
        visible = tuple(name for name in names if _is_visible(http, name))
        others = [name for name in names if name not in visible]
        hidden = tuple(name for name in others if _is_taken(http, name))
    return TagStates(visible, hidden, tuple(name for name in others if name not in hidden))


def _is_visible(http: HttpClient, name: str) -> bool:
    rows = http.get(f"{TAGS}/find", {"name": name}).rows("tag")
    return any(same_tag(row.text("name"), name) and row.boolean("visible") for row in rows)


def _is_taken(http: HttpClient, name: str) -> bool:
    """Whether a tag of that name exists, seen or unseen: told by a form that Kimai must refuse (docs/kimai.md §9)."""
    try:
        http.write("POST", TAGS, {PROBE_FIELD: True, "name": name, "visible": True}, needs=("create_tag",))
    except ValidationFailedError as refusal:
        return "already used" in str(refusal.fields.get("name", ()))
    return False


@contextmanager
def _client(endpoint: Endpoint, dialect: Dialect) -> Iterator[HttpClient]:
    http = HttpClient(endpoint, dialect)
    try:
        yield http
    finally:
        http.close()
