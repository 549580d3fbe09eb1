"""Whatever stands in the environment: it is taken, or refused in one sentence that names the setting and no secret."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zk_pipeline.runtime.settings import ENV_FILE, Settings, SettingsError, load_settings

NAMES = st.sampled_from(sorted(Settings.model_fields))
SECRETS = st.sampled_from([name for name in sorted(Settings.model_fields) if name.endswith(("token", "secret", "key"))])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
LIKELY = (
    st.integers().map(str)
    | st.floats().map(str)
    | st.dates().map(str)
    | st.booleans().map(str)
    | st.lists(TEXTS, max_size=3).map(",".join)
    | st.sampled_from(["", "[]", "{}", "null", "https://", "http://[", "postgresql://", "../..", "* * * * *", "{title"])
)


@pytest.fixture(autouse=True, scope="module")
def nothing_of_this_machine() -> Iterator[None]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("ZK_")}
    with patch.dict(os.environ, {**others, ENV_FILE: os.devnull}, clear=True):
        yield


def told(**given_: str) -> str:
    """What is said about these settings, or nothing."""
    with patch.dict(os.environ, {f"ZK_{name.upper()}": value for name, value in given_.items()}):
        try:
            load_settings()
        except SettingsError as error:
            return str(error)
    return ""


@settings(deadline=None, max_examples=400)
@given(name=NAMES, value=TEXTS | LIKELY)
@example(name="timezone", value="\x7f")
def test_any_value_is_taken_or_refused_by_the_name_of_a_setting(name: str, value: str) -> None:
    sentence = told(**{name: value})
    assert not sentence or sentence.startswith("ZK_"), sentence
    assert not sentence or sentence.endswith("."), sentence


@settings(deadline=None)
@given(name=SECRETS, secret=st.text("abcdefgh0123456789:/@%[]", min_size=12))
def test_no_secret_is_in_what_is_said_about_it(name: str, secret: str) -> None:
    assert secret not in told(**{name: secret}, database_url="postgresql://zk@db/zk")
