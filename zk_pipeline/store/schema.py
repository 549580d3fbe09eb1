"""Creating and upgrading the schema with Alembic, safely when two processes start at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from zk_pipeline.store import audit
from zk_pipeline.store.database import Database, trail_keys

MIGRATIONS = Path(__file__).with_name("migrations")


_SEALED = "0025"
"""The revision from which on the audit trail has keys; whoever comes from before it has its rows vouched for."""


class SchemaError(Exception):
    """The database's schema does not fit this version; the message tells the operator what to do."""


def migrate(database: Database) -> str:
    """Upgrade the schema to this version and return its revision. Raises `SchemaError` on a newer schema."""
    with database.lock("zk:migrate"), database.transaction() as connection:
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
            command.upgrade(config, "head")
            if current is not None and current < _SEALED and trail_keys(connection):
                audit.bind(connection, upgrade=True)
        return head


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
