"""What the wheel holds besides the packages."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProjectFiles(BuildHookInterface[Any]):
    """Puts what is read from the top of the repository into zk_pipeline/_project (`PROJECT` in runtime/environment.py).

    An editable installation reads it from the repository, and would shadow the packages with it.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files, unless the installation is an editable one."""
        if version != "editable":
            names = ("dagster.yaml", "workspace.yaml")
            build_data["force_include"].update({name: f"zk_pipeline/_project/{name}" for name in names})
