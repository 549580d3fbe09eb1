"""`zk doctor` on the homes and simulated systems of the command tests."""

from zk_pipeline_tests.commands.conftest import _start, _systems, homes, sandbox, zk, zk_home

__all__ = ["_start", "_systems", "homes", "sandbox", "zk", "zk_home"]
