"""Music features: openSMILE's of audio clips, and those in the PMEmo corpus."""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from numbers import Integral, Real
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from edaemo._processes import worker_processes
from edaemo._progress import progress_bar
from edaemo._saved import saved
from edaemo._sklearn import BaseEstimator, TransformerMixin
from edaemo._validation import name_trial, plain_numbers
from edaemo._whole_file import whole_file

if TYPE_CHECKING:
    from tqdm import tqdm

# openSMILE's names of the low-level descriptors; the GeMAPS family has no deltas.
_DESCRIPTORS = {"ComParE_2016": "lld;lld_de", "IS13": "lld;lld_de", "emobase": "lld;lld_de"}
FEATURE_SETS = (*_DESCRIPTORS, "eGeMAPSv02")

LOWEST_RATE = 4000  # Hz
SHORTEST = 0.1  # seconds: openSMILE's longest frame lasts 0.06 s
WINDOW = 1.0  # seconds: length of the window that a row of level="lld" describes
LOUDEST = 10.0  # times full scale; larger samples are not scaled to -1…1
FULL_SCALE = 32767 / 32768  # largest 16-bit sample; openSMILE works in 16 bits

# Part of every cache key: increase it when the same input gives other features.
_CACHE_VERSION = 1
_HEAD = struct.Struct("<IdI")  # sampling rate, seconds, rows

# openSMILE's developers advise against threads: https://github.com/audeering/opensmile-python/issues/41
_ONE_AT_A_TIME = Lock()


