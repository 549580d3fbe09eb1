"""What Kimai charges, as the connector reads it: amounts, currencies, breaks and invoices, to the last digit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from zk_pipeline.connectors.errors import PermissionDeniedError, UnavailableError
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.domain.records import TimesheetChange, TimesheetDraft, Window
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline_tests.connectors.conftest import DAY, ConnectKimai, Office
from zk_sandbox.client import SandboxControl
from zk_sandbox.kimai import KimaiServer

BEGIN = DAY + timedelta(hours=9)


def _draft(office: Office, minutes: int = 5) -> TimesheetDraft:
    end = BEGIN + timedelta(minutes=minutes)
    return TimesheetDraft(office.anna, office.project, office.activity, BEGIN, end, "Work", ())


def _invoiced(kimai: KimaiServer, office: Office, number: int) -> None:
    """So many invoices of one time sheet each."""
    for day in range(number):
        begin = BEGIN + timedelta(days=day)
        end = begin + timedelta(hours=1)
        kimai.add_timesheet(office.anna, office.project, office.activity, begin, end, rate=Decimal("119.9999"))
        assert kimai.invoice(office.account, office.customer, begin.date(), begin.date())


class TestTimesheets:
    def test_amounts_are_exact_whether_they_come_alone_or_in_a_list(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        kimai.add_rate("customers", office.customer, "80.10")
        made = target.create(_draft(office))
        assert (made.rate, made.hourly_rate, made.fixed_rate) == (Decimal("6.675"), Decimal("80.1"), None)
        (listed,) = [row for page in target.fetch(Window(DAY, DAY + timedelta(days=1))).pages() for row in page]
        assert (listed.rate, listed.hourly_rate) == (Decimal("6.675"), None)
        assert listed == made

    def test_a_break_is_told_beside_the_shorter_duration(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        made = target.create(_draft(office, 60))
        kimai.edit_timesheet(made.id, pause=900)
        seen = target.get(made.id)
        assert seen is not None
        assert (seen.break_seconds, seen.duration_seconds) == (900, 2700)

    def test_who_may_not_see_rates_reads_time_sheets_without(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        kimai.configure({
            "version": "2.66.0", "permissions": {"ROLE_SUPER_ADMIN": {"view_rate_other_timesheet": False}}
        })  # fmt: skip
        made = target.create(_draft(office))
        assert (made.rate, made.hourly_rate, made.fixed_rate, made.faults) == (None, None, None, {})

    def test_an_amount_that_is_none_parks_the_row_alone(
        self, target: KimaiConnector, kimai_control: SandboxControl, office: Office
    ) -> None:
        made = target.create(_draft(office))
        text = '{"id": 1, "rate": "a lot", "break": true}'
        kimai_control.add_fault("respond", path=f"timesheets/{made.id}", status=200, text=text)
        seen = target.get(made.id)
        assert seen is not None
        assert seen.faults["rate"] == "a text came instead of an amount"
        assert seen.faults["break"] == "true or false came instead of a whole number"

    def test_what_kimai_resets_on_a_move_is_sent_again(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        kimai.add_rate("customers", office.customer, "140")
        elsewhere = kimai.add_project("Elsewhere", office.customer)
        made = target.create(_draft(office, 60))
        set_by_hand = kimai.edit_timesheet(made.id, billable=False, hourly_rate=Decimal("199.99"))
        assert set_by_hand.rate == Decimal("199.99")
        current = target.get(made.id)
        assert current is not None
        change = TimesheetChange(project_id=elsewhere, billable=False, hourly_rate=Decimal("199.99"))
        changed = target.update(current, change)
        assert (changed.project_id, changed.billable, changed.rate) == (elsewhere, False, Decimal("199.99"))
        assert target.requests.writes == 3, "the creation, the move, and what was reset"

    def test_who_may_not_set_rates_is_told_before_anything_changes(
        self, kimai: KimaiServer, office: Office, connect_kimai: ConnectKimai
    ) -> None:
        elsewhere = kimai.add_project("Elsewhere", office.customer)
        target = connect_kimai()
        made = target.create(_draft(office, 60))
        kimai.configure({"permissions": {"ROLE_SUPER_ADMIN": {"edit_rate_other_timesheet": False}}})
        with pytest.raises(PermissionDeniedError) as caught:
            target.update(made, TimesheetChange(project_id=elsewhere, hourly_rate=Decimal(200)))
        assert "edit_rate_other_timesheet" in caught.value.remedy
        assert kimai.kimai.timesheets.rows[made.id].project == office.project


class TestDirectory:
    def test_customers_have_their_currency(self, target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
        swiss = kimai.add_customer("Helvetia", currency="CHF")
        currencies = {row.id: row.currency for row in target.fetch_directory().customers}
        assert currencies == {office.customer: "EUR", swiss: "CHF"}


class TestInvoices:
    def test_each_comes_with_its_amounts_and_status(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        kimai.configure({"now": "2025-09-01T08:00:00Z"})
        _invoiced(kimai, office, 2)
        kimai.change_invoice(1, "canceled")
        kimai.change_invoice(2, "paid")
        reading = target.fetch_invoices()
        assert reading.problem == ""
        cancelled, paid = reading.rows
        assert (cancelled.status, cancelled.payment_date) == ("canceled", None)
        assert (paid.status, paid.payment_date) == ("paid", date(2025, 9, 1))
        assert (paid.number, paid.customer_id, paid.currency) == ("2025/002", office.customer, "EUR")
        assert (paid.total, paid.tax, paid.vat) == (Decimal("142.8"), Decimal("22.8"), Decimal(19))
        assert (paid.created_at, paid.due_days) == (datetime(2025, 9, 1, 8, tzinfo=UTC), 30)

    def test_all_pages_are_read(self, target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
        _invoiced(kimai, office, 501)
        assert len(target.fetch_invoices().rows) == 501
        assert target.requests.reads == 2

    def test_without_the_permission_the_absence_is_told_and_nothing_fails(
        self, target: KimaiConnector, kimai: KimaiServer
    ) -> None:
        kimai.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_invoice": False}}})
        reading = target.fetch_invoices()
        assert reading.rows == ()
        assert reading.problem == "The account may not read invoices: view_invoice is missing."
        (finding,) = [finding for finding in target.validate().findings if finding.subject == "invoices"]
        assert finding.level is Level.WARN
        assert "view_invoice" in finding.remedy

    def test_with_the_permission_validating_says_so(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        _invoiced(kimai, office, 1)
        (finding,) = [finding for finding in target.validate().findings if finding.subject == "invoices"]
        assert (finding.level, finding.text) == (Level.PASS, "1 invoices can be read (view_invoice).")

    def test_before_2_22_there_is_no_list(self, target: KimaiConnector, kimai: KimaiServer) -> None:
        kimai.configure({"version": "2.21.0"})
        assert target.fetch_invoices().problem == "Before 2.22 Kimai has no list of invoices."

    def test_one_that_cannot_be_read_leaves_the_whole_in_doubt(
        self, target: KimaiConnector, kimai_control: SandboxControl
    ) -> None:
        kimai_control.add_fault(
            "respond",
            path="invoices",
            status=200,
            text='[{"id": 7}]',
            headers={"X-Total-Count": "1", "X-Total-Pages": "1"},
        )
        assert "Invoice 7" in target.fetch_invoices().problem

    def test_a_kimai_that_is_down_is_no_missing_permission(
        self, target: KimaiConnector, kimai_control: SandboxControl
    ) -> None:
        kimai_control.add_fault("respond", path="invoices", status=503, text="")
        with pytest.raises(UnavailableError):
            target.fetch_invoices()
