"""Encrypted files: encrypted and authenticated as a stream; a changed byte, a swapped part or a cut is detected.

The format: a magic line, then libsodium's secretstream (XChaCha20-Poly1305): its header, and messages of `FRAME` bytes
of plain text each. The last one, which may be shorter, is tagged as the last. libsodium checks order and completeness.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from zk_pipeline.store.encryption import EncryptionError

MAGIC = b"zk sealed 2\n"
FRAME = 1 << 20
"""Bytes of plain text in a message."""

HEADER = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
ADDED = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
"""Bytes that encryption adds to a message."""

_MORE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_LAST = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL

Opened = tuple[bytes, bool]
"""Plain bytes, and whether they are the last."""


class BrokenFileError(EncryptionError):
    """The file was altered, cut off, or encrypted with a key that is not given."""


class EncryptedWriter:
    """Encrypts what is written to it; `finish` completes the file."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        self._file = file
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        self._waiting = bytearray()
        header = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, _stream_key(key))
        file.write(MAGIC + header)

    def write(self, data: bytes) -> None:
        """Encrypt more bytes."""
        self._waiting += data
        # Some data is held back, so that `finish` writes the last message.
        while len(self._waiting) > FRAME:
            self._message(bytes(self._waiting[:FRAME]), _MORE)
            del self._waiting[:FRAME]

    def finish(self) -> None:
        """Write the last message."""
        self._message(bytes(self._waiting), _LAST)
        self._waiting.clear()

    def _message(self, data: bytes, tag: int) -> None:
        self._file.write(sodium.crypto_secretstream_xchacha20poly1305_push(self._state, data, None, tag))


def decrypted(file: IO[bytes], keys: Sequence[bytes], name: str) -> Iterator[bytes]:
    """The decrypted bytes of a file, in parts; `name` is its name in messages. Raises `BrokenFileError`."""
    magic = file.read(len(MAGIC))
    if magic not in {MAGIC, _FIRST_MAGIC}:
        raise BrokenFileError(f"{name} is not a backup. Name a file made by zk backup.")
    make, read_sealed = (_openers, _read_message) if magic == MAGIC else (_first_openers, _read_first_frame)
    openers = make(file, keys, name)
    for place in count():
        openers, data, last = _opened(openers, place, read_sealed(file, name), name)
        yield data
        if last:
            break
    if file.read(1):
        raise _broken(name, "something was added to its end")


Opener = Callable[[bytes], Opened]
"""Decrypts the next part with one key. Raises `CryptoError` or `InvalidTag`."""


def _opened(openers: list[Opener], place: int, sealed: bytes, name: str) -> tuple[list[Opener], bytes, bool]:
    """The decrypted bytes of a part, and the key that fits, which must fit all later parts too."""
    for opener in openers:
        try:
            return [opener], *opener(sealed)
        except (CryptoError, InvalidTag):
            continue
    if place == 0:
        raise BrokenFileError(
            f"Add the key of {name} to ZK_ENCRYPTION_KEY, or use another backup: none of the keys opens it, or it was "
            "altered or cut off."
        )
    raise _broken(name, f"its part {place + 1} was altered or cut off")


def _openers(file: IO[bytes], keys: Sequence[bytes], name: str) -> list[Opener]:
    header = _read(file, HEADER, name)
    return [_opener(header, key) for key in keys]


def _opener(header: bytes, key: bytes) -> Opener:
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, _stream_key(key))

    def opened(sealed: bytes) -> Opened:
        data, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, sealed)
        return data, tag == _LAST

    return opened


def _read_message(file: IO[bytes], name: str) -> bytes:
    sealed = file.read(FRAME + ADDED)
    if len(sealed) < ADDED:
        raise _broken(name, "its end is missing")
    return sealed


def _read(file: IO[bytes], size: int, name: str) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise _broken(name, "its end is missing")
    return found


def _broken(name: str, what: str) -> BrokenFileError:
    return BrokenFileError(f"Use another backup: {name} is damaged, {what}. Nothing of it was used.")


def _stream_key(key: bytes) -> bytes:
    return HKDF(SHA256(), 32, None, b"zk sealed file 2").derive(key)


# The first format, of backups made by version 0.1, which is only read: a salt, then frames of a length (4 bytes)
# and an AES-256-GCM ciphertext, bound to its place by the nonce and to whether it is the last by the associated data.

_FIRST_MAGIC = b"zk sealed 1\n"
_SALT, _TAG = 16, 16
_LENGTH = struct.Struct(">I")


def _first_openers(file: IO[bytes], keys: Sequence[bytes], name: str) -> list[Opener]:
    salt = _read(file, _SALT, name)
    return [_first_opener(AESGCM(HKDF(SHA256(), 32, salt, b"zk sealed file").derive(key))) for key in keys]


def _first_opener(cipher: AESGCM) -> Opener:
    places = count()

    def opened(sealed: bytes) -> Opened:
        nonce = next(places).to_bytes(12, "big")
        try:
            return cipher.decrypt(nonce, sealed, b"\x00"), False
        except InvalidTag:
            return cipher.decrypt(nonce, sealed, b"\x01"), True

    return opened


def _read_first_frame(file: IO[bytes], name: str) -> bytes:
    (length,) = _LENGTH.unpack(_read(file, _LENGTH.size, name))
    if not _TAG <= length <= FRAME + _TAG:
        raise _broken(name, "the length of a part was altered")
    return _read(file, length, name)
