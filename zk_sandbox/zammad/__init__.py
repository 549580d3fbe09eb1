"""A simulated Zammad: its REST API over an in-memory desk, as far as time accounting needs it."""

from zk_sandbox.zammad.server import ZammadServer

__all__ = ["ZammadServer"]