@saved("edaemo.features.MusicFeatureExtractor")
class MusicFeatureExtractor(TransformerMixin, BaseEstimator):
    """Compute the features of each music clip with an openSMILE feature set.

    Nothing is learned, so no information leaks between clips. openSMILE [1]_ is licensed for
    research and other non-commercial use only. Install it with ``pip install edaemo[music]``; see
    ``docs/music.md``.

    Parameters
    ----------
    feature_set : {"ComParE_2016", "IS13", "eGeMAPSv02", "emobase"}, default="ComParE_2016"
        "ComParE_2016": ComParE 2016 [2]_ (6,373 functionals). "IS13": ComParE 2013 (6,373
        functionals with the same names, computed as in older versions; PMEmo's set).
        "eGeMAPSv02": eGeMAPS [3]_ (88). "emobase": emobase (988).
    level : {"functionals", "lld"}, default="functionals"
        "functionals": one row of statistics for each clip. "lld": one row for every `hop` seconds
        of the clip. It holds the mean and the standard deviation (ddof 0) of each low-level
        descriptor, and of its delta if the set has deltas, over the frames that begin in the
        following second.
    hop : float, default=1.0
        Seconds between rows of ``level="lld"``, from 0.1 to 1.
    start, stop : float, default=0.0 and None
        Part of each clip to use, in seconds; None is the end of the clip. A clip that ends before
        `stop` is used up to its end.
    sampling_rate : int or None, default=None
        Samples per second (Hz) of clips that are arrays, at least 4,000. Files contain their
        sampling rate.
    n_jobs : int or None, default=None
        Number of processes, as in joblib. Results do not depend on it.
    cache : path or None, default=None
        Folder that stores the result of each clip; it is created if it does not exist. A key
        covers the content of the file or array, the parameters above and the versions of openSMILE
        and libsndfile, but not the file name. Several processes may share the folder. None: do not
        store results.
    on_error : {"raise", "nan"}, default="raise"
        Treatment of a clip whose features cannot be computed. "raise": an error that names the
        clip. "nan": NaN (one row for ``level="lld"``); `report_` gives the reason.
    progress : bool or None, default=None
        Whether to show the progress: a bar, or a line every 30 s if standard error is a file or
        a pipe. None: only in a terminal or a notebook.

    Attributes
    ----------
    report_ : DataFrame
        Report on the last `transform`, one row for each clip, indexed as X: ``clip`` (the path, or
        "array"), ``sampling_rate`` (Hz), ``seconds`` (length of the part used), ``cached``
        (whether the result came from `cache`), and ``error`` (why the clip failed, or None).

    Warns
    -----
    UserWarning
        If the clips have different sampling rates: many features depend on the sampling rate.

    Notes
    -----
    Channels are averaged. openSMILE takes 16-bit samples. Samples beyond full scale, as in most
    decoded MP3s of loud music, are clipped. The opensmile package would let them wrap around from
    the largest to the smallest number.

    A clip raises an error if it is missing, is not audio that libsndfile can read, is truncated
    (if its format shows this), is shorter than 0.1 s (`hop` for "lld") between `start` and `stop`,
    is silent (all its samples, averaged over channels and in 16 bits, are equal), holds NaN, or has
    samples beyond ten times full scale.

    References
    ----------
    .. [1] F. Eyben, M. Wöllmer, B. Schuller, "openSMILE: the Munich versatile and fast open-source
       audio feature extractor", ACM Multimedia 2010, 1459-1462.
    .. [2] B. Schuller et al., "The INTERSPEECH 2016 computational paralinguistics challenge",
       Interspeech 2016, 2001-2005; for 2013: Interspeech 2013, 148-152.
    .. [3] F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice
       research and affective computing", IEEE Transactions on Affective Computing 7 (2016),
       190-202.

    Examples
    --------
    >>> import numpy as np
    >>> from edaemo.features import MusicFeatureExtractor
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    >>> extractor = MusicFeatureExtractor("eGeMAPSv02", sampling_rate=44100)
    >>> extractor.fit_transform([tone, 0.1 * tone]).shape  # doctest: +SKIP
    (2, 88)
    """

    report_: pd.DataFrame

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "feature_set": [StrOptions(set(FEATURE_SETS))],
        "level": [StrOptions({"functionals", "lld"})],
        "hop": [Interval(Real, 0.1, 1, closed="both")],
        "start": [Interval(Real, 0, None, closed="left")],
        "stop": [Interval(Real, 0, None, closed="neither"), None],
        "sampling_rate": [Interval(Integral, LOWEST_RATE, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "cache": [str, os.PathLike, None],
        "on_error": [StrOptions({"raise", "nan"})],
        "progress": ["boolean", None],
    }

    def __init__(
        self,
        feature_set: str = "ComParE_2016",
        *,
        level: str = "functionals",
        hop: float = 1.0,
        start: float = 0.0,
        stop: float | None = None,
        sampling_rate: int | None = None,
        n_jobs: int | None = None,
        cache: str | os.PathLike[str] | None = None,
        on_error: str = "raise",
        progress: bool | None = None,
    ) -> None:
        self.feature_set = feature_set
        self.level = level
        self.hop = hop
        self.start = start
        self.stop = stop
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.progress = progress

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Iterable[object], y: object = None) -> Self:
        """Check the parameters and the form of X; nothing is learned, and no file is opened.

        Parameters
        ----------
        X : Series, DataFrame of one column, array or list
            The clips. Each is a path (str or path-like; WAV, FLAC, OGG, MP3 and other formats
            that libsndfile reads) or an array of floats of shape (n_samples,) or (n_channels,
            n_samples) with full scale at -1 and 1.
        y : None
            Ignored.

        Returns
        -------
        self
            The checked extractor.

        Raises
        ------
        ValueError
            If X has another form, or `stop` is not after `start`.
        """
        self._settings()
        _read_clips(X)
        return self

    def transform(self, X: Iterable[object]) -> Any:
        """Compute the features of each clip.

        Parameters
        ----------
        X : Series, DataFrame of one column, array or list
            As in `fit`.

        Returns
        -------
        DataFrame or ndarray, float32
            For ``level="functionals"`` of shape (n_clips, n_features): a DataFrame with the index
            of X if X is a Series or DataFrame, otherwise an array. For ``level="lld"`` always a
            DataFrame of shape (n_rows, n_features). Its index holds the clip (the index of X, or
            the position in X) and ``time``, the seconds from the beginning of the clip.

        Raises
        ------
        ValueError
            As in `fit`. Or if the features of a clip cannot be computed (see `on_error`); the error
            names the clip.
        ImportError
            If openSMILE is not installed: ``pip install edaemo[music]``.
        OSError
            If `cache` cannot be written to.
        """
        self._validate_params()
        settings = self._settings()
        clips, index = _read_clips(X)
        outcomes, cached = self._describe_all(X, clips, settings)
        self.report_ = _report(clips, outcomes, cached, index)
        rates = self.report_["sampling_rate"].value_counts()
        if len(rates) > 1:
            counts = ", ".join(f"{count} at {rate} Hz" for rate, count in rates.items())
            warnings.warn(
                f"The clips differ in sampling rate ({counts}), and many features depend on it: "
                "convert them to one rate. report_['sampling_rate'] lists the rate of each clip.",
                UserWarning,
                stacklevel=3,
            )
        names = self.get_feature_names_out()
        nan_row = np.full((1, len(names)), np.nan, dtype=np.float32)
        parts = [nan_row if isinstance(outcome, str) else outcome.features for outcome in outcomes]
        values = np.concatenate(parts)
        if self.level == "functionals":
            has_index = isinstance(X, (pd.Series, pd.DataFrame))
            return pd.DataFrame(values, index=index, columns=names) if has_index else values
        lengths = [len(part) for part in parts]
        times = np.concatenate([np.arange(n) for n in lengths]) * self.hop + self.start
        clip_of = index.repeat(lengths)
        levels = [clip_of.get_level_values(place) for place in range(index.nlevels)]
        index_names = ["stimulus"] if index.names == [None] else index.names
        rows = pd.MultiIndex.from_arrays([*levels, times.round(6)], names=[*index_names, "time"])
        return pd.DataFrame(values, index=rows, columns=names)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return openSMILE's column names; with suffix ``_mean`` or ``_std`` for "lld".

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_features,)
            The names.
        """
        names = _smile(self.feature_set, self.level).feature_names
        if self.level == "lld":
            names = _with_statistics(names)
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags

    def _settings(self) -> _Settings:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop={self.stop} must be after start={self.start} (in seconds).")
        return _Settings(
            self.feature_set,
            float(self.hop) if self.level == "lld" else None,
            float(self.start),
            None if self.stop is None else float(self.stop),
            None if self.sampling_rate is None else int(self.sampling_rate),
        )

    def _describe_all(
        self, X: object, clips: list[Any], settings: _Settings
    ) -> tuple[list[_Described | str], list[bool]]:
        """Return the features of each clip or its error, and whether the cache had the clip."""
        folder = None if self.cache is None else _folder(self.cache)
        looked_up = [_look_up(clip, settings, folder) for clip in clips]
        self._refuse(X, clips, [outcome for _, outcome in looked_up])
        wanted = {
            key: clip for (key, outcome), clip in zip(looked_up, clips, strict=True) if not outcome
        }
        n_contents = len(dict(looked_up))
        n_known = n_contents - len(wanted)
        with progress_bar(n_contents, initial=n_known, unit="clip", shown=self.progress) as bar:
            outcomes = dict(looked_up) | self._compute(wanted, settings, folder, bar)
        in_order = [outcomes[key] for key, _ in looked_up]
        self._refuse(X, clips, in_order)
        complete = [
            outcome for outcome in in_order if outcome is not None
        ]  # all, or _refuse raised
        return complete, [isinstance(outcome, _Described) for _, outcome in looked_up]

    def _compute(
        self, wanted: dict[str, object], settings: _Settings, folder: Path | None, bar: tqdm[Any]
    ) -> dict[str, _Described | str]:
        """Compute the features of clips by key; with on_error="raise", stop after a failure."""
        ending = f".{uuid4().hex}.part"
        computed: dict[str, _Described | str] = {}
        failures: list[str] = []

        def tasks() -> Iterator[tuple[Any, ...]]:
            for clip in wanted.values():
                if failures and self.on_error == "raise":
                    break
                yield delayed(_attempt)(_absolute(clip), settings, folder, ending)

        with worker_processes(self.n_jobs, batch_size=1, return_as="generator") as parallel:
            work = parallel(tasks())
            try:
                # `work` first: it is exhausted.
                for outcome, key in zip(work, wanted, strict=False):
                    computed[key] = outcome
                    if isinstance(outcome, str):
                        failures.append(outcome)
                    bar.update()
            finally:
                work.close()  # ends the processes after Ctrl-C; killed processes cannot clean up
                if folder is not None:
                    for key in wanted:
                        (folder / (key + ending)).unlink(missing_ok=True)
        return computed

    def _refuse(self, X: object, clips: list[Any], outcomes: list[_Described | str | None]) -> None:
        """Raise the first error of a clip if `on_error` is "raise"."""
        for row, (clip, outcome) in enumerate(zip(clips, outcomes, strict=True)):
            if isinstance(outcome, str) and self.on_error == "raise":
                raise ValueError(f"{name_trial(X, row)}: {_name(clip)}: {outcome}")


@dataclass(frozen=True)
class _Settings:
    """Settings that a clip's features depend on; `hop` is None for functionals."""

    feature_set: str
    hop: float | None
    start: float
    stop: float | None
    sampling_rate: int | None

    @property
    def level(self) -> str:
        return "functionals" if self.hop is None else "lld"


