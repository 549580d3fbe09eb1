"""`/api/v1/statements`: a month as it was made last, as JSON and as files, and sentences for what there is not."""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime

import httpx
import pytest
from openpyxl import load_workbook
from sqlalchemy import Connection, insert, text

from zk_pipeline.billing.files import MEDIA_TYPES, FileFormat
from zk_pipeline.domain.statement_rows import PARTS
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.raw_tables import timesheets
from zk_pipeline_tests.cli.test_up import free_port
from zk_pipeline_tests.credits import credited
from zk_pipeline_tests.web.conftest import Web, refused

STATEMENTS = "/api/v1/statements"
MONTH = f"{STATEMENTS}/2025-08"
NOWHERE = f"http://127.0.0.1:{free_port()}"
AMOUNTS = ("zammad", *PARTS, "billable", "billed", "to_be_billed")
NAMES = "customer_id bigint, customer text, organization_id text, activity text"
NUMBERS = ", ".join(f"minutes_{name} numeric NOT NULL DEFAULT 0" for name in AMOUNTS)
TABLES = {
    "statement_lines": f"month date, {NAMES}, agent text, agent_email text, entries bigint, {NUMBERS}",
    "int_entries_named": (
        "entry_key text, source_id text, kimai_id bigint, ticket_id text, ticket_number text, "
        f"entry_date date, {NAMES}, agent_name text, agent_address text, {NUMBERS}, "
        "minutes_unexplained numeric NOT NULL DEFAULT 0"
    ),
    "fct_time_entries": "entry_date date, day_version text, built_at timestamptz",
    "stg_day_versions": "entry_date date, day_version text",
    **dict.fromkeys(("stg_bookings", "stg_entries", "stg_ledger", "stg_adjustments"), "entry_date date"),
}
LINES = """
    INSERT INTO marts.statement_lines (
        month, customer_id, customer, activity, agent, agent_email, entries,
        minutes_zammad, minutes_kimai, minutes_waiting, minutes_rounding
    ) VALUES
        ('2025-08-01', 1, '=1+1', 'Support', 'Ben', 'ben@example.com', 2, 37.5, 30, 7.5, 0),
        ('2025-08-01', 2, 'Globex', 'Support', 'Ben', 'ben@example.com', 1, 7, 15, 0, -8)
"""
DAYS = """
    INSERT INTO marts.int_entries_named (
        entry_key, entry_date, customer_id, customer, activity, agent_name, agent_address, minutes_zammad, minutes_kimai
    ) VALUES
        ('z1', '2025-08-04', 1, '=1+1', 'Support', 'Ben', 'ben@example.com', 30, 30),
        ('z2', '2025-08-05', 1, '=1+1', 'Support', 'Ben', 'ben@example.com', 7.5, 0),
        ('z3', '2025-08-05', 2, 'Globex', 'Support', 'Ben', 'ben@example.com', 7, 15)
"""

pytestmark = pytest.mark.parametrize(
    "settings", [{"timezone": "Europe/Berlin", "dagster_address": NOWHERE}], indirect=True
)


def make_marts(connection: Connection) -> None:
    """Marts of August with two customers, as far as a statement looks at them."""
    for name, columns in TABLES.items():
        connection.execute(text(f"CREATE TABLE marts.{name} ({columns})"))
    for rows in (LINES, DAYS):
        connection.execute(text(rows))


@pytest.fixture
def statement(web: Web) -> Iterator[Web]:
    with web.database.transaction() as connection:
        make_marts(connection)
    yield web
    with web.database.transaction() as connection:
        for name in TABLES:
            connection.execute(text(f"DROP TABLE marts.{name}"))


