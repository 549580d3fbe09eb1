"""Encryption at rest: secrets such as connector tokens are Fernet tokens with rotating keys."""

import os
from base64 import urlsafe_b64decode
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from zk_pipeline.store.files import lock_file, turn

KEY_FILE = "encryption.key"
_MAKE_ONE = "zk keys generate"


class EncryptionError(Exception):
    """A secret cannot be encrypted or read; the message names the remedy and never a key or a secret."""


class InvalidKeyError(EncryptionError):
    """ZK_ENCRYPTION_KEY is empty or holds something that is not a Fernet key."""


class UndecryptableError(EncryptionError):
    """A stored secret was encrypted with none of the given keys, or it was altered."""


class TokenCipher:
    """Encrypts with the newest key and decrypts with all of them.

    `keys` is the value of ZK_ENCRYPTION_KEY: Fernet keys separated by commas, the newest first. To
    replace a key, put the new one in front, `rotate` every stored secret, then drop the old one.

    Raises:
        InvalidKeyError: there is no key, or one of them is not a Fernet key.

    """

    def __init__(self, keys: str) -> None:
        parts = [part.strip() for part in keys.split(",") if part.strip()]
        if not parts:
            raise InvalidKeyError(f"ZK_ENCRYPTION_KEY holds no key; make one with: {_MAKE_ONE}")
        self._fernet = MultiFernet([_fernet(key, position) for position, key in enumerate(parts, start=1)])
        self._keys = tuple(urlsafe_b64decode(key) for key in parts)

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """32-byte keys for another purpose, one derived from each key, newest first; none reveals another."""
        return tuple(HKDF(SHA256(), 32, None, purpose.encode()).derive(key) for key in self._keys)

    def encrypt(self, secret: str) -> str:
        """Return `secret` as a Fernet token under the newest key."""
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the secret in `token`; raises UndecryptableError."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise _undecryptable() from None

    def rotate(self, token: str) -> str:
        """Return the secret in `token` under the newest key, its time kept; raises UndecryptableError."""
        try:
            return self._fernet.rotate(token.encode()).decode()
        except InvalidToken:
            raise _undecryptable() from None


def generate_key() -> str:
    """Return a new random key for ZK_ENCRYPTION_KEY."""
    return Fernet.generate_key().decode()


def load_or_create_key(home: Path) -> str:
    """Return the keys in `home/encryption.key`; the first caller creates the file with one new key.

    This is for the embedded database only: with ZK_DATABASE_URL set, ZK_ENCRYPTION_KEY must be given,
    since a key made here would be lost with this machine while the secrets live on in that database.
    """
    home.mkdir(parents=True, exist_ok=True)
    # Created private from its first moment; the lock lets two processes at once agree on one key, and a file
    # left empty by a crash, whose key nobody has used, is filled again.
    with lock_file(home / KEY_FILE) as file, turn(file):
        if keys := file.read().decode().strip():
            return keys
        keys = generate_key()
        file.write(f"{keys}\n".encode())
        os.fsync(file.fileno())
        return keys


def _fernet(key: str, position: int) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        # "from None": the original error may carry the key.
        raise InvalidKeyError(
            f"Key {position} of ZK_ENCRYPTION_KEY is not a Fernet key (32 bytes in URL-safe base64); "
            f"correct it or make one with: {_MAKE_ONE}"
        ) from None


def _undecryptable() -> UndecryptableError:
    return UndecryptableError(
        "A stored secret cannot be decrypted with the keys in ZK_ENCRYPTION_KEY; "
        "add the key it was encrypted with, or enter the secret again."
    )
