"""The second factor: set up, asked for at the sign-in, accepted once, required by a setting, and taken away."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pyotp.totp import TOTP
from sqlalchemy import text

from zk_pipeline.identity import queries, second_factor, users
from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.queries import User
from zk_pipeline.runtime.settings import SecondFactor, Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, UndecryptableError, generate_key
from zk_pipeline_tests.web.conftest import TESTER, Web, refused, web_app
from zk_pipeline_tests.web.signing_in import LOGIN, ME, PASSWORD, bearer, events, login, own_origin, signed_in, user

FACTOR = "/api/v1/auth/second-factor"
KEY = generate_key()


class Phone:
    """Somebody's app; each code is of a later half minute, as if the time went by."""

    def __init__(self, web: Web, secret: str) -> None:
        self._web, self._codes = web, TOTP(secret)

    def code(self) -> str:
        """The code that it shows once what was accepted before is some time ago."""
        with self._web.database.transaction() as connection:
            connection.execute(text("UPDATE sync.second_factors SET last_step = 0"))
        return self._codes.now()

    def same_code(self) -> str:
        return self._codes.now()


@pytest.fixture
def web(database: Database, settings: Settings):
    """The web app with a key that the tests know."""
    with web_app(database, settings, KEY) as running:
        yield running


@pytest.fixture
def ada(web: Web) -> User:
    return user(web.database)


def set_up(web: Web, token: str) -> tuple[Phone, list[str]]:
    """Set a second factor up in this session: the app, and the recovery codes."""
    offered = web.client.post(FACTOR, headers=bearer(token)).json()
    phone = Phone(web, offered["secret"])
    answer = web.client.post(f"{FACTOR}/activate", json={"code": phone.same_code()}, headers=bearer(token))
    return phone, answer.raise_for_status().json()["recovery_codes"]


@pytest.fixture
def phone(web: Web, ada: User) -> Phone:
    """Ada's app, after she set it up."""
    return set_up(web, signed_in(web)["access_token"])[0]


def test_once_it_is_set_up_a_password_alone_lets_nobody_in(web: Web, ada: User, phone: Phone):
    refused(login(web), 401, "the second factor is missing")
    refused(login(web, password="a wrong password", code=phone.code()), 401, "E-mail or password is wrong")
    refused(login(web, code="000000"), 401, "The code is wrong, or was used before")
    assert login(web, code=phone.code()).status_code == 200
    assert web.client.get(ME, headers=bearer(login(web, code=phone.code()).json()["access_token"])).json()[
        "second_factor"
    ]
    assert ("user.second_factor_set", f"user:{ada.id}", f"user:{ada.id}") in events(web)
    assert ("user.sign_in_failed", "nobody", f"user:{ada.id}") in events(web)


def test_a_code_is_accepted_once(web: Web, phone: Phone):
    code = phone.code()
    assert login(web, code=code).status_code == 200
    refused(login(web, code=code), 401, "was used before")


def test_the_code_that_set_it_up_is_used_too(web: Web, phone: Phone):
    refused(login(web, code=phone.same_code()), 401, "was used before")


def test_recovery_codes_let_in_once_each_and_are_stored_as_hashes(web: Web, ada: User):
    _, codes = set_up(web, signed_in(web)["access_token"])
    assert len({*codes}) == 10
    assert login(web, code=codes[0].upper().replace("-", " ")).status_code == 200
    refused(login(web, code=codes[0]), 401, "was used before")
    assert login(web, code=codes[1]).status_code == 200
    stored = str(web.rows("SELECT to_jsonb(recovery_codes)::text FROM sync.recovery_codes"))
    assert [code for code in codes if code in stored or code.replace("-", "") in stored] == []
    assert events(web).count(("user.recovery_code_used", f"user:{ada.id}", f"user:{ada.id}")) == 2


@pytest.mark.parametrize("code", ["", " ", "\N{ARABIC-INDIC DIGIT ZERO}" * 6, "0" * 100, "a" * 16, "'; --", "\0"])
def test_what_is_no_code_is_refused(web: Web, phone: Phone, code: str):
    assert login(web, code=code).status_code in {401, 422}


