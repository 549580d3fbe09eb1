"""Statements as files, in several formats."""

import re
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO

from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.statement import Statement
from zk_pipeline.domain.statement_rows import StatementCustomer

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 80


class FileFormat(StrEnum):
    """The formats, which are also the file extensions."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"
    ZIP = "zip"
    """A PDF for each customer."""


MEDIA_TYPES: Mapping[FileFormat, str] = {
    FileFormat.JSON: "application/json",
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileFormat.PDF: "application/pdf",
    FileFormat.ZIP: "application/zip",
}


def render(statement: Statement, kind: FileFormat, style: DocumentStyle) -> bytes:
    """The content of the file. Raises `OperationError` if the font of a PDF cannot be used."""
    return _renderer(kind)(statement, style)


def file_name(statement: Statement, kind: FileFormat, customer: StatementCustomer | None = None) -> str:
    """The name of the file, such as `2025-10_Hartmann.pdf` if it is about one customer.

    Of the customer's name only letters, digits, dots and hyphens are left.
    """
    month = month_name(statement.month)
    if customer is None:
        return f"statement-{month}.{kind}"
    plain = _NOT_IN_NAMES.sub("-", unicodedata.normalize("NFC", customer.name))[:_LONGEST_NAME].strip("-.")
    return f"{month}_{plain or customer.id}.{kind}"


def _renderer(kind: FileFormat) -> Callable[[Statement, DocumentStyle], bytes]:
    # The libraries for XLSX and PDF are slow to import.
    if kind is FileFormat.XLSX:
        from zk_pipeline.billing.files import workbook  # noqa: PLC0415

        return workbook.render
    if kind is FileFormat.ZIP:
        return _zipped
    if kind is FileFormat.PDF:
        from zk_pipeline.billing.files import document  # noqa: PLC0415

        return document.render
    from zk_pipeline.billing.files import data  # noqa: PLC0415

    return data.as_csv if kind is FileFormat.CSV else data.as_json


def _zipped(statement: Statement, style: DocumentStyle) -> bytes:
    """The PDF of each customer; two with names that look alike differ by their numbers."""
    file, pdf = BytesIO(), _renderer(FileFormat.PDF)
    closed_at = statement.closing.at if statement.closing is not None else None
    made = (statement.built_at or closed_at or datetime.now(UTC)).astimezone(style.zone).timetuple()[:6]
    used: set[str] = set()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for account in statement.accounts:
            name = file_name(statement, FileFormat.PDF, account.customer)
            if name.casefold() in used:
                name = f"{name.removesuffix('.pdf')}-{account.customer.id}.pdf"
            used.add(name.casefold())
            content = pdf(replace(statement, accounts=(account,)), style)
            archive.writestr(zipfile.ZipInfo(name, made), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()