@dataclass(frozen=True)
class _Described:
    """A clip's sampling rate, length, and features, float32 of shape (n_rows, n_features)."""

    sampling_rate: int
    seconds: float
    features: np.ndarray


def _packages() -> tuple[ModuleType, ModuleType]:
    """Return the modules opensmile and soundfile, which are optional dependencies."""
    try:
        import opensmile
        import soundfile
    except ImportError as error:
        raise ImportError("Music features need openSMILE: pip install edaemo[music]") from error
    return opensmile, soundfile


@functools.cache
def _smile(feature_set: str, level: str) -> Any:
    opensmile, _ = _packages()
    functionals = opensmile.FeatureLevel.Functionals
    wanted = functionals if level == "functionals" else _DESCRIPTORS.get(feature_set, "lld")
    with _ONE_AT_A_TIME:
        return opensmile.Smile(opensmile.FeatureSet[feature_set], wanted)


def _read_clips(X: Iterable[object]) -> tuple[list[Any], pd.Index]:
    """Return the clips, unchecked, and their index."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise ValueError(f"X is one path, {X!r}: put it into a list.")
    if isinstance(X, pd.DataFrame):
        if X.shape[1] != 1:
            raise ValueError(
                f"X has the columns {list(X.columns)}: pass only the column that holds the clips."
            )
        X = X.iloc[:, 0]
    index = X.index if isinstance(X, pd.Series) else None
    if isinstance(X, np.ndarray) and X.dtype.kind in "OUT" and X.ndim == 2 and X.shape[1] == 1:
        X = X[:, 0]
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUT" and X.ndim < 2:
        raise ValueError("X is one array of numbers: put it into a list if it is one clip.")
    clips = list(X)
    if not clips:
        raise ValueError("X holds no clips: a minimum of 1 is required.")
    return clips, pd.RangeIndex(len(clips)) if index is None else index


def _name(clip: object) -> str:
    return "array" if isinstance(clip, (np.ndarray, list, tuple)) else str(clip)


def _absolute(clip: object) -> object:
    """Return a path as absolute path, for processes with another working directory."""
    return Path(clip).absolute() if isinstance(clip, (str, os.PathLike)) else clip


def _content(clip: object, settings: _Settings) -> bytes | np.ndarray:
    """Return the bytes of a file, or an array as float32 of shape (n_channels, n_samples)."""
    if isinstance(clip, (str, os.PathLike)):
        try:
            return Path(clip).read_bytes()
        except OSError as error:
            raise ValueError(
                f"it cannot be read ({error.strerror}). Check the path, or remove the clip."
            ) from None
    if not isinstance(clip, (np.ndarray, list, tuple)):
        raise ValueError("it is neither a path nor an array. Remove it.")
    if settings.sampling_rate is None:
        raise ValueError("the sampling rate of an array is unknown: set sampling_rate=.")
    audio = np.asarray(plain_numbers(clip, "the audio", booleans=False))
    if audio.dtype.kind != "f":
        raise ValueError(
            f"its samples are {audio.dtype}: pass floats from -1 to 1, such as 16-bit integers "
            "divided by 32768."
        )
    with np.errstate(over="ignore"):
        audio = np.atleast_2d(audio).astype(np.float32, order="C")
    if audio.ndim != 2 or len(audio) > audio.shape[1] > 0:
        raise ValueError(
            f"shape {audio.shape} is not (n_channels, n_samples): transpose it, or pass 1-D arrays."
        )
    return audio


def _key(content: bytes | np.ndarray, settings: _Settings) -> str:
    """Return the cache key of a clip."""
    opensmile, soundfile = _packages()
    if isinstance(content, bytes):
        settings_of = asdict(settings) | {"sampling_rate": None}
        kind, data = ["file", soundfile.__libsndfile_version__], memoryview(content)
    else:
        settings_of = asdict(settings)
        kind, data = ["array", content.shape], content.data
    head = json.dumps([_CACHE_VERSION, opensmile.__version__, settings_of, kind])
    digest = sha256(head.encode() + b"\0")
    digest.update(data)
    return digest.hexdigest()


def _folder(path: str | os.PathLike[str]) -> Path:
    folder = Path(path).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_cache(folder, error) from error
    return folder


def _no_cache(folder: Path, error: OSError) -> OSError:
    return OSError(
        f"cache={str(folder)!r} cannot be used: {error.strerror}. Free disk space, or use a folder "
        "with write permission. Results that are stored already are safe."
    )


def _store(path: Path, described: _Described, ending: str) -> None:
    """Write a cache entry, first under a temporary name, so that it is complete or absent."""
    entry = _HEAD.pack(described.sampling_rate, described.seconds, len(described.features))
    entry += described.features.astype("<f4").tobytes()
    try:
        with whole_file(path, path.with_name(path.name + ending)) as part:
            part.write_bytes(sha256(entry).digest() + entry)
    except OSError as error:
        raise _no_cache(path.parent, error) from error


def _load(path: Path) -> _Described | None:
    """Read a cache entry; return None if it is missing or damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    entry = content[32:]
    if sha256(entry).digest() != content[:32]:
        return None
    sampling_rate, seconds, n_rows = _HEAD.unpack_from(entry)
    values = np.frombuffer(entry, dtype="<f4", offset=_HEAD.size).reshape(n_rows, -1)
    return _Described(sampling_rate, seconds, values)


