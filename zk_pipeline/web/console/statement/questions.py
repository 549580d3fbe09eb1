"""What is to be asked about money and invoices: a card for each question, with what answers it."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from nicegui.element import Element

from zk_pipeline.billing import invoices
from zk_pipeline.billing.invoices import InvoiceComparison, Question, QuestionKind
from zk_pipeline.domain.manual_fields import money
from zk_pipeline.domain.records import MasterDataKind
from zk_pipeline.identity.actors import OperationError, Role
from zk_pipeline.runtime import links
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.statement import figures
from zk_pipeline.web.console.visit import Visit, new_key

NAMED = 5
"""Customers that a card names; the others are counted."""


def show(visit: Visit, asked: Sequence[Question], refresh: Callable[[], Awaitable[None]]) -> None:
    """The cards, in the order of the questions."""
    words = visit.words
    for question in asked:
        with widgets.box("zk-card zk-cause", "article") as card, widgets.box("zk-cause-head"):
            with widgets.box("zk-cause-what"):
                title = _title(visit, question)
                widgets.text("h3", title, "zk-cause-name").props("dir=auto")
                widgets.text("p", _about(visit, question), "zk-muted").props("dir=auto")
            with widgets.box("zk-cause-fixes"):
                if question.compared is not None and visit.may(Role.OPERATOR):
                    _offer_acceptance(visit, question.compared, _name(visit, question), card, refresh)
                if question.base_url:
                    link = widgets.link(words("todo.open_in_kimai"), _address(question), outside=True)
                    link.props["aria-label"] = f"{words('todo.open_in_kimai')}: {title}"


def _title(visit: Visit, question: Question) -> str:
    words, found = visit.words, question.compared
    name = _name(visit, question)
    amount = _amount(visit, found, abs(found.difference)) if found else ""
    return words(f"money.{question.kind}", customer=name, amount=amount, number=words.number(question.timesheets))


def _name(visit: Visit, question: Question) -> str:
    """Whom a question is about, or the first of them."""
    return question.called(question.customers[0][0]) or visit.words("statement.nobody")


def _about(visit: Visit, question: Question) -> str:
    """Why it is asked and what to do, and whom it is about."""
    words, found, key = visit.words, question.compared, f"money.{question.kind}.about"
    if found is not None:
        exported, invoiced = (_amount(visit, found, amount) for amount in (found.exported, found.invoiced))
        return words(key, exported=exported, invoiced=invoiced)
    rows = sorted(question.customers, key=lambda row: -row[1])
    nobody = words("statement.nobody")
    named = [f"{question.called(customer) or nobody}: {words.number(number)}" for customer, number in rows[:NAMED]]
    more = [words.count("statement.gaps.more", len(rows) - NAMED)] if len(rows) > NAMED else []
    return f"{words(key)} {', '.join((*named, *more))}."


def _amount(visit: Visit, found: InvoiceComparison, amount: Decimal) -> str:
    return figures.style_for(visit).number(money(amount, found.currency))


def _address(question: Question) -> str:
    """Where it is answered in Kimai."""
    if question.kind is QuestionKind.UNREAD:
        return links.permissions(question.base_url)
    (customer, _), *others = question.customers
    if others:
        return links.customers(question.base_url)
    return links.master_data(question.base_url, MasterDataKind.CUSTOMER, customer.id)


def _offer_acceptance(
    visit: Visit, found: InvoiceComparison, name: str, card: Element, refresh: Callable[[], Awaitable[None]]
) -> None:
    """The button by which an operator accepts what differs from the invoices."""
    words = visit.words

    def ask() -> None:
        key = new_key()
        with widgets.dialog(words("statement.accept.title", customer=name), words("close")) as dialog:
            widgets.text("p", words("statement.accept.about"), "zk-muted")
            reason = widgets.field(words("statement.accept.reason"), hint=words("statement.accept.hint"))

            async def accept() -> None:
                if not (reason.value or "").strip():
                    raise OperationError(words("statement.accept.missing"), "reason")
                await visit.once(
                    key,
                    invoices.accept,
                    visit.runtime,
                    visit.actor,
                    str(found.customer_id),
                    reason.value or "",
                    currency=found.currency,
                    difference=found.difference,
                )
                dialog.close()
                card.set_visibility(False)  # It may stand in a dialog, which is not drawn again.
                visit.notify(words("statement.accept.done"))
                await refresh()

            form = feedback.Form(visit, Role.OPERATOR, {"reason": reason}, cancel=dialog.close)
            form.button(words("statement.accept"), accept)

    button = widgets.button(words("statement.accept.open"), ask)
    button.props["aria-label"] = f"{words('statement.accept.open')} {name}"
