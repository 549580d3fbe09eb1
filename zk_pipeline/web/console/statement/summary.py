"""The head of a statement: the verdict, the equation, and the files to save."""

from collections.abc import Mapping
from urllib.parse import urlencode

from zk_pipeline.domain.closing import month_name
from zk_pipeline.domain.statement import Customer, Statement, Verdict, spelled
from zk_pipeline.operations.statement_files import FileFormat, money
from zk_pipeline.operations.statement_files.look import Language, Look, look_of
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Tone
from zk_pipeline.web.console.visit import Visit
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
        for text in money.questions(row, look):
            parts.text("p", f"{name}{text}", "zk-note zk-warn")
    if statement.readings:
        parts.text("p", money.read(look, statement.readings), "zk-muted")


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
