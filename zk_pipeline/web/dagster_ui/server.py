"""`python -m zk_pipeline.web.dagster_ui.server`: Dagster's web server as a process, behind our sign-in."""

import argparse
import logging
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version

import uvicorn
from dagster import DagsterInstance
from fastapi import FastAPI
from starlette.types import ASGIApp

from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime import logs
from zk_pipeline.runtime.dagster_internals import (
    LOCATION_SCOPED_PERMISSIONS,
    PermissionResult,
    Permissions,
    WorkspaceFileTarget,
    WorkspaceProcessContext,
    WorkspaceRequestContext,
    create_app_from_workspace_process_context,
    limit_statements,
    watch_code_server_less,
)
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.runtime.runtime import Runtime, SetupError, open_runtime
from zk_pipeline.runtime.settings import SettingsError
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.web import errors, oidc, sign_in
from zk_pipeline.web.authentication import Sessions
from zk_pipeline.web.dagster_ui.middleware import LARGEST_BODY, Door, Protected
from zk_pipeline.web.dagster_ui.rules import JobOf
from zk_pipeline.web.limits import InTimeProtocol, LimitedBodies

SECONDS_TO_FINISH = 10
"""For requests under way when the process is asked to stop."""

MILLISECONDS_BETWEEN_LOOKS = 2000
"""Of a page that shows what goes on, as Dagster has it."""

MILLISECONDS_OF_A_STATEMENT = 15_000

OF_OPERATORS = frozenset(
    {
        Permissions.LAUNCH_PIPELINE_EXECUTION,
        Permissions.LAUNCH_PIPELINE_REEXECUTION,
        Permissions.LAUNCH_PARTITION_BACKFILL,
        Permissions.CANCEL_PARTITION_BACKFILL,
        Permissions.TERMINATE_PIPELINE_EXECUTION,
    }
)
"""What Dagster's pages offer to operators; `rules.py` decides what they may do."""

_NOT_IN_OUR_EDITION = frozenset({Permissions.EDIT_APP_MANAGED_COMPONENTS})

_log = logging.getLogger(__name__)


class _Request(WorkspaceRequestContext):
    """The context of a request to Dagster, with the caller's role."""

    role = Role.VIEWER

    @property
    def permissions(self) -> Mapping[str, PermissionResult]:
        return {permission: _permission(permission, self.role) for permission in Permissions}

    def permissions_for_location(self, *, location_name: str) -> Mapping[str, PermissionResult]:
        del location_name
        return {permission: _permission(permission, self.role) for permission in LOCATION_SCOPED_PERMISSIONS}


class Workspace(WorkspaceProcessContext):
    """The definitions of the code server; what a page offers depends on the caller's role."""

    def create_request_context(self, source: object | None = None) -> WorkspaceRequestContext:
        """The context of one request; without a role it is a viewer's."""
        request = _Request(self.instance, self.get_current_workspace(), self, self.version, source, read_only=False)
        request.role = getattr(source, "scope", {}).get("state", {}).get("zk_role", Role.VIEWER)
        return request


def create_app(runtime: Runtime, dagster: ASGIApp, prefix: str, job_of: JobOf) -> FastAPI:
    """Dagster's app behind our sign-in; without a prefix it has an address, and a sign-in, of its own."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.runtime = runtime
    app.state.recognition = Sessions(runtime)
    app.state.address = runtime.settings.dagster_link
    app.add_middleware(LimitedBodies)
    errors.install(app)
    app.add_middleware(Protected, settings=runtime.settings)
    if not prefix:
        app.include_router(sign_in.router)
        app.include_router(oidc.router)
    app.mount("/", Door(dagster, runtime, app.state.recognition, prefix, job_of))
    return app


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    asked = _arguments()
    try:
        with ExitStack() as stack:
            runtime = stack.enter_context(open_runtime())
            logs.set_up(runtime.settings.log_format)
            instance = stack.enter_context(DagsterInstance.get())
            limit_statements(instance, MILLISECONDS_OF_A_STATEMENT)
            watch_code_server_less()
            target = WorkspaceFileTarget([asked.workspace])
            workspace = stack.enter_context(Workspace(instance, target, version=version("dagster-webserver")))
            dagster = create_app_from_workspace_process_context(workspace, asked.prefix, MILLISECONDS_BETWEEN_LOOKS)
            _log.info("Dagster's UI is served at port %s of %s.", asked.port, asked.host)
            config = uvicorn.Config(
                create_app(runtime, dagster, asked.prefix, lambda run_id: _job_of(instance, run_id)),
                host=asked.host,
                port=asked.port,
                http=InTimeProtocol,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws_max_size=LARGEST_BODY,
                timeout_graceful_shutdown=SECONDS_TO_FINISH,
                log_config=None,
                log_level=logging.WARNING,
            )
            uvicorn.Server(config).run()
    except (SettingsError, SetupError, EncryptionError, DatabaseUnavailableError) as error:
        sys.exit(str(error))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="zk_pipeline.web.dagster_ui.server", description=__doc__)
    parser.add_argument("-w", "--workspace", default=str(PROJECT / "workspace.yaml"))
    parser.add_argument("-H", "--host", default="127.0.0.1")
    parser.add_argument("-p", "--port", type=int, default=3000)
    parser.add_argument("--prefix", default="", help="The path under which the pages are, such as /dagster.")
    return parser.parse_args()


def _job_of(instance: DagsterInstance, run_id: str) -> str | None:
    run = instance.get_run_by_id(run_id)
    return run.job_name if run is not None else None


def _permission(permission: Permissions, role: Role) -> PermissionResult:
    is_for = Role.OPERATOR if permission in OF_OPERATORS else Role.ADMIN
    if permission in _NOT_IN_OUR_EDITION or not role.covers(is_for):
        return PermissionResult(enabled=False, disabled_reason=f"This needs the role {is_for}")
    return PermissionResult(enabled=True, disabled_reason=None)


if __name__ == "__main__":
    main()
