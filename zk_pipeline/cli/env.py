"""`zk env`: environment variables for Dagster's own commands."""

import shlex

import typer

from zk_pipeline.cli.output import AsJson, environment, show_json

NAMES = ("ZK_HOME", "DAGSTER_HOME")
"""Dagster's commands need no more: other addresses and keys are found in the home, and are never printed."""


def env(*, as_json: AsJson = False) -> None:
    """Print the variables with which Dagster's own commands find this installation: eval "$(zk env)".

    Variables that are already set, such as database URLs, are not printed.
    """
    with environment(decided=False) as ready:
        found = {name: ready.variables[name] for name in NAMES}
    if as_json:
        show_json(found)
        return
    for name, value in found.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
