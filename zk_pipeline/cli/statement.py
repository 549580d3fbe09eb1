"""`zk statement`: where every minute of a month went, as a table or a file."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zk_pipeline.billing import letterhead, statements
from zk_pipeline.billing.files import FileFormat, money, render
from zk_pipeline.billing.files.style import DocumentStyle, document_style
from zk_pipeline.billing.invoices import compare
from zk_pipeline.cli.close import Month
from zk_pipeline.cli.output import CsvDialect, UsageError, environment, err, explained, out, show_table, words
from zk_pipeline.domain.periods import in_hours, month_name
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.domain.statement import (
    AGE_NAMES,
    Amounts,
    CustomerStatement,
    Statement,
    Verdict,
    conflict_ages,
    equation_text,
    hours,
)
from zk_pipeline.domain.statement_rows import PARTS
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.languages import Language

EXIT_CODES = {Verdict.BALANCED: 0, Verdict.UNBALANCED: 1, Verdict.WAITING: 3}
GAPS_SHOWN = 20
ALWAYS_SHOWN = ("zammad", "kimai", "waiting", "to_be_billed")
COLUMNS = ("zammad", *PARTS, "unexplained", "billed", "to_be_billed")


class Format(StrEnum):
    """A table in the terminal, or a file."""

    TABLE = "table"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"
    ZIP = "zip"
    JSON = "json"


def statement(
    month: Month,
    *,
    customer: Annotated[
        str | None, typer.Option("--customer", help="Only this customer: name, or id in Kimai.")
    ] = None,
    shape: Annotated[
        Format, typer.Option("--format", help="A table, or a file format; zip: a PDF for each customer.")
    ] = Format.TABLE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None,
    language: Annotated[
        Language | None, typer.Option("--language", help="Language of PDF and XLSX; default: ZK_LANGUAGE.")
    ] = None,
    internal: Annotated[bool, typer.Option("--internal", help="Add to the PDF where every minute went.")] = False,
    dialect: CsvDialect = CsvFormat.PLAIN,
    closed: Annotated[
        bool, typer.Option("--closed", help="The statement as it was when the month was closed.")
    ] = False,
    invoices: Annotated[bool, typer.Option("--invoices", help="Compare with Kimai's invoices first.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh/--as-built", help="Build the marts first if the month has changed.")
    ] = True,
) -> None:
    """Show where every minute of a month went, by customer.

    Exit code 0: it balances and nothing is open. 3: minutes wait, or conflicts or corrections are open. 1: it does not
    balance.
    """
    with environment() as ready, explained(OperationError):
        if shape in {Format.XLSX, Format.PDF, Format.ZIP} and output is None:
            raise UsageError(f"Add --output FILE: {shape} cannot be shown in the terminal.")
        if shape is Format.TABLE and output is not None:
            raise UsageError("Add --format csv, xlsx, pdf, zip or json: a table cannot be written to a file.")
        settings = ready.runtime.settings
        if invoices:
            compare(ready.runtime)
        found = statements.statement(ready.runtime, month, customer, refresh=refresh, closed=closed)
        spoken = replace(document_style(settings), hours=words().hours)
        verdict = _summary(found, spoken)
        if shape is Format.TABLE:
            _show(found, spoken)
            out.print(verdict, style="bold", markup=False, soft_wrap=True)
        else:
            style = document_style(settings, language, internal=internal, csv=dialect)
            style = letterhead.styled(style, letterhead.read(ready.runtime))
            _write(render(found, FileFormat(shape.value), style), output)
            err.print(verdict, soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(EXIT_CODES[found.verdict])


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(content.decode())
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise UsageError(f"--output {output} cannot be written: {error.strerror}. Choose another file.") from error


def _show(found: Statement, style: DocumentStyle) -> None:
    name = month_name(found.month)
    for account in found.accounts:
        _table(f"{account.customer}, {name}", ("agent", "activity"), _rows_of(account))
        _equation(account.total)
        if account.beside and len(found.accounts) > 1:
            out.print(f"  {style.other_time_sentence([account])}\n", markup=False, soft_wrap=True, highlight=False)
    if len(found.accounts) > 1:
        rows = [([str(account.customer)], account.total) for account in found.accounts]
        _table(f"All customers, {name}", ("customer",), [*rows, (["total"], found.total)])
        _equation(found.total)
    ages = conflict_ages(found.accounts)
    if any(ages):
        open_since = ", ".join(f"{number} {age}" for age, number in zip(AGE_NAMES, ages, strict=True) if number)
        out.print(f"Conflicts open since: {open_since.replace('_', ' ')}.")
    _show_money(found, style)
    for gap in found.gaps[:GAPS_SHOWN]:
        line = f"{gap.entry} of {gap.day}, {gap.customer}: {in_hours(gap.minutes)} unexplained."
        out.print(line, style="bold red", markup=False, soft_wrap=True)
    if len(found.gaps) > GAPS_SHOWN:
        out.print(f"… and {len(found.gaps) - GAPS_SHOWN} more: --format json has all.")


def _show_money(found: Statement, style: DocumentStyle) -> None:
    rows = [row for account in found.accounts for row in account.money]
    sentences = money.sentences_by_customer(style, rows)
    if any(row.compared and row.compared.difference and not row.compared.accepted for row in rows):
        sentences.append("To accept a difference: zk invoices accept.")
    if found.readings:
        sentences.append(money.reading_sentences(style, found.readings))
        if found.readings.compared_at is None and not found.readings.invoices_problem:
            sentences.append(f"To compare with invoices now: zk statement {month_name(found.month)} --invoices.")
    for text in sentences:
        out.print(text, markup=False, soft_wrap=True, highlight=False)


def _rows_of(account: CustomerStatement) -> list[tuple[list[str], Amounts]]:
    lines = [([line.agent, line.activity], line.amounts) for line in account.lines]
    return [*lines, (["total", ""], account.total)]


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[list[str], Amounts]]) -> None:
    """Print a table without columns that are zero in all rows, except `ALWAYS_SHOWN`."""
    used = [name for name in COLUMNS if name in ALWAYS_SHOWN or any(getattr(amounts, name) for _, amounts in rows)]
    heads = ["entries", *(name.replace("_", " ") for name in used)]
    cells = [[*texts, amounts.entries, *(hours(getattr(amounts, name)) for name in used)] for texts, amounts in rows]
    show_table(title, (*names, *heads), cells, right=heads)


def _equation(amounts: Amounts) -> None:
    out.print(f"  {equation_text(amounts, _word, hours)}\n", markup=False, soft_wrap=True, highlight=False)


def _word(name: str) -> str:
    return {"zammad": "booked in Zammad", "kimai": "in Kimai"}.get(name, name.replace("_", " "))


def _summary(found: Statement, style: DocumentStyle) -> str:
    """The verdict, open questions, credits, other time in Kimai, and the closing of the month."""
    of_accounts = (
        style.questions_sentence(found.accounts),
        style.credits_sentence(found.credited),
        style.other_time_sentence(found.accounts),
    )
    return " ".join(filter(None, (_verdict(found), *of_accounts, _closing(found, style))))


def _closing(found: Statement, style: DocumentStyle) -> str:
    """Whether this is the closed statement, its hash, and how to see it."""
    if found.closing is None:
        return ""
    remedy = f" To see that: zk statement {month_name(found.month)} --closed." if found.closing.differs else ""
    return f"{style.closing_sentence(found.closing)}{remedy} {style.hash_sentence(found.closing)}."


def _verdict(found: Statement) -> str:
    name = month_name(found.month)
    # Of a closed month, the sentence about its closing says so.
    is_stale = found.stale_days and found.closing is None
    stale = f" {len(found.stale_days)} of its days have changed since it was built." if is_stale else ""
    if not found.accounts:
        return f"Nothing was booked in {name}.{stale}"
    if found.verdict is Verdict.UNBALANCED:
        return f"{name} does not balance: {len(found.gaps)} entries do not add up. Sync their days again.{stale}"
    if found.verdict is Verdict.WAITING:
        waits = any(line.amounts.waiting for line in found.lines)
        draft = f"{in_hours(found.total.waiting)} wait" if waits else "it is a draft"
        return f"{name} balances to the minute; {draft}. To see why: zk conflicts list.{stale}"
    return f"{name} balances to the minute.{stale}"
