"""Two roles on your own PostgreSQL server: the owner migrates; the application works and cannot change the trail.

`deploy/database/roles.sql` creates both. Each migration grants again what the application may do.
"""

from sqlalchemy import Connection, text

_WRITTEN = ("zammad", "kimai", "sync")
"""Schemas whose rows the application reads and writes."""

_BUILT = "marts"
"""The schema whose tables dbt creates, so that the application must own them."""

_TRAIL_FUNCTIONS = ("sync.move_audit_head(text)", "sync.remove_audit_details(bigint)")

_OTHERS_IN_BUILT = text(
    """
    SELECT format('ALTER %s %I.%I OWNER TO', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, nspname, relname)
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = :schema AND relkind IN ('r', 'v', 'p') AND relowner <> to_regrole(:role)
    """
)
_CHANGES_TRAIL = text(
    """
    SELECT coalesce(bool_or(pg_has_role(current_user, relowner, 'USAGE')), false)
    FROM pg_class WHERE oid = to_regclass('sync.audit_logs')
    """
)


class RolesError(Exception):
    """The database's roles are not set up as required; the message says what to do."""


def may_change_trail(connection: Connection) -> bool:
    """Whether this connection's role may change the audit trail like its owner or a superuser."""
    return connection.execute(_CHANGES_TRAIL).scalar_one()


def grant(connection: Connection, application: str) -> None:
    """Grant the application's role exactly what it needs, on a connection of the owner.

    Raises `RolesError` if there is no such role, or if it could still change the trail.
    """
    _require_lesser(connection, application)
    role = connection.dialect.identifier_preparer.quote_identifier(application)
    database = connection.dialect.identifier_preparer.quote_identifier(str(connection.engine.url.database))
    for statement in _statements(role, database):
        connection.exec_driver_sql(statement)
    for alter in connection.execute(_OTHERS_IN_BUILT, {"schema": _BUILT, "role": role}).scalars().all():
        connection.exec_driver_sql(f"{alter} {role}")


def _statements(role: str, database: str) -> list[str]:
    schemas, functions = ", ".join(_WRITTEN), ", ".join(_TRAIL_FUNCTIONS)
    trail = "sync.audit_logs, sync.audit_details, sync.audit_head"
    return [
        # A restored database lacks these rights, and everybody may connect to a new one.
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}",
        f"GRANT USAGE ON SCHEMA {schemas} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schemas} TO {role}",
        f"GRANT SELECT, USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA {schemas} TO {role}",
        f"GRANT SELECT ON alembic_version TO {role}",
        f"REVOKE ALL ON {trail} FROM {role}, PUBLIC",
        f"GRANT SELECT, INSERT ON sync.audit_logs, sync.audit_details TO {role}",
        f"GRANT SELECT ON sync.audit_head TO {role}",
        f"REVOKE ALL ON FUNCTION {functions} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {functions} TO {role}",
        f"ALTER SCHEMA {_BUILT} OWNER TO {role}",
    ]


def _require_lesser(connection: Connection, application: str) -> None:
    query = text(
        "SELECT rolsuper OR pg_has_role(oid, (SELECT oid FROM pg_roles WHERE rolname = current_user), 'MEMBER') "
        "FROM pg_roles WHERE rolname = :role"
    )
    greater = connection.execute(query, {"role": application}).scalar()
    if greater is None or greater:
        problem = "does not exist" if greater is None else "could change the audit trail, or is the owner itself"
        raise RolesError(
            f"The role {application!r} of ZK_DATABASE_URL {problem}, and ZK_DATABASE_OWNER_URL asks for two. Make both "
            "with deploy/database/roles.sql, and name zk_app in ZK_DATABASE_URL."
        )
