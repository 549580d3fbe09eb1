"""Statements as files, in several formats."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.statement import Statement


class FileFormat(StrEnum):
    """The formats, which are also the file extensions."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA_TYPES: Mapping[FileFormat, str] = {
    FileFormat.JSON: "application/json",
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    FileFormat.PDF: "application/pdf",
}


def render(statement: Statement, kind: FileFormat, style: DocumentStyle) -> bytes:
    """The content of the file. Raises `OperationError` if the font of a PDF cannot be used."""
    return _renderer(kind)(statement, style)


def file_name(statement: Statement, kind: FileFormat) -> str:
    """The name of the file, without the customer, whose name may not be valid in a file name."""
    return f"statement-{month_name(statement.month)}.{kind}"


def _renderer(kind: FileFormat) -> Callable[[Statement, DocumentStyle], bytes]:
    # The libraries for XLSX and PDF are slow to import.
    if kind is FileFormat.XLSX:
        from zk_pipeline.billing.files import workbook  # noqa: PLC0415

        return workbook.render
    if kind is FileFormat.PDF:
        from zk_pipeline.billing.files import document  # noqa: PLC0415

        return document.render
    from zk_pipeline.billing.files import data  # noqa: PLC0415

    return data.as_csv if kind is FileFormat.CSV else data.as_json