def test_codes_cannot_be_guessed_from_many_networks_and_a_right_password_does_not_begin_anew(web: Web, phone: Phone):
    assert [login(web, code="000000").status_code for _ in range(9)] == [401] * 9
    refused(login(web), 401, "the second factor is missing")
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.failed_logins SET address = '203.0.113.7'"))
    refused(login(web, code="000000"), 401, "The code is wrong")
    refused(login(web, code=phone.code()), 429, "too many failed sign-ins")


def test_the_secret_is_encrypted_and_follows_a_new_key(web: Web, ada: User, database: Database):
    offered = web.client.post(FACTOR, headers=bearer(signed_in(web)["access_token"])).json()
    with database.transaction() as connection:
        stored = queries.factor_of(connection, ada.id).secret_encrypted
        assert offered["secret"] not in stored
        assert TokenCipher(KEY).decrypt(stored) == offered["secret"]
        fresh = generate_key()
        assert queries.rotate_factors(connection, TokenCipher(f"{fresh},{KEY}")) == 1
        assert TokenCipher(fresh).decrypt(queries.factor_of(connection, ada.id).secret_encrypted)
        with pytest.raises(UndecryptableError):
            TokenCipher(KEY).decrypt(queries.factor_of(connection, ada.id).secret_encrypted)


def test_it_is_set_up_in_a_confirmed_session_alone_and_counts_from_its_first_code_on(web: Web, ada: User):
    token = signed_in(web)["access_token"]
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET confirmed_at = NULL"))
    refused(web.client.post(FACTOR, headers=bearer(token)), 403, "Confirm with your password first")
    token = signed_in(web)["access_token"]
    refused(web.client.post(f"{FACTOR}/activate", json={"code": "1"}, headers=bearer(token)), 409, "Start again")
    web.client.post(FACTOR, headers=bearer(token)).raise_for_status()
    refused(web.client.post(f"{FACTOR}/activate", json={"code": "000000"}, headers=bearer(token)), 401, "wrong")
    assert login(web).status_code == 200


def test_removing_it_needs_password_and_code(web: Web, ada: User):
    token = signed_in(web)["access_token"]
    phone, codes = set_up(web, token)

    def removed(password: str, code: str) -> httpx.Response:
        given = {"password": password, "code": code}
        return web.client.post(f"{FACTOR}/remove", json=given, headers=bearer(token))

    refused(web.client.post(FACTOR, headers=bearer(token)), 409, "Remove the second factor of ada@example.com first")
    refused(removed("a wrong password", phone.code()), 401, "password is wrong")
    refused(removed(PASSWORD, "000000"), 401, "The code is wrong")
    renewed = web.client.post(
        f"{FACTOR}/recovery-codes", json={"password": PASSWORD, "code": codes[0]}, headers=bearer(token)
    ).json()["recovery_codes"]
    refused(removed(PASSWORD, codes[1]), 401, "The code is wrong")
    assert removed(PASSWORD, renewed[0]).status_code == 204
    assert login(web).status_code == 200
    assert events(web)[-2] == ("user.second_factor_removed", f"user:{ada.id}", f"user:{ada.id}")
    refused(removed(PASSWORD, phone.code()), 409, "has no second factor")


def test_an_admin_removes_it_for_somebody_who_lost_it(
    web: Web, ada: User, phone: Phone, in_session: Callable[[str], httpx.Client]
):
    token = login(web, code=phone.code()).json()["access_token"]
    path = f"/api/v1/users/{ada.id}/second-factor"
    assert in_session("operator").delete(path).status_code == 403
    admin = in_session("admin")
    assert admin.delete(path).json()["second_factor"] is False
    refused(web.client.get(ME, headers=bearer(token)), 401, "the session is over")
    assert login(web).status_code == 200
    assert [subject for event, _, subject in events(web) if event == "user.second_factor_removed"] == [f"user:{ada.id}"]
    refused(admin.delete(path), 409, "has no second factor")


def in_browser(web: Web) -> httpx.Response:
    """The answer to e-mail and password, typed on the page."""
    typed = {"email": "ada@example.com", "password": PASSWORD, "next": "/audit"}
    return web.client.post("/sign-in", data=typed, headers=own_origin(web))


