"""Where the product's own files are, and its name in Dagster. Importing it costs nothing."""

from pathlib import Path

import zk_pipeline

_PACKAGE = Path(zk_pipeline.__file__).resolve().parent

INSTALLED = (_PACKAGE / "_project").is_dir()
"""Whether this is an installed package instead of a repository."""

PROJECT = _PACKAGE / "_project" if INSTALLED else _PACKAGE.parent
"""Where dagster.yaml, workspace.yaml and dbt_models are."""

LOCATION = "zk_pipeline"
"""The code location's name; schedules and sensors are stored under it, so it never changes."""
