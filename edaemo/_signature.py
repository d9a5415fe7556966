"""Signatures of files with Ed25519 (RFC 8032), by the package cryptography."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PrivateKey: TypeAlias = "Ed25519PrivateKey | str | PathLike[str]"
PublicKey: TypeAlias = "Ed25519PublicKey | str | PathLike[str]"

NEEDS_CRYPTOGRAPHY = "the package cryptography: pip install edaemo[sign]"
# The place of a signature before it is known, as hexadecimal digits.
_EMPTY = b"0" * 128
_HEX_KEY = re.compile(r"[0-9a-f]{64}")


class Signature(NamedTuple):
    """A signature in a file, which was not checked.

    `message` is the content of the file up to its digest, with zeros in the place of the signature.
    """

    public_key: str
    signature: bytes
    message: bytes

    def is_right(self) -> bool:
        """Return whether the owner of the key has signed this content.

        Raises
        ------
        ImportError
            If cryptography is not installed.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
        try:
            key.verify(self.signature, self.message)
        except InvalidSignature:
            return False
        return True


def read_private_key(key: PrivateKey) -> Ed25519PrivateKey:
    """Return the key to sign with.

    Parameters
    ----------
    key : Ed25519PrivateKey or path
        A key of cryptography, or the path of a file in PEM format that is not encrypted.

    Returns
    -------
    Ed25519PrivateKey
        The key.

    Raises
    ------
    ValueError
        If the file cannot be read or holds another kind of key.
    ImportError
        If cryptography is not installed.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if isinstance(key, Ed25519PrivateKey):
        return key
    try:
        found = load_pem_private_key(Path(key).read_bytes(), password=None)
    except OSError as error:
        raise ValueError(f"key: {key}: cannot be read: {error.strerror}.") from error
    except TypeError as error:
        raise ValueError(
            f"key: {key}: the key is encrypted: decrypt it with cryptography, and pass the object."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"key: {key}: this is not a private key in PEM format: {error}") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise ValueError(
            f"key: {key}: this is not an Ed25519 key: make one with `openssl genpkey -algorithm "
            "ed25519 -out key.pem`."
        )
    return found


def read_public_keys(keys: Sequence[PublicKey]) -> set[str]:
    """Return public keys as 64 hexadecimal digits each.

    Parameters
    ----------
    keys : sequence of Ed25519PublicKey, str or path
        Each a key of cryptography, 64 hexadecimal digits, or the path of a file in PEM format.

    Returns
    -------
    set of str
        The keys.

    Raises
    ------
    TypeError
        If `keys` is a single text or path.
    ValueError
        If `keys` is empty, or a file cannot be read or holds another kind of key.
    ImportError
        If cryptography is not installed.
    """
    if isinstance(keys, str | PathLike):
        raise TypeError(f"trusted_keys must be a list of keys, got the single key {str(keys)!r}.")
    if not keys:
        raise ValueError("trusted_keys is empty: name at least one key, or leave it None.")
    return {_read_public_key(key) for key in keys}


def _read_public_key(key: PublicKey) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if isinstance(key, Ed25519PublicKey):
        return _in_digits(key)
    if isinstance(key, str) and _HEX_KEY.fullmatch(key.lower()):
        return key.lower()
    try:
        found = load_pem_public_key(Path(key).read_bytes())
    except OSError as error:
        raise ValueError(
            f"trusted_keys: {key}: is neither 64 hexadecimal digits nor a file that can be read: "
            f"{error.strerror}."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(
            f"trusted_keys: {key}: this is not a public key in PEM format: {error}"
        ) from error
    if not isinstance(found, Ed25519PublicKey):
        raise ValueError(f"trusted_keys: {key}: this is not an Ed25519 key.")
    return _in_digits(found)


def _in_digits(key: Ed25519PublicKey) -> str:
    return key.public_bytes_raw().hex()


def empty_signature(key: Ed25519PrivateKey) -> bytes:
    """Return the text of a signature with zeros in its place, for a file that is to be signed."""
    return f"ed25519 {_in_digits(key.public_key())} ".encode() + _EMPTY + b" "


def sign(content: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the content with the signature in the place that `empty_signature` has reserved."""
    before, _, after = content.rpartition(_EMPTY)
    return before + key.sign(content).hex().encode() + after


def find_signature(content: bytes, n_after: int) -> Signature | None:
    """Return the signature in a file.

    Parameters
    ----------
    content : bytes
        The file up to its digest.
    n_after : int
        Number of bytes between the text of the signature and the end of the content.

    Returns
    -------
    Signature or None
        None if the file is not signed.
    """
    end = len(content) - n_after
    match = _SIGNATURE.search(content[:end][-_N_BYTES:])
    if match is None:
        return None
    message = content[: end - 1 - len(_EMPTY)] + _EMPTY + content[end - 1 :]
    return Signature(match[1].decode(), bytes.fromhex(match[2].decode()), message)


_SIGNATURE = re.compile(rb"ed25519 ([0-9a-f]{64}) ([0-9a-f]{128}) \Z")
_N_BYTES = len("ed25519 ") + 64 + 1 + 128 + 1