def enter(web: Web, code: str, **more: str) -> httpx.Response:
    typed = {"code": code, "next": "/audit", **more}
    return web.client.post("/sign-in/code", data=typed, headers=own_origin(web))


def test_the_page_asks_for_the_code_in_a_second_step(web: Web, phone: Phone):
    answer = in_browser(web)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/code?next=/audit")
    assert web.client.get(ME).status_code == 401
    page = web.client.get(answer.headers["location"], headers={"accept-language": "de"})
    assert 'autocomplete="one-time-code"' in page.text
    assert "Code Ihrer App" in page.text
    assert "Recovery code" in web.client.get("/sign-in/code", params={"recovery": "true"}).text
    wrong = enter(web, "000000")
    assert (wrong.status_code, 'role="alert">The code is wrong' in wrong.text) == (401, True)
    right = enter(web, phone.code())
    assert (right.status_code, right.headers["location"]) == (303, "/audit")
    assert web.client.get(ME).status_code == 200
    assert web.client.get("/sign-in/code").headers["location"].startswith("/sign-in?next=")


def test_the_second_step_is_closed_to_others_and_after_a_new_password(web: Web, ada: User, phone: Phone):
    code = phone.code()
    refused(web.client.post("/sign-in/code", data={"code": code}), 403, "does not come from a page of this host")
    assert enter(web, code).headers["location"] == "/sign-in?next=/audit"
    in_browser(web)
    with web.database.transaction() as connection:
        users.set_password(connection, TESTER, ada.id, "another long one")
    assert enter(web, code).headers["location"] == "/sign-in?next=/audit"
    web.client.cookies.set("zk_session", web.client.cookies["zk_second_step"])
    assert web.client.get(ME).status_code == 401


@pytest.mark.parametrize("settings", [{"second_factor": SecondFactor.ADMINS}], indirect=True)
def test_where_it_is_required_the_sign_in_sets_it_up(web: Web):
    boss = user(web.database, role=Role.ADMIN)
    refused(login(web), 401, "to set up a second factor: it is required here")
    page = web.client.get(in_browser(web).headers["location"])
    assert "<svg" in page.text
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page.text)[1]
    assert 'role="alert"' in enter(web, "000000").text
    assert web.client.get(ME).status_code == 401
    done = enter(web, TOTP(secret).now())
    codes = re.findall(r"<code>([a-z2-7-]{29})</code>", done.text)
    assert (len(codes), web.client.get(ME).json()["id"]) == (10, boss.id)
    assert login(web, code=codes[0]).status_code == 200


@pytest.mark.parametrize("settings", [{"second_factor": SecondFactor.ADMINS}], indirect=True)
def test_whoever_becomes_an_admin_goes_on_with_a_second_factor_alone(web: Web, ada: User):
    tokens = signed_in(web)
    assert web.client.get(ME, headers=bearer(tokens["access_token"])).status_code == 200
    with web.database.transaction() as connection:
        users.change(connection, TESTER, ada.id, role=Role.ADMIN)
    refused(web.client.get(ME, headers=bearer(tokens["access_token"])), 401, "the session is over")
    renewal = web.client.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    refused(renewal, 401, "the session is over")


@pytest.mark.parametrize("wanted", list(SecondFactor))
def test_who_needs_one_by_the_setting(wanted: SecondFactor):
    asked = [role for role in Role if second_factor.is_required(Settings(_env_file=None, second_factor=wanted), role)]
    assert asked == {"off": [], "optional": [], "admins": [Role.ADMIN], "all": list(Role)}[wanted]


def test_where_it_is_switched_off_nobody_is_asked(web: Web, phone: Phone, database: Database, ada: User):
    off: Any = Settings(_env_file=None, second_factor=SecondFactor.OFF)
    with web_app(database, off, KEY) as other:
        answer = other.client.post(LOGIN, json={"email": "ada@example.com", "password": PASSWORD})
        assert answer.status_code == 200
        token = answer.json()["access_token"]
        user(database, "eve@example.com")
        eve = other.client.post(LOGIN, json={"email": "eve@example.com", "password": PASSWORD}).json()["access_token"]
        refused(other.client.post(FACTOR, headers=bearer(eve)), 409, "second factors are disabled here")
        assert other.client.get(ME, headers=bearer(token)).json()["second_factor"] is True
