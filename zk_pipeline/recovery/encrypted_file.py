"""Sealed files: encrypted and authenticated as a stream, so that a flipped byte, a swapped part or a cut is refused.

The format: a magic line, then libsodium's secretstream (XChaCha20-Poly1305): its header, and messages of `FRAME` bytes
of plain text each. The last one, which may be shorter, is tagged as the last. Order and completeness are libsodium's.
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
"""Bytes that a message is longer than its plain text."""

_MORE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_LAST = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL

Opened = tuple[bytes, bool]
"""Plain bytes, and whether they are the last."""


class SealBrokenError(EncryptionError):
    """The file is not what was written: altered, cut off, or sealed with a key that is not given."""


class SealedWriter:
    """Seals what is written to it; only `finish` makes the file complete."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        self._file = file
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        self._waiting = bytearray()
        header = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, _stream_key(key))
        file.write(MAGIC + header)

    def write(self, data: bytes) -> None:
        """Seal more bytes."""
        self._waiting += data
        # What is held back makes sure that the last message, however short, is written by `finish`.
        while len(self._waiting) > FRAME:
            self._message(bytes(self._waiting[:FRAME]), _MORE)
            del self._waiting[:FRAME]

    def finish(self) -> None:
        """Seal the end."""
        self._message(bytes(self._waiting), _LAST)
        self._waiting.clear()

    def _message(self, data: bytes, tag: int) -> None:
        self._file.write(sodium.crypto_secretstream_xchacha20poly1305_push(self._state, data, None, tag))


def unsealed(file: IO[bytes], keys: Sequence[bytes], name: str) -> Iterator[bytes]:
    """The plain bytes of a sealed file, in parts; `name` is how messages call it. Raises `SealBrokenError`."""
    magic = file.read(len(MAGIC))
    if magic not in {MAGIC, _FIRST_MAGIC}:
        raise SealBrokenError(f"{name} is no file that zk sealed. Name a backup made by zk backup.")
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
"""Opens the next sealed part under one key. Raises `CryptoError` or `InvalidTag`."""


def _opened(openers: list[Opener], place: int, sealed: bytes, name: str) -> tuple[list[Opener], bytes, bool]:
    """The plain bytes of a part, and the one key that fits, which all later parts must fit too."""
    for opener in openers:
        try:
            return [opener], *opener(sealed)
        except (CryptoError, InvalidTag):
            continue
    if place == 0:
        raise SealBrokenError(
            f"{name} cannot be opened: none of the keys in ZK_ENCRYPTION_KEY made it, or it was altered or cut "
            "off. Add the key of that time, or take another backup."
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


def _broken(name: str, what: str) -> SealBrokenError:
    return SealBrokenError(f"{name} is damaged: {what}. Nothing of it is used. Take another backup.")


def _stream_key(key: bytes) -> bytes:
    return HKDF(SHA256(), 32, None, b"zk sealed file 2").derive(key)


# The first format, which backups of version 0.1 have and which is only read: a salt, then frames of a length (4 bytes)
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
