"""The proxy of the deployment, from the system's packages: its template filled in, and a certificate of its own."""

import ipaddress
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.deploy.network import HOST, listens
from zk_pipeline_tests.tools import missing

ACCESS_LOG = "access.log"
"""In the folder of the proxy: what it writes to its standard output."""

TEMPLATE = PROJECT / "deploy" / "proxy" / "default.conf.template"


def nginx() -> str:
    """The path of nginx."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return found or missing("nginx is not installed; on Debian and Ubuntu: apt-get install nginx-light.")


@contextmanager
def proxy(folder: Path, ports: Mapping[str, int]) -> Iterator[ssl.SSLContext]:
    """The proxy with the template of the deployment; what its clients trust."""
    trust = configure(folder, ports)
    with (folder / ACCESS_LOG).open("w") as access_log:
        process = subprocess.Popen(command(folder), stdout=access_log, stderr=subprocess.PIPE, text=True)
    try:
        assert wait_until(lambda: listens(ports["https"]) or process.poll() is not None, 90)
        assert process.poll() is None, process.communicate()[1]
        yield trust
    finally:
        process.terminate()
        process.wait(90)


def command(folder: Path) -> list[str]:
    """Start nginx on what was configured in this folder."""
    return [nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def configure(folder: Path, ports: Mapping[str, int]) -> ssl.SSLContext:
    """Fill in the template for these ports, as the image does; what clients trust."""
    tls = folder / "tls"
    tls.mkdir()
    trust = _certificate(tls)
    site = Template(TEMPLATE.read_text()).safe_substitute(
        WEB=f"{HOST}:{ports['web']}",
        DAGSTER=f"{HOST}:{ports['dagster']}",
        RESOLVER=HOST,
        LISTEN_HTTP=f"{HOST}:{ports['http']}",
        LISTEN_HTTPS=f"{HOST}:{ports['https']}",
        TLS=str(tls),
        PUBLIC_URL=f"https://{HOST}:{ports['https']}",
    )
    (folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'nginx.pid'}; error_log {folder / 'error.log'};\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\ninclude {folder / 'site.conf'}; }}\n"
    )
    return trust


def _certificate(folder: Path) -> ssl.SSLContext:
    """A certificate for this machine, and a context that trusts it and nothing else."""
    key = rsa.generate_private_key(65537, 2048)  # With which TLS 1.2 could do without forward secrecy.
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
