"""zk_pipeline carries every Zammad time accounting into Kimai, once and only once."""

__version__ = "0.2.0"
