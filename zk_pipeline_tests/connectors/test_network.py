"""What the environment says about certificates and proxies: done, or refused in one sentence that names it."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import certifi
import pytest

from zk_pipeline.connectors import network
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.errors import ProtocolError, UnavailableError
from zk_pipeline.connectors.kimai.connector import KimaiConnector

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "ZK_CA_BUNDLE")
KIMAI = "http://kimai.example.com"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the variables is set, in capitals or small letters."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def connector(url: str = KIMAI, attempts: int = 1) -> KimaiConnector:
    return KimaiConnector(Endpoint("kimai", url, "token-42", timeout_seconds=5, attempts=attempts))


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """A file without any certificate."""
    path = tmp_path / "empty.pem"
    path.write_text("-- nothing --\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "ZK_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [("/nope.pem", "does not exist"), ("{folder}", "is a folder"), ("{nobody}", "no readable certificate")],
)
def test_a_file_of_certificates_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, nobody: Path, variable: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(variable, value.format(folder=nobody.parent, nobody=nobody))
    with pytest.raises(ValueError, match=problem) as caught:
        connector()
    assert str(caught.value).startswith(f"{variable} is ")


def test_a_bundle_is_trusted_besides_the_usual_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = network.trusted().cert_store_stats()["x509_ca"]
    first, second = Path(certifi.where()).read_text(encoding="utf-8").split("-----END CERTIFICATE-----")[:2]
    one = tmp_path / "one.pem"
    one.write_text(f"{first}-----END CERTIFICATE-----\n", encoding="utf-8")
    assert network.trusted(str(one)).cert_store_stats()["x509_ca"] == usual
    monkeypatch.setenv("SSL_CERT_FILE", str(one))
    assert network.trusted().cert_store_stats()["x509_ca"] == 1, "it takes the place of the usual ones"
    other = tmp_path / "other.pem"
    other.write_text(f"{second}-----END CERTIFICATE-----\n", encoding="utf-8")
    monkeypatch.setenv("ZK_CA_BUNDLE", str(other))
    assert network.trusted().cert_store_stats()["x509_ca"] == 2
    assert network.trusted().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://me:hunter2@127.0.0.1:1080"),
        ("HTTP_PROXY", "ftp://proxy:21"),
        ("http_proxy", "http://proxy:port"),
        ("HTTP_PROXY", "http://"),
    ],
)
def test_a_proxy_that_is_none_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match="not an HTTP proxy") as caught:
        connector()
    assert str(caught.value).startswith(f"{variable} is ")
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "example.com")
    connector().close()


@pytest.mark.parametrize(
    ("excepted", "host", "direct"),
    [
        ("127.0.0.0/8", "127.1.2.3", True),
        ("127.0.0.0/8", "localhost", True),
        ("127.0.0.1,::1,fe80::/10", "[::1]", True),
        ("fe80::/10", "[fe81::1]", True),
        ("[fd00::]/8 [::1]", "[fd12::1]", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "kimai.example.com", False),
        ("example.com", "kimai.example.com", True),
        (".example.com", "kimai.example.com", True),
        ("*.example.com", "kimai.example.com", True),
        ("ample.com", "kimai.example.com", False),
        ("kimai.example.com:80", "kimai.example.com", True),
        ("kimai.example.com:8080", "kimai.example.com", False),
        ("[::1]:80", "[::1]", True),
        ("*", "kimai.example.com", True),
        ("", "kimai.example.com", False),
    ],
)
def test_hosts_and_networks_without_proxy(
    monkeypatch: pytest.MonkeyPatch, excepted: str, host: str, direct: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy.example.net:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert network.proxy_for(f"http://{host}/api") == ("" if direct else "http://proxy.example.net:3128")


def test_an_exception_that_is_no_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,10.0.0.0/99")
    with pytest.raises(ValueError, match=r"NO_PROXY holds 10\.0\.0\.0/99"):
        connector()


class Front(BaseHTTPRequestHandler):
    """A proxy that wants a password, or, under another name, a web server that does."""

    def do_GET(self) -> None:
        proxied = self.path.startswith("http://")
        self.send_response(407 if proxied else 401)
        self.send_header("Proxy-Authenticate" if proxied else "WWW-Authenticate", 'Basic realm="Staff only"')
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the tests' output clean."""


@pytest.fixture
def front() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_password_that_something_in_front_asks_for_is_not_called_a_wrong_token(front: str) -> None:
    with connector(front) as target, pytest.raises(ProtocolError) as caught:
        target.fetch_directory()
    assert "in front of Kimai asks for a name and password (Basic) for 'Staff only'" in str(caught.value)
    assert "behind it" in caught.value.remedy


def test_a_request_that_a_proxy_answered_names_the_proxy(monkeypatch: pytest.MonkeyPatch, front: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", front.replace("http://", "http://me:hunter2@"))
    with connector() as target, pytest.raises(ProtocolError) as caught:
        target.fetch_directory()
    assert f"The request went to the proxy {front}, which HTTP_PROXY names." in str(caught.value)
    assert "NO_PROXY" in caught.value.remedy
    assert "hunter2" not in str(caught.value)


def test_a_proxy_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with connector() as target, pytest.raises(UnavailableError, match="which HTTP_PROXY names"):
        target.fetch_directory()
