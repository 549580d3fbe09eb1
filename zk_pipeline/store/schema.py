"""Creating and upgrading the schema with Alembic, safely when two processes start at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from zk_pipeline.store import audit, roles
from zk_pipeline.store.database import Database, trail_keys

MIGRATIONS = Path(__file__).with_name("migrations")


OLDEST_SERVER = 15
"""The oldest major version of PostgreSQL that the tests run on."""

_SEALED = "0025"
"""The revision that gave the audit trail keys; the rows of an older one are bound at the upgrade."""


class SchemaError(Exception):
    """The database's schema does not fit this version; the message says what to do."""


def migrate(database: Database, application: str = "") -> str:
    """Upgrade the schema to this version and return its revision.

    With an `application`, the connection is the owner's, and that role is granted what it needs. Raises `SchemaError`
    for a server that is too old, for a newer schema, and if the roles are not set up as required.
    """
    with database.lock("zk:migrate"), database.transaction() as connection:
        if server_version(connection) < OLDEST_SERVER:
            raise SchemaError(
                f"Upgrade the server in ZK_DATABASE_URL to PostgreSQL {OLDEST_SERVER} or newer: it is version "
                f"{server_version(connection)}."
            )
        config = _config(connection)
        scripts = ScriptDirectory.from_config(config)
        current = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in scripts.walk_revisions()}
        if current is not None and current not in known:
            raise SchemaError(
                f"The database is at revision {current}, which this version does not know. Install the version that "
                "wrote it, or restore a backup made by this one."
            )
        head = scripts.get_current_head() or ""
        if current != head:
            _upgrade(connection, config, current)
        if application:
            _grant(connection, application)
        return head


def server_version(connection: Connection) -> int:
    """The major version of the PostgreSQL server."""
    return connection.execute(text("SELECT current_setting('server_version_num')::integer / 10000")).scalar_one()


def _upgrade(connection: Connection, config: Config, current: str | None) -> None:
    try:
        command.upgrade(config, "head")
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise SchemaError(
            f"The database is at revision {current or 'none'}, and its role in ZK_DATABASE_URL may not bring it up to "
            "date. Run zk migrate with the owner's address in ZK_DATABASE_OWNER_URL."
        ) from error
    if current is not None and current < _SEALED and trail_keys(connection):
        audit.bind(connection, upgrade=True)


def _grant(connection: Connection, application: str) -> None:
    try:
        roles.grant(connection, application)
    except roles.RolesError as error:
        raise SchemaError(str(error)) from error


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
