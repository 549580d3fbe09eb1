"""Makes the dump of a release for `releases/`: `python -m zk_pipeline_tests.store.make_release VERSION REVISION`."""

import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.runtime.embedded_programs import program
from zk_pipeline.store import audit, schema
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline.store.tables import SCHEMAS
from zk_pipeline_tests.databases import TRAIL_KEYS

RELEASES = Path(__file__).with_name("releases")
ROWS = 3
ONE_OF = {
    "adjustments.state": "booked",
    "api_tokens.role": "viewer",
    "approved_lines.state": "open",
    "conflicts.resolution_status": "open",
    "connectors.role": "source",
    "pushes.operation": "create",
    "pushes.state": "confirmed",
    "users.role": "viewer",
    "write_backs.kind": "tag",
    "write_backs.operation": "add",
    "write_backs.state": "confirmed",
}
"""What check constraints allow, by table and column."""

NUMBERED = {
    *("id", "ticket_id", "article_id", "type_id", "activity_type_id", "agent_id", "organization_id", "customer_id"),
    *("group_id", "merged_into", "merged_article_id", "correction_id", "reduced_id", "booking_id", "from_ticket_id"),
    *("decision_booking_id", "ticket_ids"),
}
"""Ids of the source that were numbers before they were text, and become so again where an upgrade is taken back."""

AUDIT = ("audit_logs", "audit_details", "audit_head")


def main(version: str, revision: str) -> None:
    """Write a database of this revision, with made-up rows in every table, as plain SQL."""
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder)) as server:
        database = Database(server.url(), TRAIL_KEYS)
        with database.transaction() as connection:
            command.upgrade(schema._config(connection), revision)
        with database.transaction() as connection:
            fill(connection)
        database.close()
        options = ("--inserts", "--no-owner", "--no-privileges", "--no-comments")
        url = server.url().replace("+psycopg", "")
        dumped = subprocess.run([program("pg_dump"), url, *options], check=True, capture_output=True, text=True)
    # Lines for psql alone are of no use to a driver; the guard in them is random.
    lines = [line for line in dumped.stdout.splitlines() if not line.startswith(("\\", "--"))]
    (RELEASES / f"{version}.sql").write_text("\n".join(line for line in lines if line) + "\n")


def fill(connection: Connection) -> None:
    """Put made-up rows into every table, those first that others refer to; the audit trail is a chain that holds."""
    audit.append(connection, [AuditEvent("made.up", f"cli:{number}", f"row:{number}", {}) for number in range(ROWS)])
    for table in tables(connection):
        if table.name in AUDIT:
            continue
        rows = [{column.name: value(column, number) for column in table.columns} for number in range(1, ROWS + 1)]
        connection.execute(table.insert(), rows)
        for column in table.columns:
            if column.identity is None:
                continue
            sequence = func.pg_get_serial_sequence(table.fullname, column.name)
            connection.execute(select(func.setval(sequence, ROWS)))


def tables(connection: Connection) -> list[Table]:
    """Every table of ours that the database has, in the order of their references."""
    found = MetaData()
    for name in SCHEMAS:
        found.reflect(connection, schema=name)
    return found.sorted_tables


def value(column: Column[Any], number: int) -> Any:
    """Something that the column takes, another for each number."""
    moment = datetime(2025, 8, 16, 8, 11, 49, 315000, UTC) + timedelta(days=number)
    word = str(number) if column.name in NUMBERED else f"{column.name} {number}"
    items: dict[type[TypeEngine[Any]], Any] = {Integer: number, Date: date(2025, number, 1), String: word}
    item = getattr(column.type, "item_type", None)
    listed = next((made for kind, made in items.items() if isinstance(item, kind)), word)
    by_type: dict[type[TypeEngine[Any]], Any] = {
        ARRAY: [listed],
        JSONB: {"id": number, "made up": column.name},
        Boolean: True,
        DateTime: moment,
        Date: date(2025, number, 1),
        Integer: number,
        Numeric: Decimal(15 * number),
        LargeBinary: word.encode(),
        String: ONE_OF.get(f"{column.table.name}.{column.name}", word),
    }
    return next(made for kind, made in by_type.items() if isinstance(column.type, kind))


if __name__ == "__main__":
    main(*sys.argv[1:])
