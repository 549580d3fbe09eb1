"""Demo data: a month of an IT service provider in Zammad, and what Kimai knew before."""

from zk_sandbox.demo.systems import KIMAI_TOKEN, ZAMMAD_TOKEN, demo_mappings_csv, demo_systems, empty_systems

__all__ = ["KIMAI_TOKEN", "ZAMMAD_TOKEN", "demo_mappings_csv", "demo_systems", "empty_systems"]