def test_a_viewer_reads_the_statement_with_exact_amounts(statement: Web, viewer: httpx.Client) -> None:
    answer = viewer.get(MONTH)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert (told["month"], told["verdict"], told["unexplained"]) == ("2025-08", "waiting", "0.0")
    assert (told["minutes"]["zammad"], told["minutes"]["rounding"]) == ("44.5", "-8")
    assert [account["customer"]["name"] for account in told["customers"]] == ["=1+1", "Globex"]
    assert [(day["day"], day["zammad"]) for day in told["days"]] == [("2025-08-04", "30"), ("2025-08-05", "14.5")]


@pytest.mark.parametrize("kind", [FileFormat.CSV, FileFormat.XLSX, FileFormat.PDF])
def test_a_file_has_its_type_and_a_name_to_save_it_under(
    statement: Web, viewer: httpx.Client, kind: FileFormat
) -> None:
    answer = viewer.get(MONTH, params={"format": kind})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPES[kind]
    assert answer.headers["content-disposition"] == f'attachment; filename="statement-2025-08.{kind}"'


def test_the_file_of_a_customer_bears_its_name_and_a_zip_has_all_of_them(statement: Web, viewer: httpx.Client) -> None:
    answer = viewer.get(MONTH, params={"format": "pdf", "customer": "2"})
    assert answer.headers["content-disposition"] == 'attachment; filename="2025-08_Globex.pdf"'
    with statement.database.transaction() as connection:
        connection.execute(text("UPDATE marts.statement_lines SET customer = 'Weiß' WHERE customer_id = 2"))
        connection.execute(text("UPDATE marts.int_entries_named SET customer = 'Weiß' WHERE customer_id = 2"))
    answer = viewer.get(MONTH, params={"format": "pdf", "customer": "2"})
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''2025-08_Wei%C3%9F.pdf")
    answer = viewer.get(MONTH, params={"format": "zip"})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert set(archive.namelist()) == {"2025-08_1-1.pdf", "2025-08_Weiß.pdf"}


def test_no_file_holds_a_formula(statement: Web, viewer: httpx.Client) -> None:
    assert ",'=1+1," in viewer.get(MONTH, params={"format": "csv"}).text
    book = load_workbook(io.BytesIO(viewer.get(MONTH, params={"format": "xlsx"}).content))
    assert not [cell for sheet in book for row in sheet for cell in row if cell.data_type == "f"]


def test_a_pdf_is_one_in_every_language(statement: Web, viewer: httpx.Client) -> None:
    for language in ("en", "de", "fr"):
        answer = viewer.get(MONTH, params={"format": "pdf", "language": language, "customer": "globex"})
        assert answer.content.startswith(b"%PDF")


def test_one_customer_is_asked_for_by_name_or_number(statement: Web, viewer: httpx.Client) -> None:
    for wanted in ("globex", "2"):
        told = viewer.get(MONTH, params={"customer": wanted}).json()
        assert [account["customer"] for account in told["customers"]] == [{"name": "Globex", "id": 2}]
        assert told["minutes"]["zammad"] == "7"


def test_a_closed_month_is_read_as_it_was_closed(statement: Web, viewer: httpx.Client, admin: httpx.Client) -> None:
    refused(viewer.get(MONTH, params={"closed": True}), 409, "2025-08 was never closed")
    assert viewer.get(MONTH).json()["closing"] is None
    with statement.database.transaction() as connection:
        connection.execute(text("ALTER TABLE marts.int_entries_named ADD booking_month date"))
    closed = admin.post("/api/v1/periods/2025-08/close", json={"with_waiting": True})
    assert closed.status_code == 200, closed.text
    with statement.database.transaction() as connection:
        connection.execute(text("UPDATE marts.statement_lines SET customer = 'Globex AG' WHERE customer_id = 2"))
    today, kept = (viewer.get(MONTH, params={"closed": value, "customer": "2"}).json() for value in (False, True))
    assert [told["customers"][0]["customer"]["name"] for told in (today, kept)] == ["Globex AG", "Globex"]
    assert [(told["closing"]["differs"], told["closing"]["shown"]) for told in (today, kept)] == [
        (True, False),
        (False, True),
    ]


