"""Signed model files."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sklearn.linear_model import LogisticRegression

import edaemo
from edaemo.cli import main
from edaemo.persistence import FileError, describe

X = np.random.default_rng(0).normal(size=(20, 3))
MODEL = LogisticRegression().fit(X, [0, 1] * 10)
# RFC 8032, section 7.1, test 1: secret key and public key.
SECRET = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SECRET))
OTHER = Ed25519PrivateKey.generate()


def pem(key, path: Path, encryption=None) -> Path:
    form = (Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    path.write_bytes(key.private_bytes(*form))
    return path


def public_pem(key, path: Path) -> Path:
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


@pytest.fixture
def signed(tmp_path) -> Path:
    path = tmp_path / "model.edaemo"
    edaemo.save(MODEL, path, key=KEY)
    return path


def reseal(path: Path, content: bytes) -> None:
    """Write a changed file with the digest that belongs to it, as anyone can."""
    content = content[:-64]
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def test_a_signed_model_is_loaded_by_whoever_trusts_its_key(signed, tmp_path):
    ways = [
        PUBLIC,
        PUBLIC.upper(),
        KEY.public_key(),
        public_pem(KEY, tmp_path / "public.pem"),
        str(tmp_path / "public.pem"),
    ]
    for way in ways:
        loaded = edaemo.load(signed, trusted_keys=[OTHER.public_key(), way])
        assert (loaded.predict(X) == MODEL.predict(X)).all()
    assert (edaemo.load(signed).predict(X) == MODEL.predict(X)).all()
    assert describe(signed)["signature"] == {"public_key": PUBLIC, "checked": True}


def test_a_key_may_be_a_file(tmp_path):
    path = tmp_path / "model.edaemo"
    edaemo.save(MODEL, path, key=pem(KEY, tmp_path / "key.pem"))
    edaemo.load(path, trusted_keys=[PUBLIC])


def test_the_signature_is_that_of_ed25519_over_the_file_before_the_digest(signed):
    """As docs/files.md describes it."""
    data = signed.read_bytes()
    found = re.search(rb"ed25519 (\w{64}) (\w{128}) edaemo model \d sha256 \w{64}\Z", data)
    start, end = found.span(2)
    message = data[:start] + b"0" * 128 + data[end:-64]
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found[1].decode()))
    key.verify(bytes.fromhex(found[2].decode()), message)


def test_unsigned_models_are_loaded_unless_keys_are_given(tmp_path):
    path = tmp_path / "model.edaemo"
    edaemo.save(MODEL, path)
    assert describe(path)["signature"] is None
    edaemo.load(path)
    with pytest.raises(FileError, match=r"model\.edaemo: the file is not signed"):
        edaemo.load(path, trusted_keys=[PUBLIC])


def test_the_key_of_another_is_refused_and_named(signed):
    with pytest.raises(FileError, match=f"{PUBLIC}, which is not one of trusted_keys"):
        edaemo.load(signed, trusted_keys=[OTHER.public_key()])


def test_any_change_that_is_sealed_again_is_found(signed):
    data = signed.read_bytes()
    rng = np.random.default_rng(0)
    places = {*rng.integers(len(data) - 64, size=200).tolist(), 0, len(data) - 65}
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        reseal(signed, bytes(changed))
        with pytest.raises(FileError):
            edaemo.load(signed, trusted_keys=[PUBLIC])


def test_the_signature_of_another_file_or_without_its_text_is_refused(signed, tmp_path):
    data = signed.read_bytes()
    other = tmp_path / "other.edaemo"
    edaemo.save(LogisticRegression(C=9.0).fit(X, [0, 1] * 10), other, key=KEY)
    pattern = rb"(?<=ed25519 )\w{64} \w{128}"
    (theirs,) = re.findall(pattern, other.read_bytes())
    reseal(signed, re.sub(pattern, theirs, data))
    for read in (lambda: edaemo.load(signed, trusted_keys=[PUBLIC]), lambda: describe(signed)):
        with pytest.raises(FileError, match="does not belong to this file"):
            read()


def test_wrong_keys_are_errors_that_name_them(signed, tmp_path):
    curve = generate_private_key(SECP256R1())
    (tmp_path / "text").write_text("no key")
    encrypted = pem(KEY, tmp_path / "encrypted.pem", BestAvailableEncryption(b"word"))
    for key, message in [
        (tmp_path / "absent", "absent: cannot be read"),
        (tmp_path / "text", "text: this is not a private key"),
        (pem(curve, tmp_path / "curve.pem"), "not an Ed25519 key"),
        (encrypted, "is encrypted"),
    ]:
        with pytest.raises(ValueError, match=message):
            edaemo.save(MODEL, tmp_path / "new.edaemo", key=key)
    assert not (tmp_path / "new.edaemo").exists()
    for keys, kind, message in [
        ([], ValueError, "is empty"),
        (PUBLIC, TypeError, "must be a list"),
        ([PUBLIC[:-1]], ValueError, "neither 64 hexadecimal digits nor a file"),
        ([tmp_path / "text"], ValueError, "text: this is not a public key"),
        ([public_pem(curve, tmp_path / "p.pem")], ValueError, "not an Ed25519 key"),
    ]:
        with pytest.raises(kind, match=message):
            edaemo.load(signed, trusted_keys=keys)


def test_the_command_says_who_signed(signed, tmp_path, capsys):
    assert main(["describe", str(signed)]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"Signed by: {PUBLIC}. The file was not changed since."
    assert any(line.startswith("Versions: ") for line in rest)
    assert main(["describe", "--json", str(signed)]) == 0
    assert json.loads(capsys.readouterr().out)["signature"]["public_key"] == PUBLIC
    edaemo.save(MODEL, tmp_path / "plain.edaemo")
    assert main(["describe", str(tmp_path / "plain.edaemo")]) == 0
    assert capsys.readouterr().out.startswith("Signed by: no key.")
    signed.write_bytes(signed.read_bytes()[:-1])
    with pytest.raises(SystemExit) as ended:
        main(["describe", str(signed)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"edaemo: error: {signed}: the file is damaged")


def test_predictions_ask_for_the_signature(signed, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(signed), str(tmp_path), "--trusted-keys", "0" * 64])
    assert ended.value.code == 2
    assert "which is not one of trusted_keys" in capsys.readouterr().err


def test_without_cryptography_signed_models_are_loaded_and_the_extra_is_named(signed):
    code = f"""
import sys
sys.modules["cryptography"] = None
import edaemo
edaemo.load({str(signed)!r})
try:
    edaemo.load({str(signed)!r}, trusted_keys=[{PUBLIC!r}])
except ImportError as error:
    print(error)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.strip().endswith("pip install edaemo[sign]"), printed.stderr
