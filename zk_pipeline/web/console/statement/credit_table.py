"""Credits that are not settled yet: minutes billed in excess, and the dialog that records how one was settled."""

from collections.abc import Awaitable, Callable, Sequence

from zk_pipeline.billing import credit_list
from zk_pipeline.billing.credit_list import Credit
from zk_pipeline.domain.manual_fields import money
from zk_pipeline.identity.actors import OperationError, Role
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.statement import figures
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.widgets import Cell, Column

SHOWN = 50


def show(visit: Visit, open_ones: Sequence[Credit], refresh: Callable[[], Awaitable[None]]) -> None:
    """The open credits of all months, each with its button; nothing where there are none."""
    if not open_ones:
        return
    words = visit.words
    names = ("day", "ticket", "customer", "agent", "activity")
    columns = [Column(words(f"statement.{name}")) for name in names]
    columns += [Column(words(f"statement.{name}"), number=True) for name in ("time", "amount")]
    columns += [Column(words("credits.reason")), Column("")]
    rows: list[list[Cell]] = [
        [
            words.day(row.day),
            row.ticket or words("credits.booking", booking=row.booking),
            row.customer or row.project,
            row.user or "",
            row.activity or "",
            figures.time_cell(words, row.minutes),
            _amount(visit, row),
            words.said(row.reason),
            lambda row=row: _settle_button(visit, row, refresh),
        ]
        for row in open_ones[:SHOWN]
    ]
    with widgets.card(words("credits.title")):
        widgets.text("p", words("credits.about"), "zk-muted")
        widgets.table(words("credits.title"), columns, rows)
        if len(open_ones) > SHOWN:
            widgets.text("p", words.count("statement.gaps.more", len(open_ones) - SHOWN), "zk-muted")


def _amount(visit: Visit, row: Credit) -> str:
    return figures.style_for(visit).number(money(row.amount, row.currency or "")) if row.amount is not None else ""


def _settle_button(visit: Visit, row: Credit, refresh: Callable[[], Awaitable[None]]) -> None:
    if visit.may(Role.OPERATOR):
        with widgets.box("zk-row-actions"):
            button = widgets.button(visit.words("credits.settle.open"), lambda: _ask(visit, row, refresh), kind="quiet")
            button.props["aria-label"] = visit.words("credits.settle.of", booking=row.ticket or row.booking)


def _ask(visit: Visit, row: Credit, refresh: Callable[[], Awaitable[None]]) -> None:
    words, key = visit.words, new_key()
    with widgets.dialog(words("credits.settle.title", customer=row.customer or row.project), words("close")) as dialog:
        time, amount = words.hours(row.minutes), _amount(visit, row)
        widgets.text("p", f"{time} ({amount})" if amount else time, "zk-lead")
        widgets.text("p", words("credits.settle.about"), "zk-muted")
        note = widgets.field(words("credits.note"), hint=words("credits.note.hint")).props("maxlength=1000")

        async def settle() -> None:
            given = (note.value or "").strip()
            if not given:
                raise OperationError(words("credits.note.missing"), "note")
            await visit.once(key, credit_list.settle, visit.runtime, visit.actor, row.id, given)
            dialog.close()
            visit.notify(words("credits.settle.done"))
            await refresh()

        form = feedback.Form(visit, Role.OPERATOR, {"note": note}, cancel=dialog.close)
        form.button(words("credits.settle"), settle)
