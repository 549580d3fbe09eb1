"""`python -m zk_pipeline.web.server`: the web app as a process, with the settings of its environment."""

import logging
import sys

import uvicorn

from zk_pipeline.identity import users
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.operate import connectors
from zk_pipeline.runtime import logs
from zk_pipeline.runtime.installation import hold_database
from zk_pipeline.runtime.runtime import Runtime, SetupError, open_runtime
from zk_pipeline.runtime.settings import SettingsError
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.web.app import create_app
from zk_pipeline.web.console.access import mount
from zk_pipeline.web.limits import InTimeProtocol

SECONDS_TO_FINISH = 10
"""For requests under way when the process is asked to stop."""

_log = logging.getLogger(__name__)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        with open_runtime() as runtime, hold_database(runtime):
            settings = runtime.settings
            logs.set_up(settings.log_format)
            runtime.require_decided()
            create_first_admin(runtime)
            connectors.report_in_background(runtime, _log.warning)
            app = create_app(runtime)
            mount(app, runtime)
            config = uvicorn.Config(
                app,
                host=settings.web_host,
                port=settings.web_port,
                loop="uvloop",
                http=InTimeProtocol,
                access_log=False,
                server_header=False,
                # A caller must not choose, by a header, the address that its limit is counted under.
                proxy_headers=False,
                timeout_graceful_shutdown=SECONDS_TO_FINISH,
                log_config=None,
            )
            uvicorn.Server(config).run()
    except (SettingsError, SetupError, EncryptionError, DatabaseUnavailableError) as error:
        sys.exit(str(error))


def create_first_admin(runtime: Runtime) -> None:
    """Create the admin of the settings while there is none. Raises `SetupError` when that fails."""
    settings = runtime.settings
    if not settings.admin_email:
        return
    try:
        with runtime.database.transaction() as connection:
            users.ensure_admin(connection, settings.admin_email, settings.admin_password.get_secret_value())
    except OperationError as error:
        raise SetupError(f"ZK_ADMIN_EMAIL and ZK_ADMIN_PASSWORD make no admin. {error}") from error


if __name__ == "__main__":
    main()
