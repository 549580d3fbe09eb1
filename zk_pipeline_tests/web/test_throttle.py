"""Guessing passwords: how often one may, and that the answer tells nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pwdlib import PasswordHash
from sqlalchemy import text

from zk_pipeline.identity import users
from zk_pipeline.identity.throttle import MOST_FROM_EVERYWHERE, MOST_OF_ACCOUNT, MOST_OF_ADDRESS
from zk_pipeline_tests.web.conftest import HASHING, Web, client_of, refused
from zk_pipeline_tests.web.signing_in import LOGIN, ME, PASSWORD, events, login, own_origin, user


@pytest.fixture(autouse=True)
def ada(web: Web, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(users, "_hashing", HASHING)
    users._dummy_hash.cache_clear()
    return user(web.database).id


def failed(web: Web, number: int, *, minutes: float = 0, address: str = "127.0.0.1", like_ada: bool = True) -> None:
    """Have failures happened: like the newest one, which was on Ada's account, or on as many others."""
    newest = "SELECT account_hash, way FROM sync.failed_logins ORDER BY id DESC LIMIT 1"
    account = newest if like_ada else "SELECT 'another ' || n AS account_hash, '' AS way"
    statement = text(
        "INSERT INTO sync.failed_logins (account_hash, way, address, at) SELECT account_hash, way, :address, "
        f"now() - make_interval(secs => :seconds) FROM generate_series(1, :number) AS n, LATERAL ({account}) AS account"
    )
    with web.database.transaction() as connection:
        connection.execute(statement, {"address": address, "seconds": minutes * 60, "number": number})


def test_after_too_many_failures_not_even_the_right_password_is_tried(web: Web):
    login(web, password="wrong password 1")
    failed(web, MOST_OF_ACCOUNT - 1, minutes=5)
    answer = login(web)
    refused(answer, 429, "Try again in ")
    assert 590 <= int(answer.headers["retry-after"]) <= 600


def test_ten_wrong_passwords_from_elsewhere_lock_nobody_out_but_a_hundred_do(web: Web):
    login(web, password="wrong password 1")
    failed(web, MOST_FROM_EVERYWHERE - 2, address="203.0.113.7")
    assert login(web, password="wrong password 1").status_code == 401
    refused(login(web), 429, "too many failed sign-ins")


def sign_in_by_browser(web: Web, password: str = PASSWORD, email: str = "ada@example.com") -> int:
    typed = {"email": email, "password": password}
    return web.client.post("/sign-in", data=typed, headers=own_origin(web)).status_code


def strangers_fail(web: Web, number: int, email: str = "ada@example.com") -> None:
    """Have somebody without our cookies fail in one network, and others in another."""
    with client_of(web.client.base_url) as stranger:
        assert stranger.post(LOGIN, json={"email": email, "password": "wrong password 1"}).status_code == 401
    failed(web, number - 1, address="203.0.113.7")


def test_a_device_that_signed_in_before_is_not_locked_out_by_the_failures_of_others(web: Web):
    assert sign_in_by_browser(web) == 303
    strangers_fail(web, MOST_FROM_EVERYWHERE)
    web.client.post("/sign-out", headers=own_origin(web))
    assert sign_in_by_browser(web) == 303
    with client_of(web.client.base_url) as stranger:
        refused(stranger.post(LOGIN, json={"email": "ada@example.com", "password": PASSWORD}), 429, "too many")


def test_a_device_has_a_limit_of_its_own_in_all_networks_together(web: Web):
    assert sign_in_by_browser(web) == 303
    assert sign_in_by_browser(web, "wrong password 1") == 401
    failed(web, MOST_OF_ACCOUNT - 2, address="203.0.113.7")
    assert sign_in_by_browser(web, "wrong password 1") == 401
    assert sign_in_by_browser(web) == 429


def test_a_device_is_known_for_the_account_that_it_signed_in_to_alone(web: Web):
    assert sign_in_by_browser(web) == 303
    user(web.database, "eve@example.com")
    strangers_fail(web, MOST_FROM_EVERYWHERE, "eve@example.com")
    assert sign_in_by_browser(web, email="eve@example.com") == 429