def _look_up(
    clip: object, settings: _Settings, folder: Path | None
) -> tuple[str, _Described | str | None]:
    """Return a clip's key, and its cached result (None if not cached) or why it is unreadable."""
    try:
        key = _key(_content(clip, settings), settings)
    except ValueError as error:
        return f"unreadable: {_name(clip)}: {error}", str(error)
    return key, None if folder is None else _load(folder / key)


def _attempt(
    clip: object, settings: _Settings, folder: Path | None, ending: str
) -> _Described | str:
    """Compute the features of a clip and store them in the cache, or return the error message."""
    try:
        content = _content(clip, settings)
        described = _describe(content, settings)
    except ValueError as error:
        return str(error)
    if folder is not None:
        _store(folder / _key(content, settings), described, ending)
    return described


def _describe(content: bytes | np.ndarray, settings: _Settings) -> _Described:
    """Compute the features of one clip; raise a ValueError if that is impossible."""
    if isinstance(content, bytes):
        audio, rate = _decode(content, settings.stop)
    else:
        assert settings.sampling_rate is not None  # `_content` has checked it
        audio, rate = content, settings.sampling_rate
    stop = None if settings.stop is None else round(settings.stop * rate)
    audio = audio[:, round(settings.start * rate) : stop]
    mono = _check(audio, rate, settings)
    seconds = len(mono) / rate
    smile = _smile(settings.feature_set, settings.level)
    with _ONE_AT_A_TIME:
        frames = smile.process_signal(mono, rate)
    values = frames.to_numpy(dtype=np.float32)
    if settings.hop is not None:
        begins = frames.index.get_level_values("start").total_seconds().to_numpy()
        values = _windows(values, begins, int(seconds / settings.hop + 1e-6), settings.hop)
    if not np.isfinite(values).all():
        raise ValueError("openSMILE returns NaN or infinite features for it. Remove the clip.")
    return _Described(rate, seconds, values)


