"""What a base URL and a token must look like, told without quoting what is secret in them."""

import pytest

from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.ssrf_guard import checked_base_url, checked_token

TOKEN = "secret-token-42"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://desk.example.com", "https://desk.example.com"),
        (" https://desk.example.com/ ", "https://desk.example.com"),
        ("https://desk.example.com/api/v1/", "https://desk.example.com"),
        ("https://desk.freshdesk.com/api/v2", "https://desk.freshdesk.com"),
        ("https://example.com:8443/kimai/api", "https://example.com:8443/kimai"),
        ("http://[::1]:8001/kimai/", "http://[::1]:8001/kimai"),
        ("https://kimai.example.com/en/homepage", "https://kimai.example.com"),
        ("https://example.com/kimai/pt_BR/timesheet/?page=2#top", "https://example.com/kimai"),
        ("https://desk.example.com/#dashboard", "https://desk.example.com"),
        ("https://example.com/desk/#ticket/zoom/5", "https://example.com/desk"),
        ("https://desk.example.com/desktop/tickets/5", "https://desk.example.com"),
        ("https://example.com/de", "https://example.com/de"),
    ],
)
def test_a_base_url_is_taken_as_people_paste_it(given: str, used: str) -> None:
    assert checked_base_url(Endpoint("thing", given, TOKEN)) == used


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("desk.example.com", "The address of thing must start with https://"),
        ("ftp://desk.example.com", "The address of thing must start with https://"),
        ("https://", "host"),
        ("https://me:hunter2@desk.example.com", "credentials"),
        ("https://desk.example.com?key=hunter2", "query"),
        ("https://desk.example.com:port", "not a URL"),
        ("https://desk.example.com:99999", "not a URL"),
        ("https://desk\x00.example.com", "not a URL"),
        ("https://desk..example.com", "not a URL"),
        (f"https://{'a' * 64}.example.com", "not a URL"),
        ("https://desk.example.com/\x7f", "not a URL"),
    ],
)
def test_a_base_url_that_cannot_work_is_refused_without_quoting_it(given: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        checked_base_url(Endpoint("thing", given, TOKEN))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak", "schlüssel"])
def test_a_token_that_cannot_stand_in_a_header_is_refused_without_quoting_it(token: str) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        checked_token(Endpoint("thing", "https://desk.example.com", token))
    assert token.strip() == "" or token not in str(caught.value)
