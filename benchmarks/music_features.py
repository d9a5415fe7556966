"""Time openSMILE's feature sets on 30-s clips, and loading a thousand clips from the cache.

The script prints Markdown. The clips are generated: chords with a beat in noise, stereo, 44,100 Hz,
as MP3 of 128 kbit/s. The thousand clips differ only in their last bytes, which decoders do not
read. The cache is filled with the features of one clip, so that only look-up and loading are timed.
opensmile's `process_file` is timed for comparison. Both decode the file.

    python benchmarks/music_features.py
    python benchmarks/music_features.py --songs 100 --repeats 1
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import opensmile
import soundfile

from edaemo.features import MusicFeatureExtractor, _music

RATE, SECONDS = 44100, 30


def make_song(path: Path) -> Path:
    """Write a generated song as MP3."""
    rng = np.random.default_rng(0)
    time = np.arange(SECONDS * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220, 277, 330, 440))
    beat = 0.6 + 0.4 * np.sin(2 * np.pi * 2 * time)
    song = 0.15 * (beat * chord)[:, None] + rng.normal(scale=0.02, size=(len(time), 2))
    soundfile.write(path, song, RATE, bitrate_mode="CONSTANT", compression_level=0.6)
    return path


def medians(works: list[Callable[[], object]], repeats: int) -> list[float]:
    """Time calls alternately, after a warm-up round, and return the median of each."""
    times = np.empty((repeats + 1, len(works)))
    for row in times:
        for i, work in enumerate(works):
            start = perf_counter()
            work()
            row[i] = perf_counter() - start
    return np.median(times[1:], axis=0).tolist()


def fill(folder: Path, cache: Path, song: Path, n_songs: int) -> list[Path]:
    """Write songs of different content, and their cache entries."""
    content = song.read_bytes()
    settings = MusicFeatureExtractor()._settings()
    described = _music._describe(content, settings)
    paths = [folder / f"{number}.mp3" for number in range(n_songs)]
    cache.mkdir()
    for number, path in enumerate(paths):
        path.write_bytes(content + number.to_bytes(4, "big"))
        _music._store(cache / _music._key(path.read_bytes(), settings), described, ".part")
    return paths


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        song = make_song(folder / "song.mp3")
        megabytes = song.stat().st_size / 1e6
        print(
            f"One clip of {SECONDS} s, stereo, {RATE} Hz, MP3 of {megabytes:.2f} MB; medians of "
            f"{args.repeats} alternating runs; {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, opensmile {opensmile.__version__}, libsndfile "
            f"{soundfile.__libsndfile_version__}.\n"
        )
        print(
            "| feature set | functionals | functionals by opensmile's `process_file` "
            '| `level="lld"`, `hop=1.0` |'
        )
        print("|---|---|---|---|")
        for feature_set in _music.FEATURE_SETS:
            functionals = MusicFeatureExtractor(feature_set)
            lld = MusicFeatureExtractor(feature_set, level="lld")
            known = opensmile.FeatureSet[feature_set]
            smile = opensmile.Smile(known, channels=[0, 1], mixdown=True)
            works = [
                partial(functionals.fit_transform, [song]),
                partial(smile.process_file, song),
                partial(lld.fit_transform, [song]),
            ]
            times = " | ".join(f"{time:.2f} s" for time in medians(works, args.repeats))
            print(f"| {feature_set} | {times} |")

        cache = folder / "cache"
        paths = fill(folder, cache, song, args.songs)
        extractor = MusicFeatureExtractor(cache=cache)
        code = (
            "from pathlib import Path; from edaemo.features import MusicFeatureExtractor as M; "
            f"M(cache={str(cache)!r}).fit_transform(sorted(Path({name!r}).glob('[0-9]*.mp3')))"
        )
        works = [
            partial(extractor.fit_transform, paths),
            partial(subprocess.run, [sys.executable, "-c", code], check=True),
            partial(subprocess.run, [sys.executable, "-c", "import opensmile, edaemo.features"]),
        ]
        loading, fresh, imports = medians(works, args.repeats)
        if not extractor.report_["cached"].all():
            raise SystemExit("the cache was not used")
        print(
            f"\n{args.songs} songs from the cache (ComParE_2016, {args.songs * megabytes:.0f} MB "
            f"of MP3): {loading:.2f} s; in a fresh process {fresh:.2f} s, of which imports take "
            f"{imports:.2f} s."
        )


if __name__ == "__main__":
    main()
