"""The real OpenID Connect provider as a process, and a browser at it."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.web import provider_site
from zk_pipeline_tests.web.provider_site import ORIGIN, PASSWORD, ROWS


@dataclass
class RealProvider:
    """The running provider, and a browser that may be signed in there."""

    url: str
    rows: Path
    browser: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=120, trust_env=False))

    def sends_back_to(self, address: str) -> None:
        """Register where it may send people."""
        self._change("UPDATE oauth2_provider_application SET redirect_uris = ?", address)

    def last_sign_in_was(self, ago: str) -> None:
        """Have the proof that people gave there be older, as `-10 minutes`."""
        self._change("UPDATE auth_user SET last_login = datetime('now', ?)", ago)

    def way_back(self, address: str, name: str) -> tuple[httpx.URL, bool]:
        """Go to the provider as this person, who signs in where it asks: the address it sends to, and if it asked."""
        asked, answer = False, self.browser.get(address)
        while True:
            if not answer.is_redirect:
                asked, answer = True, self._sign_in(answer, name)
            target = answer.url.join(answer.headers["location"])
            if not str(target).startswith(self.url.removesuffix("/o")):
                return target, asked
            answer = self.browser.get(target)

    def _sign_in(self, form: httpx.Response, name: str) -> httpx.Response:
        hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form.text.replace("&amp;", "&")))
        answer = self.browser.post(form.url, data={**hidden, "username": name, "password": PASSWORD})
        assert answer.is_redirect, answer.text
        return answer

    def _change(self, statement: str, value: str) -> None:
        with closing(sqlite3.connect(self.rows)) as connection, connection:
            connection.execute(statement, (value,))


@contextmanager
def running(folder: Path, port: int) -> Iterator[RealProvider]:
    """The provider on this port until the end of the block."""
    origin, rows = f"http://127.0.0.1:{port}", folder / "provider.sqlite"
    command = [sys.executable, "-m", provider_site.__name__, str(port)]
    given = {**os.environ, ROWS: str(rows), ORIGIN: origin}
    with (folder / "provider.log").open("w") as log:
        process = subprocess.Popen(command, env=given, stdout=log, stderr=log)
    try:
        provider = RealProvider(f"{origin}/o", rows)
        assert wait_until(lambda: _answers(provider.url) or process.poll() is not None, 90)
        assert process.poll() is None, (folder / "provider.log").read_text()
        yield provider
        provider.browser.close()
    finally:
        process.terminate()
        process.wait(90)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/.well-known/openid-configuration", timeout=120, trust_env=False).is_success
    except httpx.HTTPError:
        return False
