"""`zk migrate`: create and migrate both databases and store the connectors, before anything else starts."""

from zk_pipeline.cli.output import environment, explained, out
from zk_pipeline.operate.installation import require_unused_database


def migrate() -> None:
    """Bring our database and Dagster's up to this version; what is up to date stays as it is.

    `zk up` does the same by itself. This is for deployments that start each process on its own.
    """
    # It takes a second to import, and no other command needs it.
    from dagster import DagsterInstance  # noqa: PLC0415

    with environment(starts=True) as ready:
        with explained():
            require_unused_database(ready.runtime)
        with DagsterInstance.get() as instance:
            instance.upgrade()
        out.print(
            f"Both databases are up to date. Dagster's home is {ready.variables['DAGSTER_HOME']}.", soft_wrap=True
        )
