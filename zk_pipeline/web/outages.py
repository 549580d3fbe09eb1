"""A database that fails: which errors say so, and one line for the log, without statement and values."""

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from zk_pipeline.store.database import DatabaseUnavailableError

OUTAGES = (DatabaseUnavailableError, SQLAlchemyError)


def told(error: Exception) -> str:
    """The error in one line."""
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return text.strip().partition("\n")[0]
