"""Secrets at rest: encryption, rotation and the key file of the embedded default."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.store.encryption import (
    InvalidKeyError,
    TokenCipher,
    UndecryptableError,
    generate_key,
    load_or_create_key,
)

OLD, NEW = generate_key(), generate_key()


@given(st.text())
def test_every_secret_comes_back_as_it_was(secret: str) -> None:
    cipher = TokenCipher(NEW)
    assert cipher.decrypt(cipher.encrypt(secret)) == secret


def test_a_secret_is_not_visible_in_its_token() -> None:
    assert "hunter2" not in TokenCipher(NEW).encrypt("hunter2")


def test_the_newest_key_encrypts_and_older_keys_still_decrypt() -> None:
    old_token = TokenCipher(OLD).encrypt("secret")
    both = TokenCipher(f"{NEW}, {OLD}")
    assert both.decrypt(old_token) == "secret"
    assert TokenCipher(NEW).decrypt(both.encrypt("fresh")) == "fresh"


def test_a_rotated_token_needs_the_old_key_no_more() -> None:
    rotated = TokenCipher(f"{NEW},{OLD}").rotate(TokenCipher(OLD).encrypt("secret"))
    assert TokenCipher(NEW).decrypt(rotated) == "secret"
    with pytest.raises(UndecryptableError):
        TokenCipher(OLD).decrypt(rotated)


def test_an_altered_token_is_refused() -> None:
    token = TokenCipher(NEW).encrypt("secret")
    altered = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    with pytest.raises(UndecryptableError):
        TokenCipher(NEW).decrypt(altered)


@pytest.mark.parametrize("keys", ["", "  ", ",,", " , "])
def test_no_key_at_all_is_refused_with_a_way_to_make_one(keys: str) -> None:
    with pytest.raises(InvalidKeyError, match=r"ZK_ENCRYPTION_KEY holds no key; make one with: zk keys generate"):
        TokenCipher(keys)


@pytest.mark.parametrize("bad", ["hunter2", "hünter", "QUJD", "A" * 40, "A" * 44])
def test_a_bad_key_is_named_by_its_position_and_never_shown(bad: str) -> None:
    with pytest.raises(InvalidKeyError, match="Key 2 of ZK_ENCRYPTION_KEY") as caught:
        TokenCipher(f"{OLD},{bad}")
    assert bad not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("token", ["", "plain", "ünïcode", "gAAAAA=="])
def test_a_token_that_no_key_opens_is_refused_and_never_shown(token: str) -> None:
    cipher = TokenCipher(NEW)
    for read in (cipher.decrypt, cipher.rotate):
        with pytest.raises(UndecryptableError, match="add the key it was encrypted with") as caught:
            read(token)
        assert not token or token not in str(caught.value)


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    key = load_or_create_key(home)
    assert load_or_create_key(home) == key
    assert TokenCipher(key).decrypt(TokenCipher(key).encrypt("secret")) == "secret"
    assert stat.S_IMODE((home / "encryption.key").stat().st_mode) == 0o600


def test_a_key_file_left_empty_by_a_crash_is_filled(tmp_path: Path) -> None:
    (tmp_path / "encryption.key").touch(0o600)
    assert load_or_create_key(tmp_path) == load_or_create_key(tmp_path) != ""


def test_keys_put_in_front_of_the_file_are_all_used(tmp_path: Path) -> None:
    (tmp_path / "encryption.key").write_text(f"{NEW},{OLD}\n")
    assert TokenCipher(load_or_create_key(tmp_path)).decrypt(TokenCipher(OLD).encrypt("secret")) == "secret"


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from zk_pipeline.store.encryption import load_or_create_key\n"
        "print('up', flush=True); sys.stdin.readline(); print(load_or_create_key(Path(sys.argv[1])))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    keys = {process.communicate("go\n")[0].strip() for process in processes}
    assert keys == {load_or_create_key(tmp_path)}
