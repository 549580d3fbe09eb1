"""`zk keys`: the encryption keys of stored secrets."""

import typer

from zk_pipeline.cli.output import actor, environment, out
from zk_pipeline.identity import queries
from zk_pipeline.store import audit, connectors
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.encryption import generate_key

app = typer.Typer(help="The encryption keys of stored secrets.", no_args_is_help=True)


@app.command("generate")
def generate() -> None:
    """Print a new key for ZK_ENCRYPTION_KEY."""
    typer.echo(generate_key())


@app.command("rotate")
def rotate() -> None:
    """Re-encrypt every stored secret with the first key of ZK_ENCRYPTION_KEY."""
    with environment(decided=False) as ready, ready.runtime.database.transaction() as connection:
        number = connectors.rotate(connection, ready.runtime.cipher)
        factors = queries.rotate_factors(connection, ready.runtime.cipher)
        detail = {"tokens": number, "second_factors": factors}
        audit.append(connection, [AuditEvent("keys.rotated", actor(), "keys:connectors", detail)])
    out.print(
        f"{number} tokens and {factors} second factors are now encrypted with the first key. You may remove the other "
        "keys, but keep them for the backups made with them."
    )
