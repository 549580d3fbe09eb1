"""Demo data: a month of an IT service provider in Zammad, and the earlier state of Kimai."""

from zk_sandbox.demo.systems import KIMAI_TOKEN, ZAMMAD_TOKEN, demo_mappings_csv, demo_systems, empty_systems

__all__ = ["KIMAI_TOKEN", "ZAMMAD_TOKEN", "demo_mappings_csv", "demo_systems", "empty_systems"]
