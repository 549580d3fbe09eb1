"""`zk env`: the environment of this installation, for Dagster's own commands."""

import shlex

import typer

from zk_pipeline.cli.output import AsJson, environment, show_json

NAMES = ("ZK_HOME", "DAGSTER_HOME")
"""All that Dagster's commands need: addresses and keys that are not set are found in the home, and never printed."""


def env(*, as_json: AsJson = False) -> None:
    """Print what Dagster's own commands need to find this installation: eval "$(zk env)".

    Whatever is set already, such as the addresses of databases, stays as it is and is not printed.
    """
    with environment(decided=False) as ready:
        found = {name: ready.variables[name] for name in NAMES}
    if as_json:
        show_json(found)
        return
    for name, value in found.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
