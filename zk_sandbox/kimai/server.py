"""The simulated Kimai as one object: its HTTP API, its state, its settings, and a way to seed it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from zk_sandbox.kimai import actions, invoices, masterdata_routes, other_routes, timesheet_routes, timesheets
from zk_sandbox.kimai.auth import Authenticator
from zk_sandbox.kimai.datetimes import end_of, start_of, to_epoch, zone
from zk_sandbox.kimai.http import endpoint, unrouted
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.masterdata import generated_number
from zk_sandbox.kimai.model import Activity, Customer, Invoice, Project, Rate, Tag, Team, Timesheet, User


class _Masterdata(Convertor[str]):
    regex = "|".join(masterdata_routes.KIND_NAMES)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("masterdata", _Masterdata())


class KimaiServer:
    """A Kimai in memory.

    The `add_` methods put rows in place without asking any rule, as an administrator with the database would; they
    return the id. Instants are aware date-times.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.kimai = Installation()
        self.configure(settings or {})

    def app(self) -> ASGIApp:
        """The HTTP API."""
        authenticator = Authenticator(self.kimai)
        routes = [
            Route(path, endpoint(authenticator, handler), methods=[method])
            for method, path, handler in (
                *timesheet_routes.ROUTES,
                *other_routes.ROUTES,
                *masterdata_routes.ROUTES,
                *actions.ROUTES,
            )
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: unrouted})

    def snapshot(self) -> dict[str, Any]:
        """Settings and tables as JSON."""
        tables = {name: table.dump() for name, table in self.kimai.tables.items()}
        return {"settings": self.kimai.settings.as_json(), "tables": tables}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Replace settings and tables by a snapshot."""
        self.configure(snapshot["settings"])
        for name, table in self.kimai.tables.items():
            table.load(snapshot["tables"][name])

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings by Kimai's own keys, in addition to `version`, `now`, `permissions` and `meta_fields`.

        ValueError names an unknown key or a bad value, and nothing is changed then.
        """
        self.kimai.settings = self.kimai.settings.changed(settings)

    def add_user(
        self,
        username: str,
        email: str,
        roles: Sequence[str] = (),
        timezone: str = "UTC",
        token: str | None = None,
        *,
        enabled: bool = True,
        system_account: bool = False,
        api_password: str | None = None,
        alias: str | None = None,
    ) -> int:
        """A user, with a Bearer token or without any way in."""
        user = User(
            id=self.kimai.users.new_id(),
            username=username,
            email=email,
            timezone=zone(timezone).key,
            roles=tuple(roles),
            tokens=() if token is None else (token,),
            api_password=api_password,
            enabled=enabled,
            system_account=system_account,
            alias=alias,
        )
        return self.kimai.users.put(user).id

    def add_team(self, name: str, leads: Iterable[int], members: Iterable[int] = (), **open_to: Sequence[int]) -> int:
        """A team; `customers`, `projects` and `activities` are ids then closed to everybody else."""
        people = ((user, True) for user in leads), ((user, False) for user in members)
        team = Team(
            id=self.kimai.teams.new_id(),
            name=name,
            members=tuple(person for group in people for person in group),
            **{kind: tuple(ids) for kind, ids in open_to.items()},
        )
        return self.kimai.teams.put(team).id

    def add_customer(self, name: str, number: str | None = None, **values: Any) -> int:
        """A customer; further columns by name."""
        settings, table = self.kimai.settings, self.kimai.customers
        defaults: dict[str, Any] = {
            "timezone": settings.customer_timezone,
            "country": settings.customer_country,
            "currency": settings.customer_currency,
        }
        customer = Customer(
            id=table.new_id(), name=name, number=number or generated_number(table), **(defaults | values)
        )
        return table.put(customer).id

    def add_project(
        self,
        name: str,
        customer: int,
        number: str | None = None,
        *,
        start: date | None = None,
        end: date | None = None,
        timezone: str = "UTC",
        **values: Any,
    ) -> int:
        """A project; `start` and `end` are days of its zone."""
        table, where = self.kimai.projects, zone(timezone)
        project = Project(
            id=table.new_id(),
            name=name,
            number=number or generated_number(table),
            customer=customer,
            timezone=where.key,
            start=None if start is None else start_of(start, where),
            end=None if end is None else end_of(end, where),
            **values,
        )
        return table.put(project).id

    def add_activity(self, name: str, project: int | None = None, number: str | None = None, **values: Any) -> int:
        """An activity, global unless it has a project."""
        table = self.kimai.activities
        activity = Activity(
            id=table.new_id(), name=name, number=number or generated_number(table), project=project, **values
        )
        return table.put(activity).id

    def add_tag(self, name: str, *, visible: bool = True, color: str | None = None) -> int:
        """A tag."""
        tags = self.kimai.tags
        return tags.put(Tag(tags.new_id(), name, color, visible)).id

    def add_timesheet(
        self,
        user: int,
        project: int,
        activity: int,
        begin: datetime,
        end: datetime | None,
        description: str | None = None,
        **values: Any,
    ) -> int:
        """A time entry exactly as given: unrounded, in its owner's zone."""
        row = {"user": user, "project": project, "activity": activity, "begin": begin, "end": end}
        return self.add_timesheets([row | {"description": description} | values])[0]

    def add_timesheets(self, rows: Iterable[Mapping[str, Any]]) -> list[int]:
        """Many time entries at once; columns as in `add_timesheet`."""
        entries = [self._entry(**row) for row in rows]
        self.kimai.timesheets.put_all(entries)
        return [entry.id for entry in entries]

    def _entry(self, *, user: int, begin: datetime, end: datetime | None, **values: Any) -> Timesheet:
        first, last = to_epoch(begin), None if end is None else to_epoch(end)
        derived = {
            "id": self.kimai.timesheets.new_id(),
            "timezone": self.kimai.users.rows[user].timezone,
            "duration": 0 if last is None else last - first,
            "modified_at": self.kimai.now(),
        }
        return Timesheet(user=user, begin=first, end=last, **(derived | values))

    def add_rate(self, kind: str, owner: int, rate: str, user: int | None = None, *, is_fixed: bool = False) -> int:
        """An hourly or fixed rate of `customers`, `projects` or `activities`; entries keep theirs until saved again."""
        rates = self.kimai.rates
        return rates.put(Rate(rates.new_id(), kind, owner, Decimal(rate), user, is_fixed=is_fixed)).id

    def edit_timesheet(self, entry_id: int, **columns: Any) -> Timesheet:
        """What a person saves in Kimai's own form: rounded, priced, and reset where it moves."""
        return timesheets.edit(self.kimai, entry_id, columns)

    def invoice(self, maker: int, customer: int, first: date, last: date, vat: str = "19") -> Invoice | None:
        """A person invoices a customer's billable entries of these days; None where there are none."""
        return invoices.create(self.kimai, self.kimai.users.rows[maker], customer, first, last, Decimal(vat))

    def export(self, maker: int, first: date, last: date, *, billable: bool | None = None, mark: bool = True) -> None:
        """A person exports the entries of these days, with or without the box that marks them."""
        invoices.export(self.kimai, self.kimai.users.rows[maker], first, last, billable=billable, mark=mark)

    def change_invoice(self, invoice_id: int, status: str) -> None:
        """A person changes an invoice's status: `new`, `pending`, `paid`, `canceled`."""
        invoices.change_status(self.kimai, invoice_id, status)

    def delete_invoice(self, invoice_id: int) -> None:
        """A person deletes an invoice; its entries stay marked."""
        self.kimai.invoices.remove(invoice_id)
