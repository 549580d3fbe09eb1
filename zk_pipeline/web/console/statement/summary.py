"""The head of a statement: the verdict, the equation, and the files to save."""

from collections.abc import Mapping
from urllib.parse import urlencode

from zk_pipeline.domain.closing import month_name
from zk_pipeline.domain.statement import Customer, Statement, Verdict, spelled
from zk_pipeline.domain.statement_rows import Money
from zk_pipeline.operations import invoices
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.statement_files import FileFormat, money
from zk_pipeline.operations.statement_files.look import Language, Look, look_of
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Tone
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.words import Words

FILES = "/api/v1/statements"

_TONES: Mapping[Verdict, Tone] = {Verdict.BALANCED: "good", Verdict.WAITING: "warn", Verdict.UNBALANCED: "bad"}
_SAVED = (FileFormat.CSV, FileFormat.XLSX, FileFormat.PDF)


def verdict(visit: Visit, statement: Statement) -> None:
    """Whether it balances, and the equation that says so."""
    words, found = visit.words, statement.verdict
    with parts.box("zk-row"):
        nothing_waits = found is Verdict.WAITING and not any(line.amounts.waiting for line in statement.lines)
        told = "draft" if nothing_waits else found.value
        parts.chip(words(f"statement.verdict.{told}"), _TONES[found])
        parts.text("span", words(f"statement.{told}"))
        if found is Verdict.WAITING:
            parts.link(words("statement.decide"), "/reconcile?view=conflicts")
    equation(visit, statement)
    look = look_for(visit)
    of_accounts = (look.of_questions(statement.accounts), look.of_credits(statement.credited))
    for text in filter(None, (*of_accounts, look.of_beside(statement.accounts))):
        parts.text("p", text)
    money_of(visit, statement)
    if statement.closing:
        tone = "zk-note zk-warn" if statement.closing.differs else "zk-muted"
        parts.text("p", look.of_closing(statement.closing), tone)
        parts.text("p", look.of_hash(statement.closing), "zk-muted zk-hash")
    if statement.built_at:
        parts.text("p", words("statement.built", instant=words.instant(statement.built_at)), "zk-muted")


def equation(visit: Visit, statement: Statement) -> None:
    """Of what the booked minutes are the sum."""
    parts.text("p", spelled(statement.total, look_for(visit).word, visit.words.minutes), "zk-lead zk-equation")


def money_of(visit: Visit, statement: Statement) -> None:
    """Amounts, invoices, what does not match them, and how fresh all of it is."""
    look = look_for(visit)
    rows = [row for account in statement.accounts for row in account.money]
    alone = len(statement.accounts) == 1
    for row in rows:
        name = "" if alone else f"{row.customer}: "
        if alone:
            parts.text("p", " ".join(money.amounts(look, row)))
        elif row.compared is not None and row.compared.accepted:
            parts.text("p", f"{name}{money.accepted(look, row.compared)}")
        for text in money.questions(row, look):
            parts.text("p", f"{name}{text}", "zk-note zk-warn")
        if row.compared is not None and row.compared.difference and not row.compared.accepted:
            _offer_acceptance(visit, row)
    if statement.readings:
        parts.text("p", money.read(look, statement.readings), "zk-muted")


def _offer_acceptance(visit: Visit, row: Money) -> None:
    """The button by which an operator accepts what differs from the invoices, where the visitor is one."""
    words = visit.words
    if not visit.may(Role.OPERATOR):
        return

    def ask() -> None:
        key = new_key()
        with parts.dialog(words("statement.accept.title", customer=row.customer.name), words("close")) as dialog:
            parts.text("p", words("statement.accept.about"), "zk-muted")
            reason = parts.field(words("statement.accept.reason"), hint=words("statement.accept.hint"))

            async def accept() -> None:
                found = row.compared
                assert found is not None  # noqa: S101 - the button is there for it
                await visit.once(
                    key,
                    invoices.accept,
                    visit.runtime,
                    visit.actor,
                    str(row.customer.id),
                    reason.value or "",
                    currency=row.currency,
                    difference=found.difference,
                )
                dialog.close()
                visit.tell(words("statement.accept.done"))

            with parts.actions():
                parts.button(words("cancel"), dialog.close)
                parts.button(words("statement.accept"), visit.act(Role.OPERATOR, accept), kind="primary")

    with parts.actions():
        parts.button(words("statement.accept.open"), ask)


def downloads(words: Words, statement: Statement, customer: Customer | None) -> None:
    """The files, of one customer or of all."""
    about = {"customer": str(customer.id) if customer.id else customer.name} if customer else {}
    if statement.closing and statement.closing.shown:
        about["closed"] = "true"
    with parts.box("zk-row"):
        for kind in _SAVED:
            csv = words.csv if kind is FileFormat.CSV else {}
            query = urlencode({"format": kind.value, "language": words.language.value, **csv, **about})
            title = words("statement.download", format=kind.value.upper())
            parts.link(title, f"{FILES}/{month_name(statement.month)}?{query}")


def look_for(visit: Visit) -> Look:
    """That of the documents, in the visitor's language."""
    return look_of(visit.runtime.settings, Language(visit.words.language.value))