def _decode(content: bytes, stop: float | None) -> tuple[np.ndarray, int]:
    """Read audio up to `stop` seconds as float32, shape (n_channels, n_samples), and its rate."""
    _, soundfile = _packages()
    convert = "Convert it to WAV, FLAC, OGG or MP3, or remove the clip."
    if not content:
        raise ValueError("the file is empty. Download it again, or remove the clip.")
    if _is_cut_off(content):
        raise ValueError("the file is truncated. Download it again, or remove the clip.")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            frames = -1 if stop is None else round(stop * file.samplerate)
            return file.read(frames, dtype="float32", always_2d=True).T, file.samplerate
    except soundfile.LibsndfileError as error:
        raise ValueError(f"not readable as audio ({error.error_string}) {convert}") from None


def _is_cut_off(content: bytes) -> bool:
    """Return whether a WAV or OGG file is truncated.

    A truncated FLAC file raises an error when it is decoded. MP3 files do not show truncation.
    """
    if content[:4] == b"RIFF":
        size = int.from_bytes(content[4:8], "little") + 8
        # Some programs write a size that is wrong by a few bytes, or a huge one if unknown.
        return len(content) + 1024 < size < 2**31 - 2**16
    if content[:4] == b"OggS":
        last = content.rfind(b"OggS")
        return len(content) > last + 5 and not content[last + 5] & 4  # the end of the stream
    return False


