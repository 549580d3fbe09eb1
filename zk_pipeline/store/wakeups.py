"""Waking the sensor `demand`, which waits within its tick for something to do: a notification of PostgreSQL."""

from sqlalchemy import Connection, text

CHANNEL = "zk_demand"
LOOK, END = "look", "end"
"""There is something to do; the tick that waits shall end."""


def wake(connection: Connection, what: str = LOOK) -> None:
    """Wake the tick that waits, once the transaction is committed."""
    connection.execute(text("SELECT pg_notify(:channel, :what)"), {"channel": CHANNEL, "what": what})
