"""`zk migrate`: create or migrate both databases and store the connectors."""

from zk_pipeline.cli.output import environment, out


def migrate() -> None:
    """Migrate our database and Dagster's to this version.

    `zk up` does this itself; use this command in deployments that start each process on its own.
    """
    # Importing Dagster takes a second.
    from dagster import DagsterInstance  # noqa: PLC0415

    with environment(starts=True) as ready:
        with DagsterInstance.get() as instance:
            instance.upgrade()
        out.print(
            f"Both databases are up to date. Dagster's home is {ready.variables['DAGSTER_HOME']}.", soft_wrap=True
        )