def _check(audio: np.ndarray, rate: int, settings: _Settings) -> np.ndarray:
    """Return the mean over channels, clipped to full scale; raise an error if it is unusable."""
    if rate < LOWEST_RATE:
        raise ValueError(f"its sampling rate is {rate} Hz; the minimum is {LOWEST_RATE} Hz.")
    shortest = max(SHORTEST, settings.hop or 0)
    if audio.shape[1] < shortest * rate:
        raise ValueError(
            f"{audio.shape[1] / rate:.3g} s are too short, the minimum is {shortest:g} s"
            + (f" (from start={settings.start:g} on)" if settings.start else "")
            + ". Remove the clip."
        )
    peak = np.abs(audio).max()
    if not peak <= LOUDEST:
        raise ValueError(
            f"its samples reach {peak:g}: full scale is 1. Divide them by their full scale."
            if np.isfinite(peak)
            else "it holds NaN or infinite samples. Repair it, or remove the clip."
        )
    mono = np.clip(audio.mean(axis=0), -1, FULL_SCALE)
    samples = (mono * 32768).astype(np.int16)  # openSMILE's sample format
    if samples.min() == samples.max():
        raise ValueError("it is silent: all its samples are equal. Remove the clip.")
    return mono


def _windows(values: np.ndarray, begins: np.ndarray, n_rows: int, hop: float) -> np.ndarray:
    """Return mean and standard deviation over the frames that begin in each window."""
    edges = np.arange(n_rows) * hop - 1e-6
    first, last = np.searchsorted(begins, edges), np.searchsorted(begins, edges + WINDOW)
    parts = [values[a:b].astype(np.float64) for a, b in zip(first, last, strict=True)]
    rows = [np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in parts]
    return np.stack(rows).astype(np.float32)


