"""The processes of docker-compose.yml, started by hand on one machine, with the proxy from the system's packages."""

import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zk_pipeline.local import PROJECT
from zk_pipeline.supervisor.groups import wait_until

HOST = "127.0.0.1"
PREFIX = "/dagster"
SECONDS_TO_START = 120.0
PASSWORD = "a-long-enough-password"


@dataclass(frozen=True)
class Stack:
    """The running product: where the proxy is, and what the processes were given."""

    url: str
    plain_url: str
    port: int
    trust: ssl.SSLContext
    variables: Mapping[str, str]

    @contextmanager
    def client(self, **headers: str) -> Iterator[httpx.Client]:
        """A client from outside, which follows no redirect."""
        with httpx.Client(base_url=self.url, verify=self.trust, headers=headers, timeout=30, trust_env=False) as client:
            yield client

    @contextmanager
    def signed_in(self, role: str) -> Iterator[httpx.Client]:
        """A browser whose user has this role: with cookies, and on our own pages."""
        email = f"{role}@example.com"
        arguments = ["users", "create", email, "--role", role]
        zk(self.variables, *arguments, answer=f"{PASSWORD}\n{PASSWORD}\n", check=False)
        with self.client(**{"sec-fetch-site": "same-origin"}) as client:
            body = {"email": email, "password": PASSWORD, "cookies": True}
            client.post("/api/v1/auth/login", json=body).raise_for_status()
            yield client


@contextmanager
def running(folder: Path, database: Mapping[str, str]) -> Iterator[Stack]:
    """Everything that compose would start, on free ports, until the end of the block."""
    ports = dict(zip(("code", "full", "read_only", "web", "http", "https"), free_ports(6), strict=True))
    url = f"https://{HOST}:{ports['https']}"
    variables = _variables(folder, database, ports, url)
    zk(variables, "migrate")
    with ExitStack() as stack:
        stack.enter_context(_process(variables, *_code_server(ports["code"])))
        wait_until(lambda: _listens(ports["code"]), SECONDS_TO_START)
        for name, more in (("full", ()), ("read_only", ("--read-only",))):
            stack.enter_context(_process(variables, *_webserver(ports[name]), *more))
        stack.enter_context(_process(variables, "-m", "zk_pipeline.web.server"))
        trust = stack.enter_context(_proxy(folder, ports))
        for name, path in (("full", f"{PREFIX}/server_info"), ("read_only", f"{PREFIX}/server_info")):
            address = f"http://{HOST}:{ports[name]}{path}"
            assert wait_until(lambda address=address: _answers(address), SECONDS_TO_START), address
        assert wait_until(lambda: _answers(f"http://{HOST}:{ports['web']}/api/health"), SECONDS_TO_START)
        yield Stack(url, f"http://{HOST}:{ports['http']}", ports["https"], trust, variables)


def zk(variables: Mapping[str, str], *arguments: str, answer: str = "", check: bool = True) -> str:
    """Run `zk` as a process; returns what it printed."""
    command = [sys.executable, "-c", "from zk_pipeline.cli import main; main()", *arguments]
    done = subprocess.run(
        command, env=variables, input=answer, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def free_ports(number: int) -> list[int]:
    """Ports that nothing uses just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.create_server((HOST, 0)))) for _ in range(number)]
        return [held.getsockname()[1] for held in sockets]


def _variables(folder: Path, database: Mapping[str, str], ports: Mapping[str, int], url: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    return {
        **others,
        **database,
        "ZK_ENV_FILE": os.devnull,
        "ZK_HOME": str(folder / "home"),
        "DAGSTER_HOME": str(folder / "home" / "dagster"),
        "ZK_PUBLIC_URL": url,
        "ZK_DAGSTER_ADDRESS": f"http://{HOST}:{ports['full']}{PREFIX}",
        "ZK_DAGSTER_UI": f"{url}{PREFIX}",
        "ZK_WEB_PORT": str(ports["web"]),
        "ZK_CODE_HOST": HOST,
        "ZK_CODE_PORT": str(ports["code"]),
        "ZK_TRUSTED_PROXIES": f"{HOST}/32",
        "ZK_WEBHOOK_SECRET": "signed",
        "ZK_SCHEDULES": "false",
    }


def _code_server(port: int) -> Sequence[str]:
    location = ("-m", "zk_pipeline.definitions", "--location-name", "zk_pipeline")
    return ("-m", "zk_pipeline.supervisor.code_server", "-h", HOST, "-p", str(port), *location)


def _webserver(port: int) -> Sequence[str]:
    workspace = str(PROJECT / "workspace.yaml")
    return ("-m", "dagster_webserver", "-w", workspace, "-h", HOST, "-p", str(port), "--path-prefix", PREFIX)


@contextmanager
def _process(variables: Mapping[str, str], *arguments: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *arguments], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _proxy(folder: Path, ports: Mapping[str, int]) -> Iterator[ssl.SSLContext]:
    """The proxy with the template of the deployment; what its clients trust."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    assert nginx is not None
    tls = folder / "tls"
    tls.mkdir()
    trust = _certificate(tls)
    template = Template((PROJECT / "deploy" / "proxy" / "default.conf.template").read_text())
    site = template.safe_substitute(
        WEB=f"{HOST}:{ports['web']}",
        DAGSTER_FULL=f"{HOST}:{ports['full']}",
        DAGSTER_READ_ONLY=f"{HOST}:{ports['read_only']}",
        RESOLVER=HOST,
        LISTEN_HTTP=f"{HOST}:{ports['http']}",
        LISTEN_HTTPS=f"{HOST}:{ports['https']}",
        TLS=str(tls),
    )
    (folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'nginx.pid'}; error_log {folder / 'error.log'};\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\ninclude {folder / 'site.conf'}; }}\n"
    )
    process = subprocess.Popen(
        [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert wait_until(lambda: _listens(ports["https"]) or process.poll() is not None, 20)
        assert process.poll() is None, process.communicate()[1]
        yield trust
    finally:
        process.terminate()
        process.wait(20)


def _certificate(folder: Path) -> ssl.SSLContext:
    """A certificate for this machine, and a context that trusts it and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "fullchain.pem").write_bytes(public)
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ssl.create_default_context(cadata=public.decode())


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 2).close()
    except OSError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
