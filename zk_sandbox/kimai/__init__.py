"""A simulated Kimai: the real one's HTTP API in memory, including its quirks (docs/kimai.md)."""

from zk_sandbox.kimai.server import KimaiServer

__all__ = ["KimaiServer"]