def test_the_cookie_of_a_device_is_closed_to_scripts_and_lets_nobody_in(web: Web):
    typed = {"email": "ada@example.com", "password": PASSWORD}
    answer = web.client.post("/sign-in", data=typed, headers=own_origin(web))
    (cookie,) = [header for header in answer.headers.get_list("set-cookie") if header.startswith("zk_device=")]
    parts = cookie.split("; ")
    assert {"HttpOnly", "SameSite=strict"} <= set(parts)
    (age,) = [int(part.removeprefix("Max-Age=")) for part in parts if part.startswith("Max-Age=")]
    assert 180 * 86_400 - 60 < age <= 180 * 86_400
    device = web.client.cookies["zk_device"]
    web.client.cookies.clear()
    web.client.cookies.set("zk_session", device)
    assert web.client.get(ME).status_code == 401
    assert web.client.get("/renew").headers["location"].startswith("/sign-in")


def test_many_attempts_at_once_are_no_way_around(web: Web):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: login(web, password="wrong password 1"), range(MOST_OF_ACCOUNT + 4)))
    assert sorted(answer.status_code for answer in answers) == [401] * MOST_OF_ACCOUNT + [429] * 4


def test_an_address_is_limited_whatever_accounts_it_tries(web: Web):
    failed(web, MOST_OF_ADDRESS, like_ada=False)
    refused(login(web), 429, "too many failed sign-ins")


def test_an_address_cannot_be_changed_by_a_header(web: Web):
    failed(web, MOST_OF_ADDRESS, like_ada=False)
    answer = web.client.post(
        LOGIN, json={"email": "ada@example.com", "password": PASSWORD}, headers={"x-forwarded-for": "203.0.113.9"}
    )
    refused(answer, 429, "too many failed sign-ins")


def test_failures_are_forgotten_with_time(web: Web):
    login(web, password="wrong password 1")
    failed(web, MOST_OF_ACCOUNT + 5, minutes=16)
    assert login(web).status_code == 200


def test_a_success_forgets_the_failures_of_the_account_but_not_those_of_the_address(web: Web):
    login(web, password="wrong password 1")
    failed(web, 3, like_ada=False)
    assert login(web).status_code == 200
    assert web.rows("SELECT count(*) FROM sync.failed_logins") == [(3,)]


def test_an_unknown_account_is_throttled_like_any_other(web: Web):
    answers = [login(web, "nobody@example.com").status_code for _ in range(MOST_OF_ACCOUNT + 1)]
    assert answers == [401] * MOST_OF_ACCOUNT + [429]


def test_the_page_tells_how_long_to_wait(web: Web):
    failed(web, MOST_OF_ADDRESS, like_ada=False)
    typed = {"email": "ada@example.com", "password": PASSWORD}
    answer = web.client.post("/sign-in", data=typed, headers={**own_origin(web), "accept-language": "de"})
    assert (answer.status_code, "zu viele fehlgeschlagene Anmeldungen" in answer.text) == (429, True)
    assert 890 <= int(answer.headers["retry-after"]) <= 900


def test_what_was_tried_is_stored_as_a_keyed_hash(web: Web):
    login(web, "nobody@example.com", "wrong password 1")
    ((stored,),) = web.rows("SELECT account_hash FROM sync.failed_logins")
    assert len(stored) == 64
    assert events(web) == [("user.sign_in_failed", "nobody", f"account:{stored[:16]}")]


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "without@example.com"])
def test_a_failure_costs_one_hash_of_the_same_cost_whoever_it_is(web: Web, email: str, monkeypatch: pytest.MonkeyPatch):
    with web.database.transaction() as connection:
        connection.execute(
            text("INSERT INTO sync.users (email, name, role) VALUES ('without@example.com', '', 'viewer')")
        )
    users.password_matches("warm up", None)
    checked: list[str] = []
    really = PasswordHash.verify

    def counted(self: PasswordHash, password: str | bytes, stored: str | bytes) -> bool:
        checked.append(str(stored).rsplit("$", 2)[0])
        return really(self, password, stored)

    monkeypatch.setattr(PasswordHash, "verify", counted)
    assert login(web, email, "wrong password 1").status_code == 401
    assert checked == ["$argon2id$v=19$m=65536,t=3,p=4"]
