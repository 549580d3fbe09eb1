"""Addresses: how they are read, how messages reach them, and that no secret gets out."""

import logging
import socket
from datetime import date

import pytest
from pydantic import SecretStr

from zk_pipeline.languages import Language
from zk_pipeline.observe.alert_delivery import AlertAddress, alert_addresses, redacted, send
from zk_pipeline.observe.alerts import AlertMessage, Failure, failure_message
from zk_pipeline.runtime.settings import Settings
from zk_pipeline_tests.observe.alerts.receiver import TOKEN, Receiver

FAILED = AlertMessage("zk_pipeline: sync failed", "Kimai refuses the token.")


def settings(urls: str = "", **given: str) -> Settings:
    return Settings(_env_file=None, alert_urls=SecretStr(urls), **given)  # pyright: ignore[reportCallIssue]


def address(url: str) -> AlertAddress:
    return AlertAddress(1, SecretStr(url))


@pytest.mark.parametrize(
    ("urls", "schemes"),
    [
        ("", []),
        (" , ", []),
        ("json://one", ["json"]),
        ("json://one, mailto://two,ntfy://three", ["json", "mailto", "ntfy"]),
        ("mailto://a:b@mail.example.com?to=x@example.com,y@example.com,json://one", ["mailto", "json"]),
        ("json://one\nslack://a/b/c", ["json", "slack"]),
        ("somebody@example.com", ["no scheme"]),
    ],
)
def test_addresses_stand_between_commas(urls: str, schemes: list[str]) -> None:
    read = alert_addresses(settings(urls))
    assert [row.scheme for row in read] == schemes
    assert [row.position for row in read] == list(range(1, len(schemes) + 1))


def test_an_address_shows_its_position_and_scheme_alone() -> None:
    shown = address(f"slack://{TOKEN}/b/c")
    assert str(shown) == "address 1 (slack)"
    assert TOKEN not in repr(shown)


def test_a_message_arrives_with_title_and_body(receiver: Receiver) -> None:
    assert send(address(receiver.url), FAILED, Language.ENGLISH) is None
    (message,) = receiver.messages
    assert (message["title"], message["message"], message["type"]) == (FAILED.title, FAILED.body, "failure")


def test_a_message_arrives_in_the_language_of_the_installation(receiver: Receiver) -> None:
    message = AlertMessage("zk_pipeline: sync failed", "The database does not answer.\nDays: 2025-10-08")
    assert send(address(receiver.url), message, Language.GERMAN) is None
    (arrived,) = receiver.messages
    assert arrived["title"] == "zk_pipeline: sync ist gescheitert"
    assert arrived["message"] == "Die Datenbank antwortet nicht.\nTage: 2025-10-08"


@pytest.mark.parametrize(
    ("language", "days", "title"),
    [
        (Language.GERMAN, [8], "zk_pipeline: sync ist für 2025-10-08 gescheitert"),
        (Language.GERMAN, [10, 8], "zk_pipeline: sync ist für 2025-10-08 bis 2025-10-10 gescheitert"),
        (Language.FRENCH, [8], "zk_pipeline\u202f: sync a échoué pour le 2025-10-08"),
        (Language.FRENCH, [10, 8], "zk_pipeline\u202f: sync a échoué pour les jours du 2025-10-08 au 2025-10-10"),
    ],
)
def test_a_title_names_job_and_days_in_each_language(
    receiver: Receiver, language: Language, days: list[int], title: str
) -> None:
    failure = Failure("sync", "It failed without a message.", "", tuple(date(2025, 10, day) for day in days), "")
    assert send(address(receiver.url), failure_message(failure), language) is None
    assert receiver.messages[0]["title"] == title


def test_good_news_look_like_good_news(receiver: Receiver) -> None:
    good_news = AlertMessage("sync works again", "It does.", good_news=True)
    assert send(address(receiver.url), good_news, Language.ENGLISH) is None
    assert receiver.messages[0]["type"] == "success"


def test_a_receiver_that_refuses_is_a_reason_with_its_status(receiver: Receiver) -> None:
    receiver.status = 503
    reason = send(address(receiver.url), FAILED, Language.ENGLISH)
    assert reason is not None
    assert "503" in reason
    assert TOKEN not in reason


def test_a_receiver_that_is_down_is_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reason = send(address(f"json://user:{TOKEN}@localhost:{port}/{TOKEN}"), FAILED, Language.ENGLISH)
    assert reason is not None
    assert "onnection" in reason
    assert TOKEN not in reason


@pytest.mark.parametrize("url", [f"pigeon://{TOKEN}", f"{TOKEN}@example.com", f"tgram://{TOKEN}"])
def test_an_address_that_apprise_does_not_know_is_named_by_position_and_said_nowhere(
    url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        reason = send(address(url), FAILED, Language.ENGLISH)
    assert reason == "Correct address 1 in ZK_ALERT_URLS: apprise does not know it."
    output = capfd.readouterr()
    assert TOKEN not in output.out + output.err + caplog.text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Token secret-of-kimai is refused.", "Token *** is refused."),
        ("https://user:password@kimai.example.com does not answer.", "https://***@kimai.example.com does not answer."),
        ("anna.b+x@mail.example.com has no account.", "*** has no account."),
        ("https://kimai.example.com answers 403 for Anna.", "https://kimai.example.com answers 403 for Anna."),
    ],
)
def test_a_text_is_told_without_secrets_and_mail_addresses(text: str, clean: str) -> None:
    assert redacted(text, settings(kimai_token="secret-of-kimai")) == clean