def test_a_customer_is_told_of_time_sheets_and_not_of_bookings_that_came_to_nothing(
    statement: Web, viewer: httpx.Client
) -> None:
    minutes = viewer.get(MONTH, params={"customer": "1"}).json()["minutes"]
    assert (minutes["entries"], minutes["timesheets"], minutes["kimai"]) == (2, 1, "30")


def test_an_open_credit_stands_with_its_customer_until_it_is_settled(
    statement: Web, viewer: httpx.Client, operator: httpx.Client
) -> None:
    with statement.database.transaction() as connection:
        credited(
            connection,
            original_day=date(2025, 7, 16),
            original_month=date(2025, 7, 1),
            entry_date=date(2025, 8, 5),
        )
    told = viewer.get(MONTH).json()
    assert {row["customer"]["name"]: row["credits_open"] for row in told["customers"]} == {
        "=1+1": "0",
        "Globex": "0",
        "ZO7": "15",
    }
    (credit,) = viewer.get("/api/v1/credits").json()["items"]
    assert operator.post(f"/api/v1/credits/{credit['id']}/settle", json={"note": "note 12"}).status_code == 200
    assert viewer.get(MONTH).json()["credits_open"] == "0"


def test_each_time_sheet_is_told_with_its_customer(statement: Web, viewer: httpx.Client) -> None:
    with statement.database.transaction() as connection:
        connection.execute(
            text("UPDATE marts.int_entries_named SET kimai_id = 11, source_id = '1' WHERE entry_key = 'z1'")
        )
        sheet = {"id": 11, "user_id": 1, "project_id": 1, "activity_id": 1, "duration_seconds": 1800, "description": ""}
        sheet |= {"begin_at": datetime(2025, 8, 4, 9, tzinfo=UTC), "tags": [], "exported": False, "billable": False}
        connection.execute(insert(timesheets).values(connector=active_connectors(connection).target, raw={}, **sheet))
    told = {row["customer"]["name"]: row for row in viewer.get(MONTH).json()["customers"]}
    (item,) = told["=1+1"]["items"]
    assert (item["day"], item["minutes"], item["agent"], item["timesheet"]) == ("2025-08-04", "30", "Ben", 11)
    assert told["Globex"]["items"] == []
    book = load_workbook(io.BytesIO(viewer.get(MONTH, params={"format": "xlsx", "customer": "1"}).content))
    assert [row[0] for row in book["Time sheets"].iter_rows(min_row=3, values_only=True)] == ["=1+1", "total"]


def test_an_unknown_customer_is_answered_with_those_that_are_near(statement: Web, viewer: httpx.Client) -> None:
    answer = viewer.get(MONTH, params={"customer": "Globx"})
    assert answer.status_code == 404
    assert "Is one of these meant: Globex (2)?" in answer.json()["detail"]


def test_what_is_no_month_format_or_language_is_refused(statement: Web, viewer: httpx.Client) -> None:
    refused(viewer.get(f"{STATEMENTS}/2025-13"), 422, "'2025-13' is not a month")
    refused(viewer.get(f"{STATEMENTS}/august"), 422, "month")
    refused(viewer.get(MONTH, params={"format": "docx"}), 422, "format")
    refused(viewer.get(MONTH, params={"language": "xx"}), 422, "language")


def test_without_marts_the_answer_says_to_make_the_statement(web: Web, viewer: httpx.Client) -> None:
    refused(viewer.get(MONTH), 409, "There is no statement of 2025-08 yet. Make it first.")


def test_a_stranger_reads_no_statement_and_a_viewer_makes_none_anew(web: Web, viewer: httpx.Client) -> None:
    assert web.client.get(MONTH).status_code == 401
    refused(viewer.post(f"{STATEMENTS}/refresh"), 403, "This needs the role operator")


def test_an_operator_is_told_that_dagster_does_not_answer(web: Web, operator: httpx.Client) -> None:
    refused(operator.post(f"{STATEMENTS}/refresh"), 502, "Dagster")
