"""Metadata for people: minutes, small tables with links, for the materialization pages of Dagster's UI."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import dagster as dg

from zk_pipeline.domain import pages

ROWS_SHOWN = 20
HIDDEN = "(hidden)"


def minutes(value: Decimal) -> dg.MetadataValue:
    """Minutes as a number that Dagster can plot; it is for looking at, never for counting."""
    return dg.MetadataValue.float(float(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue:
    """The first rows as a table; cells may hold links made by `link`."""
    listed = list(rows)
    lines = [_line(columns), _line(["---"] * len(columns)), *(_line(row) for row in listed[:ROWS_SHOWN])]
    if len(listed) > ROWS_SHOWN:
        lines.append(_line([f"… and {len(listed) - ROWS_SHOWN} more", *[""] * (len(columns) - 1)]))
    return dg.MetadataValue.md("\n".join(lines))


def link(text: str, url: str) -> str:
    """A link to a page of the source or the target."""
    return f"[{_plain(text)}]({url})"


def ticket_link(base_url: str, number: str, ticket_id: int) -> str:
    """The ticket in Zammad."""
    return link(number, pages.ticket(base_url, ticket_id))


def timesheet_link(base_url: str, timesheet_id: int | None) -> str:
    """The time sheet in Kimai, or nothing."""
    return link(str(timesheet_id), pages.timesheet(base_url, timesheet_id)) if timesheet_id else ""


def cell(value: object) -> str:
    """A value that cannot break out of its cell."""
    return _plain("" if value is None else str(value))


def named(value: object, *, shown: bool) -> str:
    """A value that may name people, customers or tickets: shown only where previews show names (ZK_PREVIEW_NAMES)."""
    return cell(value) if shown else HIDDEN


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join("" if value is None else str(value) for value in cells) + " |"


def _plain(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("[", "\\[").replace("<", "&lt;")
    return " ".join(escaped.split())