def _with_statistics(names: Sequence[str]) -> list[str]:
    return [f"{name}_{statistic}" for statistic in ("mean", "std") for name in names]


def _report(
    clips: list[Any], outcomes: list[_Described | str], cached: list[bool], index: pd.Index
) -> pd.DataFrame:
    described = [None if isinstance(outcome, str) else outcome for outcome in outcomes]
    errors = [outcome if isinstance(outcome, str) else None for outcome in outcomes]
    columns = {
        "clip": [_name(clip) for clip in clips],
        "sampling_rate": pd.array([d and d.sampling_rate for d in described], dtype="Int64"),
        "seconds": [np.nan if d is None else d.seconds for d in described],
        "cached": cached,
        "error": np.array(errors, dtype=object),
    }
    return pd.DataFrame(columns, index=index)


# --- Feature files of PMEmo ------------------------------------------------------------------

_VOICE = [
    *("F0final_sma", "voicingFinalUnclipped_sma", "jitterLocal_sma", "jitterDDP_sma"),
    *("shimmerLocal_sma", "logHNR_sma"),
]
_ENERGY = [
    *("audspec_lengthL1norm_sma", "audspecRasta_lengthL1norm_sma"),
    *("pcm_RMSenergy_sma", "pcm_zcr_sma"),
]
_SPECTRUM = [f"audSpec_Rfilt_sma[{band}]" for band in range(26)]
_SPECTRUM += ["pcm_fftMag_fband250-650_sma", "pcm_fftMag_fband1000-4000_sma"]
_SPECTRUM += [f"pcm_fftMag_spectralRollOff{share}.0_sma" for share in (25, 50, 75, 90)]
_SPECTRUM += [
    f"pcm_fftMag_spectral{name}_sma"
    for name in ("Flux", "Centroid", "Entropy", "Variance", "Skewness", "Kurtosis", "Slope")
]
_SPECTRUM += ["pcm_fftMag_psySharpness_sma", "pcm_fftMag_spectralHarmonicity_sma"]
_SPECTRUM += [f"mfcc_sma[{place}]" for place in range(1, 15)]

_RANGE = "range maxPos minPos"
_QUANTILES = (
    "quartile1 quartile2 quartile3 iqr1-2 iqr2-3 iqr1-3 percentile1.0 percentile99.0 pctlrange0-1 "
    "stddev skewness kurtosis"
)
_SEGMENTS = "meanSegLen maxSegLen minSegLen segLenStddev"
_TIMES = (
    "upleveltime25 upleveltime50 upleveltime75 upleveltime90 risetime leftctime lpgain lpc0 lpc1 "
    "lpc2 lpc3 lpc4"
)
_PEAKS = (
    "meanPeakDist peakDistStddev peakRangeAbs peakRangeRel peakMeanAbs peakMeanMeanDist "
    "peakMeanRel minRangeRel meanRisingSlope stddevRisingSlope meanFallingSlope stddevFallingSlope"
)
_REGRESSION = "linregc1 linregc2 linregerrQ qregc1 qregc2 qregc3 qregerrQ centroid"


