"""Random changes of files."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from pathlib import Path

from edaemo._safe_file import write_archive

# Numbers at the ends of their ranges.
NUMBERS = [
    number
    for width in (8, 16, 32, 64)
    for number in (0, 1, 2 ** (width - 1) - 1, 2 ** (width - 1), 2**width - 1)
]
WORDS = [b"0", b"-1", b"1e300", b"nan", b"inf", b",", b";", b"\n", b'"', b"\0", b"\xff", b"9" * 400]
LARGEST = 2**22


def damage(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return a copy of a file with some random changes."""
    changed = bytearray(content)
    for _ in range(1 + int(rng.expovariate(0.7))):
        change(changed, rng.choice(others), rng)
    return bytes(changed[:LARGEST])


def change(content: bytearray, other: bytes, rng: random.Random) -> None:
    """Change a few bytes, or a piece, at a random place."""
    at = rng.randrange(len(content) + 1)
    width = rng.choice((1, 2, 4, 8))
    end = at + rng.randrange(1, 64 if rng.random() < 0.9 else 4096)
    start = rng.randrange(len(other) + 1)
    kind = rng.choice(("bit", "byte", "number", "cut", "repeat", "word", "other", "end"))
    if kind == "bit" and at < len(content):
        content[at] ^= 1 << rng.randrange(8)
    elif kind == "byte" and at < len(content):
        content[at] = rng.randrange(256)
    elif kind == "number":
        number = rng.choice(NUMBERS) % 256**width
        content[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
    elif kind == "cut":
        del content[at:end]
    elif kind == "repeat":
        content[at:at] = content[at:end] * rng.choice((1, 2, 100))
    elif kind == "word":
        content[at : at + width] = rng.choice(WORDS)
    elif kind == "other":
        content[at:end] = other[start : start + end - at]
    elif kind == "end" and rng.random() < 0.2:
        del content[at:]


def write_damaged(
    path: Path,
    originals: list[bytes],
    which: int,
    sealed: tuple[str, int] | None,
    rng: random.Random,
) -> None:
    """Write a damaged file; most archives of edaemo get a checksum that fits again.

    `sealed` is the kind and the format of such an archive, None for other files.
    """
    content, way = originals[which], rng.random()
    if sealed is None or way < 0.1:
        path.write_bytes(damage(content, originals, rng))
    elif way < 0.3:
        unsealed = damage(content[:-64], originals, rng)
        path.write_bytes(unsealed + hashlib.sha256(unsealed).hexdigest().encode())
    else:
        path.unlink(missing_ok=True)
        write_archive(path, *sealed, damage_member(content, rng))


def damage_member(content: bytes, rng: random.Random) -> dict[str, bytes]:
    """Return the members of an archive, one of them damaged; a member may be an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([*members])
    if members[name].startswith(b"PK") and rng.random() < 0.8:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            for inside, part in damage_member(members[name], rng).items():
                archive.writestr(inside, part)
        members[name] = inner.getvalue()
    else:
        members[name] = damage(members[name], [*members.values()], rng)
    return members
