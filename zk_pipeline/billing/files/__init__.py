"""A statement as a file: each format in a module of its own, all of them rendered here."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.statement import Statement


class FileFormat(StrEnum):
    """The formats, which are also the ends of the files' names."""

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
    """The file's content. Raises `OperationError` when the font of a PDF cannot be used."""
    return _renderer(kind)(statement, style)


def file_name(statement: Statement, kind: FileFormat) -> str:
    """What the file is called; customers have names that no file system takes, so they are not in it."""
    return f"statement-{month_name(statement.month)}.{kind}"


def _renderer(kind: FileFormat) -> Callable[[Statement, DocumentStyle], bytes]:
    # The libraries for workbooks and documents take a while to import, and a process rarely needs them.
    if kind is FileFormat.XLSX:
        from zk_pipeline.billing.files import workbook  # noqa: PLC0415

        return workbook.render
    if kind is FileFormat.PDF:
        from zk_pipeline.billing.files import document  # noqa: PLC0415

        return document.render
    from zk_pipeline.billing.files import data  # noqa: PLC0415

    return data.as_csv if kind is FileFormat.CSV else data.as_json