def read_pmemo_features(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the music features that are part of PMEmo [1]_; does not need openSMILE.

    Both files were computed by openSMILE 2 with its configuration IS13_ComParE. The columns are
    those of ``MusicFeatureExtractor("IS13")``, with ``level="lld", hop=0.5`` for the dynamic
    features. The values differ from those of openSMILE 3.

    Parameters
    ----------
    path : path
        ``static_features.csv`` (``musicId`` and 6,373 functionals of each song) or
        ``dynamic_features.csv`` (``musicId``, ``frameTime`` in seconds, and, every 0.5 s, the means
        and standard deviations of 130 descriptors over the following second). A last column
        ``class`` is ignored.

    Returns
    -------
    DataFrame, float32, of shape (n_songs, 6373) or (n_frames, 260)
        Indexed by ``stimulus`` (the ``musicId``, str), or by ``stimulus`` and ``time`` (seconds).
        Columns are in openSMILE's order. The dynamic features ``pcm_fftMag_mfcc_…`` are renamed
        to ``mfcc_…``, their name in openSMILE 3. Empty cells are NaN.

    Raises
    ------
    ValueError
        If columns are missing, unknown or duplicated, the file has no rows, a song or frame is
        listed twice, or a cell is not a number.

    References
    ----------
    .. [1] K. Zhang, H. Zhang, S. Li, C. Yang, L. Sun, "The PMEmo dataset for music emotion
       recognition", ICMR 2018, 135-142.
    """
    path = Path(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next(csv.reader(file), [])
    columns = [name.replace("pcm_fftMag_mfcc_", "mfcc_") for name in header]
    keys = ["musicId", "frameTime"] if "frameTime" in columns else ["musicId"]
    features = _static_names() if len(keys) == 1 else _dynamic_names()
    _check_columns(path, columns, [*keys, *features])
    try:
        table = pd.read_csv(path, header=0, names=columns, index_col=False, dtype={"musicId": str})
    except pd.errors.ParserError as error:
        raise ValueError(f"{path}: {str(error).strip()}. Download the file again.") from None
    if not len(table):
        raise ValueError(f"{path}: it has no rows. Download it again.")
    known = table[keys]
    bad = known.isna().any(axis=1) | known.duplicated()
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{path}: data row {row} has no {' and '.join(keys)}, or repeats an earlier one: "
            f"{', '.join(map(str, known.iloc[row]))}. Download the file again."
        )
    numbers = table[features]
    text = [name for name, dtype in numbers.dtypes.items() if dtype.kind not in "iuf"]
    if text:
        raise ValueError(f"{path}: column {text[0]!r} is not numeric. Download the file again.")
    names = ["stimulus", "time"][: len(keys)]
    index = pd.MultiIndex.from_frame(known, names=names)
    index = index.get_level_values(0) if len(keys) == 1 else index
    return pd.DataFrame(numbers.to_numpy(dtype=np.float32), index=index, columns=features)


def _check_columns(path: Path, columns: list[str], expected: list[str]) -> None:
    """Raise an error if a header does not hold the expected columns, in any order."""
    counts, known = Counter(columns), {*expected, "class"}
    wrong = {
        "missing": [name for name in expected if name not in counts],
        "unknown": [name for name in counts if name not in known],
        "duplicated": [name for name, count in counts.items() if count > 1],
    }
    problems = [f"{what}: {len(names)} ({names[0]!r})" for what, names in wrong.items() if names]
    if problems:
        raise ValueError(
            f"{path}: its columns are not PMEmo's {len(expected)} ({', '.join(problems)}). "
            "Download the file again, or read it with pandas and pass the table as music features."
        )


def _deltas(descriptors: list[str]) -> list[str]:
    return [name.replace("_sma", "_sma_de") for name in descriptors]


def _dynamic_names() -> list[str]:
    descriptors = _VOICE + _ENERGY + _SPECTRUM
    return _with_statistics(descriptors + _deltas(descriptors))


def _static_names() -> list[str]:
    """Return the names of the 6,373 functionals of IS13_ComParE in openSMILE's order."""
    sound = _ENERGY + _SPECTRUM
    shape = f"{_RANGE} {_QUANTILES} {_SEGMENTS} {_TIMES}"
    voice = f"amean flatness posamean rqmean {_RANGE} {_REGRESSION} {_QUANTILES} {_TIMES}"
    groups = [
        (_ENERGY + _deltas(_ENERGY), shape),
        (_SPECTRUM + _deltas(_SPECTRUM), shape),
        (_VOICE + _deltas(_VOICE), voice),
        (["F0final_sma_ff0"], f"nnz {_SEGMENTS}"),
        (sound, f"amean flatness rqmean {_PEAKS} {_REGRESSION}"),
        (_deltas(sound), f"flatness posamean rqmean {_PEAKS}"),
    ]
    return [
        f"{name}_{functional}"
        for names, functionals in groups
        for name in names
        for functional in functionals.split()
    ]
