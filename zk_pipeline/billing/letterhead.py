"""The letterhead of service records: texts that an admin sets at runtime, by default those of the environment."""

from dataclasses import asdict, dataclass, replace
from datetime import date

from sqlalchemy import Connection

from zk_pipeline.billing.files import FileFormat, render
from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.periods import month_of
from zk_pipeline.domain.statement import CustomerStatement, Statement, StatementCustomer
from zk_pipeline.identity.actors import Actor, OperationError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit, stored_settings

LONGEST = 2000
"""Characters of one text."""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What stands at the top of each page, before a customer's tables, and at the foot of each page."""

    letterhead: str = ""
    text: str = ""
    footer: str = ""


def read(runtime: Runtime) -> Letterhead:
    """The texts in use: those that were set, else the environment's."""
    with runtime.database.transaction() as connection:
        return _in_use(connection, of_environment(runtime))


def of_environment(runtime: Runtime) -> Letterhead:
    """The texts of the environment."""
    settings = runtime.settings
    return Letterhead(settings.statement_letterhead, settings.statement_text, settings.statement_footer)


def change(runtime: Runtime, actor: Actor, wanted: Letterhead) -> None:
    """Set the texts; one that is the environment's follows it again. Raises `OperationError` for one too long."""
    for name, value in asdict(wanted).items():
        if len(value) > LONGEST:
            raise OperationError(f"Shorten the text: at most {LONGEST} characters.", name)
    default = of_environment(runtime)
    with runtime.database.transaction() as connection:
        stored_settings.lock(connection)
        before = _in_use(connection, default)
        if wanted == before:
            return
        for name, value in asdict(wanted).items():
            kept = None if value == getattr(default, name) else value
            stored_settings.save(connection, _key(name), kept, actor.name)
        detail = {"before": asdict(before), "after": asdict(wanted)}
        audit.append(connection, [actor.audit_event("letterhead.set", "letterhead", detail)])


def styled(style: DocumentStyle, texts: Letterhead) -> DocumentStyle:
    """The style with these texts."""
    return replace(style, **asdict(texts))


def preview(style: DocumentStyle, today: date) -> bytes:
    """A service record of this month in this style, about a customer without time."""
    nobody = CustomerStatement(StatementCustomer(style.word("column.customer").capitalize()), ())
    return render(Statement(month_of(today), (nobody,)), FileFormat.PDF, style)


def _in_use(connection: Connection, default: Letterhead) -> Letterhead:
    stored = stored_settings.load(connection)
    return replace(default, **{name: stored[_key(name)] for name in asdict(default) if _key(name) in stored})


def _key(name: str) -> str:
    return f"statement.{name}"
