"""PMEmo, DEAP and AMIGOS, read from files that are written here in the corpora's own formats."""

import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import savemat

from edaemo import SubjectThresholdRelabeler
from edaemo.cli import main
from edaemo.datasets import (
    DatasetError,
    Study,
    _amigos,
    _cache,
    _corpus,
    _deap,
    _pmemo,
    load_amigos,
    load_deap,
    load_pmemo,
    select_people,
)
from edaemo.evaluation import evaluate
from edaemo.features import MusicFeatureExtractor
from edaemo.fusion import StepAligner
from edaemo.model_selection import SubjectKFold

SITE_SAMPLES = Path(__file__).parents[2] / "shared" / "data" / "pmemo_site_samples"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user without data or cache; the folder is the user's cache."""
    place = tmp_path / "home" / "cache"
    monkeypatch.delenv("EDAEMO_DATA", raising=False)
    for module in (_corpus, _cache):
        monkeypatch.setattr(module, "user_cache", lambda: place)
    return place


def write(root, files):
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def zipped(target, files):
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target


def problems_of(load, place, **settings):
    """Return the lines of the one error that a folder gives, one for each problem."""
    with pytest.raises(DatasetError) as caught:
        load(place, **settings)
    said = str(caught.value).splitlines()
    assert str(place) in said[0]
    return [line.removeprefix("  - ") for line in said if line.startswith("  - ")]


def assert_patterns(found, patterns):
    """Each pattern fits one of the problems, and there are no others."""
    patterns = list(patterns)
    for pattern in patterns:
        assert sum(re.search(pattern, one) is not None for one in found) == 1, (pattern, found)
    assert len(found) == len(patterns), found


def assert_same(one, other):
    """Two loads agree to the last bit, but for where it came from."""
    signals = [name for name in one.trials if isinstance(one.trials[name].iloc[0], np.ndarray)]
    pd.testing.assert_frame_equal(
        one.trials.drop(columns=signals), other.trials.drop(columns=signals)
    )
    pd.testing.assert_frame_equal(one.ratings, other.ratings)
    assert one.ratings.attrs == other.ratings.attrs
    for name in signals:
        for a, b in zip(one.trials[name], other.trials[name], strict=True):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
            assert a.flags.writeable
            assert b.flags.writeable
    if one.music is None:
        assert other.music is None
    else:
        pd.testing.assert_frame_equal(one.music, other.music)
    for key in set(one.report) - {"source", "cache", "tags_source"}:
        if isinstance(one.report[key], pd.DataFrame):
            pd.testing.assert_frame_equal(one.report[key], other.report[key])
        else:
            assert one.report[key] == other.report[key]


# DEAP, as its files are


def python2_pickle(arrays):
    """Write a dict of arrays as cPickle of Python 2 does in protocol 2: strings are bytes."""

    def text(content):
        short = len(content) < 256
        head = b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content))
        return head + content

    def array(values):
        kind = values.dtype.str[1:].encode()
        shape = b"".join(b"M" + struct.pack("<H", n) for n in values.shape)
        closed = {2: b"\x86", 3: b"\x87"}[values.ndim]
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
            + shape
            + closed
            + b"cnumpy\ndtype\n"
            + text(kind)
            + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
            + text(values.tobytes())
            + b"tb"
        )

    items = b"".join(text(key.encode()) + array(values) for key, values in arrays.items())
    return b"\x80\x02}(" + items + b"u."


def deap_ratings(number):
    """Ratings (40, 4) of a person: valence, arousal, dominance, liking; two decimals."""
    video = np.arange(1, 41)
    columns = [(video * step + number * 13) % 801 / 100 + 1 for step in (17, 29, 41, 53)]
    return np.round(np.stack(columns, axis=1), 2)


def deap_trial_of(number, video):
    """The place in the order of presentation: another one for each person."""
    return (video * 7 + number) % 40 + 1


def deap_arrays(number, n_samples, dtype=np.float64, baseline=None):
    """Data and labels of a person; GSR (Ohm) says person, video and sample, others the channel."""
    baseline = {8064: 384}.get(n_samples, 0) if baseline is None else baseline
    data = np.empty((40, 40, n_samples), dtype)
    data[:] = np.arange(40, dtype=dtype)[None, :, None]
    video = np.arange(1, 41)[:, None]
    data[:, 36] = 10_000 + 1_000 * number + 100 * video + np.arange(n_samples) - baseline
    return {"data": data, "labels": deap_ratings(number)}


def deap_table(numbers, *, familiar=lambda number: number not in (2, 15, 23)):
    head = "Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking"
    lines = [head + ",Familiarity"]
    for number in numbers:
        rows = []
        for video, ratings in enumerate(deap_ratings(number), start=1):
            trial = deap_trial_of(number, video)
            known = str(video % 5 + 1) if familiar(number) else ""
            rated = ",".join(f"{one:.2f}" for one in ratings)
            rows.append((trial, f"{number},{trial},{video},{trial * 70_000_000},{rated},{known}"))
        lines += [row for _, row in sorted(rows)]
    return "\r\n".join(lines) + "\r\n"


@pytest.fixture(scope="module")
def true_deap(tmp_path_factory):
    """Two people in the true size: a pickle of 8,064 samples and a MATLAB file of 7,680."""
    root = tmp_path_factory.mktemp("deap")
    content = python2_pickle(deap_arrays(1, 8064))
    write(root, {"data_preprocessed_python/s01.dat": content})
    table = deap_table([1, 2]).encode()
    zipped(root / "metadata_csv.zip", {"metadata_csv/participant_ratings.csv": table})
    matlab = root / "data_preprocessed_matlab"
    matlab.mkdir()
    savemat(matlab / "s02.mat", deap_arrays(2, 7680), do_compression=True)
    return root


@pytest.fixture(scope="module")
def deap(true_deap):
    return load_deap(true_deap, allow_partial=True, cache=False)


SHORT_DEAP = {24: 8, 16: 0}


@pytest.fixture
def short_deap(monkeypatch):
    """Files of DEAP with few samples, so that many can be written."""
    monkeypatch.setattr(_deap, "BASELINES", SHORT_DEAP)
    contents = {}

    def content(number, n_samples=24, **changes):
        key = number, n_samples
        if key not in contents:
            contents[key] = deap_arrays(number, n_samples, np.float64, SHORT_DEAP[n_samples])
        return python2_pickle({**contents[key], **changes})

    return content


@pytest.fixture
def small_deap(short_deap, tmp_path):
    return write(
        tmp_path / "small_deap",
        {
            "s01.dat": short_deap(1),
            "s02.dat": short_deap(2, 16),
            "s03.dat": short_deap(3),
            "participant_ratings.csv": deap_table([1, 2, 3]),
        },
    )


def test_the_pickle_written_here_is_one_of_python_2():
    arrays = deap_arrays(1, 24, baseline=8)
    content = python2_pickle(arrays)
    read = pickle.loads(content, encoding="latin1")
    assert all(np.array_equal(read[key], arrays[key]) for key in ("data", "labels"))
    assert b"_codecs" not in content


def test_deap_has_trials_ratings_and_units_as_written(deap):
    assert len(deap.trials) == len(deap.ratings) == 80
    assert {eda.shape for eda in deap.trials["eda"]} == {(7680,)}
    assert {eda.dtype for eda in deap.trials["eda"]} == {np.dtype(np.float64)}
    assert deap.sampling_rate == 128
    assert deap.rating_range == (1, 9)
    assert deap.units == {"eda": "microsiemens"}
    assert deap.music is None
    assert set(deap.trials["duration"]) == {60.0}
    for row, ratings in zip(deap.trials.itertuples(), deap.ratings.itertuples(), strict=True):
        number, video = int(row.subject[1:]), int(row.stimulus)
        # The first sample after the 384 that come before the video, in Ohm.
        first = 10_000 + 1_000 * number + 100 * video
        assert row.eda[0] == 1e6 / first
        assert row.eda[-1] == 1e6 / (first + 7679)
        assert row.trial == deap_trial_of(number, video)
        assert row.session_time == row.trial * 70.0
        valence, arousal, dominance, liking = deap_ratings(number)[video - 1]
        assert ratings[1:5] == (valence, arousal, dominance, liking)


def test_deap_has_valence_before_arousal(deap):
    # The first file row is video 1, the first column valence.
    first = deap.trials.query("subject == 's01' and stimulus == '1'").index[0]
    labels = deap_ratings(1)[0]
    assert labels[0] != labels[1]
    assert deap.ratings.loc[first, "valence"] == labels[0]
    assert deap.ratings.loc[first, "arousal"] == labels[1]
    assert deap.targets["valence"][first] == labels[0]


def test_deap_is_sorted_by_person_and_order_of_presentation(deap):
    keys = list(zip(deap.trials["subject"], deap.trials["trial"], strict=True))
    assert keys == sorted(keys)
    assert keys[0] == ("s01", 1)
    assert isinstance(deap.trials.index, pd.RangeIndex)
    assert not deap.trials.duplicated(["subject", "stimulus", "trial"]).any()


def test_familiarity_of_deap_is_missing_where_it_was_not_asked(deap):
    assert deap.report["people_without_familiarity"] == ["s02"]
    known = deap.ratings["familiarity"].notna()
    assert known.equals(deap.trials["subject"] == "s01")
    row = deap.trials.query("subject == 's01' and stimulus == '3'").index[0]
    assert deap.ratings.loc[row, "familiarity"] == 4
    assert set(deap.targets) == {"arousal", "valence"}


def test_deap_report_says_what_was_read(deap, true_deap):
    report = deap.report
    assert (report["people"], report["trials"], report["trials_kept"], report["videos"]) == (
        2,
        80,
        80,
        40,
    )
    assert report["samples_before_the_video"] == {"384 samples": 1, "0 samples": 1}
    assert report["source"] == str(true_deap)
    assert report["people_without_recording"] == [f"s{n:02d}" for n in range(3, 33)]
    assert report["masked_samples"] == 0
    assert report["left_out"].empty


def test_deap_as_recorded_is_in_ohm(true_deap):
    study = load_deap(true_deap, allow_partial=True, cache=False, units="as_recorded")
    row = study.trials.query("subject == 's02' and stimulus == '40'").iloc[0]
    assert row["eda"][:3].tolist() == [16_000, 16_001, 16_002]
    assert study.units == {"eda": "ohm"}


def test_deap_gives_the_signals_that_are_asked_for(true_deap):
    asked = ("eeg", "eda", "temperature", "eog", "emg", "respiration", "bvp")
    study = load_deap(true_deap, signals=asked, allow_partial=True, cache=False)
    row = study.trials.iloc[41]
    # Each channel but GSR holds its number.
    assert row["eeg"].shape == (32, 7680)
    assert row["eeg"].dtype == np.float32
    assert row["eeg"][:, 5].tolist() == list(range(32))
    assert row["eog"][:, 0].tolist() == [32, 33]
    assert row["emg"][:, 0].tolist() == [34, 35]
    assert [row[name][0] for name in ("respiration", "bvp", "temperature")] == [37, 38, 39]
    assert row["temperature"].shape == (7680,)
    assert study.channels["eeg"][:2] == ("Fp1", "AF3")
    assert study.channels["eeg"][31] == "O2"
    assert set(study.units) == set(asked)


def test_other_signals_of_deap_are_cut_like_the_eda(true_deap):
    study = load_deap(
        true_deap, signals=("eda", "eog", "bvp"), window=(1, 3.5), allow_partial=True, cache=False
    )
    row = study.trials.query("subject == 's01' and stimulus == '1'").iloc[0]
    assert row["eda"][0] == 1e6 / (11_100 + 128)
    assert row["eda"].shape == row["bvp"].shape == (320,)
    assert row["eog"].shape == (2, 320)
    assert row["duration"] == 60
    assert row["eog"].base is None


def test_only_the_channel_that_is_asked_for_stays_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(_deap, "BASELINES", {1000: 0})
    root = write(tmp_path / "deap", {"participant_ratings.csv": deap_table(range(1, 9))})
    for number in range(1, 9):
        content = python2_pickle(deap_arrays(number, 1000))
        write(root, {f"s{number:02d}.dat": content})
    size = len(content)  # 12 MiB, of which GSR is a fortieth
    del content
    load_deap(root, allow_partial=True, cache=False)  # imports what it needs
    tracemalloc.start()
    study = load_deap(root, allow_partial=True, cache=False)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(study.trials) == 8 * 40
    gsr = 8 * size / 40
    assert held < 1.3 * gsr
    assert peak < 2 * size + 2 * gsr  # one file: what is read of it, and the string in it


def test_samples_that_are_no_resistance_are_masked_and_counted(short_deap, tmp_path):
    arrays = deap_arrays(1, 24, baseline=8)
    arrays["data"][0, 36, 8:14] = [0, -5, np.nan, np.inf, 1e-320, 1e6]
    arrays["data"][0, 36, 3] = -1  # before the video
    arrays["data"][1, 36, 8:] = -1
    arrays["data"][2, 36, 9:] = 0
    table = {"participant_ratings.csv": deap_table([1])}
    root = write(tmp_path / "deap", {"s01.dat": python2_pickle(arrays), **table})
    study = load_deap(root, allow_partial=True)
    eda = study.trials.set_index("stimulus")["eda"]
    # Infinite resistance conducts nothing: 0; no finite conductance comes of 1e-320 Ohm.
    np.testing.assert_array_equal(eda["1"][:6], [np.nan, np.nan, np.nan, 0, np.nan, 1])
    assert study.report["masked_samples"] == 4
    (masked,) = study.report["masked"].to_dict("records")
    assert masked == {
        "subject": "s01",
        "stimulus": "1",
        "trial": deap_trial_of(1, 1),
        "n_masked": 4,
        "n_samples": 16,
    }
    # A trial without samples, or with one, cannot be decomposed.
    gone = study.report["left_out"]
    assert sorted(gone["stimulus"]) == ["2", "3"]
    assert set(gone["reason"]) == {"no usable sample"}
    assert len(study.trials) == len(study.ratings) == study.report["trials_kept"] == 38
    recorded = load_deap(root, allow_partial=True, units="as_recorded")
    eda = recorded.trials.set_index("stimulus")["eda"]
    np.testing.assert_array_equal(eda["1"][:6], [0, -5, np.nan, np.nan, 1e-320, 1e6])
    assert eda["2"].tolist() == [-1] * 16
    assert len(recorded.trials) == 40
    assert recorded.report["masked_samples"] == 2


def test_what_lies_outside_the_window_is_not_counted(short_deap, tmp_path):
    arrays = deap_arrays(1, 24, baseline=8)
    arrays["data"][:, 36, 16:] = 0
    table = {"participant_ratings.csv": deap_table([1])}
    root = write(tmp_path / "deap", {"s01.dat": python2_pickle(arrays), **table})
    study = load_deap(root, allow_partial=True, window=(0, 8 / 128))
    assert study.report["masked_samples"] == 0
    assert load_deap(root, allow_partial=True).report["masked_samples"] == 40 * 8


def test_without_its_table_deap_has_no_order_and_says_so(small_deap):
    (small_deap / "participant_ratings.csv").unlink()
    with pytest.warns(UserWarning, match=r"participant_ratings\.csv is not in .*order of present"):
        study = load_deap(small_deap, allow_partial=True)
    assert set(study.trials["trial"]) == {0}
    assert study.trials["stimulus"].tolist()[:40] == [str(n) for n in range(1, 41)]
    assert "session_time" not in study.trials
    assert study.ratings["familiarity"].isna().all()
    assert study.report["people_without_familiarity"] == ["s01", "s02", "s03"]


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_python_3_are_read(protocol, short_deap, tmp_path):
    arrays = deap_arrays(1, 24, baseline=8)
    content = pickle.dumps({**arrays, "data": arrays["data"].astype(">f4")}, protocol)
    root = write(tmp_path, {"s01.dat": content, "participant_ratings.csv": deap_table([1])})
    study = load_deap(root, allow_partial=True)
    expected = write(tmp_path / "two", {"s01.dat": python2_pickle(arrays)})
    shutil.copy(root / "participant_ratings.csv", expected)
    assert_same(study, load_deap(expected, allow_partial=True))


class Harmful:
    """What a pickle may do: run a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("where", ["alone", "in the dict", "in an array", "beside"])
def test_a_malicious_pickle_does_not_run(protocol, where, short_deap, tmp_path):
    arrays = deap_arrays(1, 24, baseline=8)
    harmful = Harmful(f"touch {tmp_path / 'it_ran'}")
    content = {
        "alone": harmful,
        "in the dict": {**arrays, "data": harmful},
        "in an array": {**arrays, "data": np.array([[harmful]], dtype=object)},
        "beside": {**arrays, "more": harmful},
    }[where]
    root = write(tmp_path / "deap", {"s01.dat": pickle.dumps(content, protocol)})
    table = {"participant_ratings.csv": deap_table([1, 2]), "s02.dat": short_deap(2)}
    (said,) = problems_of(load_deap, write(root, table), allow_partial=True)
    assert said.startswith("s01.dat")
    assert "was not run" in said or "only numbers are allowed" in said
    assert not (tmp_path / "it_ran").exists()
    pickle.loads(pickle.dumps(harmful))
    assert (tmp_path / "it_ran").exists()  # it would have


@pytest.mark.parametrize(
    "name",
    ["numpy.load", "numpy.core.multiarray.scalar", "builtins.eval", "copyreg._reconstructor"],
)
def test_no_name_but_those_of_arrays_is_looked_up(name, short_deap, tmp_path):
    module, _, function = name.rpartition(".")
    content = f"c{module}\n{function}\n(S'1'\ntR.".encode()
    root = write(tmp_path, {"s01.dat": content, "participant_ratings.csv": deap_table([1])})
    (said,) = problems_of(load_deap, root, allow_partial=True)
    assert f"asks for {name}" in said


def test_a_pickle_that_claims_what_it_has_not_is_refused(short_deap, tmp_path):
    arrays = deap_arrays(1, 24, baseline=8)
    good = python2_pickle(arrays)
    shape = b"M" + struct.pack("<H", 24)
    cases = {
        "more samples than bytes": (
            good.replace(shape, b"M" + struct.pack("<H", 25), 1),
            "is truncated or is not a pickle of arrays",
        ),
        "objects": (good.replace(b"U\x02f8", b"U\x02O8", 1), "holds an array of 'O8', but only"),
        "text": (good.replace(b"U\x02f8", b"U\x02U2", 1), "holds an array of 'U2', but only"),
        "fields": (good.replace(b"U\x01<NNN", b"U\x01<NN(t", 1), "holds a structured array"),
        "no dict": (b"\x80\x02]q\x01.", "does not hold a dict of arrays"),
        "no arrays": (b"\x80\x02}U\x04dataK\x05s.", "does not hold a dict of arrays"),
        "other names": (good.replace(b"labels", b"LABELS"), "lacks ['labels']"),
        "another class": (
            good.replace(b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", 1),
            "holds an array of a subclass",
        ),
    }
    for case, (content, expected) in cases.items():
        assert content != good, case
        table = {"participant_ratings.csv": deap_table([1])}
        root = write(tmp_path / case, {"s01.dat": content, **table})
        (said,) = problems_of(load_deap, root, allow_partial=True)
        assert said.startswith(f"s01.dat {expected}"), (case, said)


BAD_DEAP = {
    "person of another study": ({"s33.dat": b""}, r"^s33\.dat is not a file of DEAP.* Remove it"),
    "empty file": ({"s02.dat": b""}, r"^s02\.dat is truncated"),
    "junk": ({"s02.dat": bytes(range(256)) * 9}, r"^s02\.dat is truncated or is not a pickle"),
    "junk for MATLAB": (
        {"s04.mat": bytes(range(256)) * 9},
        r"^s04\.mat is truncated or is not a MATL",
    ),
    "MATLAB 7.3": (
        {"s04.mat": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400)},
        r"^s04\.mat is a MATLAB file of version 7\.3: save it",
    ),
    "no table": ({"participant_ratings.csv": b"hello\n"}, r"^participant_ratings.*lacks the colu"),
    "empty table": ({"participant_ratings.csv": b""}, r"^participant_ratings\.csv is empty"),
    "table of nobody": (
        {"participant_ratings.csv": deap_table([])},
        r"^participant_ratings\.csv rates only 0 of the 40 videos for s01",
    ),
}


@pytest.mark.parametrize("case", BAD_DEAP)
def test_bad_file_of_deap_is_named(case, small_deap):
    files, pattern = BAD_DEAP[case]
    said = problems_of(load_deap, write(small_deap, files), allow_partial=True)
    assert re.search(pattern, said[0]), said


@pytest.mark.parametrize(
    ("changed", "pattern"),
    [
        (
            {"data": np.zeros((40, 40, 23))},
            r"data of shape \(40, 40, 23\), but \(40, 40, 24\) or",
        ),
        ({"data": np.zeros((39, 40, 24))}, r"data of shape \(39, 40, 24\)"),
        ({"data": np.zeros((40, 32, 24))}, r"data of shape \(40, 32, 24\)"),
        (
            {"labels": np.full((40, 3), 5.0)},
            r"labels of shape \(40, 3\), but \(40, 4\) is expected",
        ),
        (
            {"labels": np.where(np.arange(160).reshape(40, 4) == 21, 9.5, deap_ratings(2))},
            r"ratings outside 1 to 9: arousal of video 6 is 9\.5\.",
        ),
        (
            {"labels": np.zeros((40, 4))},
            r"ratings outside 1 to 9: valence of video 1 is 0, .* 155 more",
        ),
        (
            {"labels": np.full((40, 4), np.nan)},
            r"ratings outside 1 to 9: valence of video 1 is nan",
        ),
        (
            {"labels": deap_ratings(3)},
            r"different ratings from participant_ratings\.csv for 40 of 40",
        ),
        (
            {"labels": deap_ratings(2)[::-1].copy()},
            r"different ratings from participant_ratings\.csv for 40 of 40 .*\(Experiment_id 1, 2",
        ),
    ],
)
def test_bad_arrays_of_deap_are_named(changed, pattern, small_deap, short_deap):
    write(small_deap, {"s02.dat": short_deap(2, 24, **changed)})
    (said,) = problems_of(load_deap, small_deap, allow_partial=True)
    assert re.search(rf"^s02\.dat has {pattern}", said), said


@pytest.mark.parametrize("name", ["s01.dat", "s04.mat"])
def test_file_of_deap_that_is_cut_short_anywhere_is_named(name, short_deap, tmp_path):
    table = {"participant_ratings.csv": deap_table([1, 4])}
    if name == "s01.dat":
        content = short_deap(1)
    else:
        rng = np.random.default_rng(0)
        noise = {**deap_arrays(4, 24, baseline=8), "data": rng.normal(size=(40, 40, 24))}
        savemat(tmp_path / "whole.mat", noise, do_compression=True)
        content = (tmp_path / "whole.mat").read_bytes()
    for n_bytes in [*np.linspace(1, len(content) - 1, 12).astype(int)]:
        root = write(tmp_path / f"at_{n_bytes}", {name: content[:n_bytes], **table})
        (said,) = problems_of(load_deap, root, allow_partial=True)
        assert said.startswith(name)


TABLE_CHANGES = [
    ("Arousal", "arousal", r"lacks the columns \['Arousal'\]"),
    ("\r\n1,", "\r\n33,", "has '33' as Participant_id in line 2, but 1 to 32 is expected"),
    (",3,", ",41,", "but 1 to 40 is expected"),
    (",70000000,", ",soon,", "needs a finite number as Start_time in line 2, got 'soon'"),
]


@pytest.mark.parametrize(("old", "new", "pattern"), TABLE_CHANGES)
def test_bad_table_of_deap_is_named(old, new, pattern, small_deap):
    table = deap_table([1, 2, 3])
    assert old in table
    write(small_deap, {"participant_ratings.csv": table.replace(old, new, 1)})
    said = problems_of(load_deap, small_deap, allow_partial=True)
    assert re.search(rf"^participant_ratings\.csv .*{pattern}", said[0]), said


def test_ratings_of_the_table_are_checked_too(small_deap):
    lines = deap_table([1, 2, 3]).splitlines()
    cells = [line.split(",") for line in lines]
    cells[3][4] = "9.7"
    cells[5][8] = "6"
    cells[7] = cells[6]
    write(small_deap, {"participant_ratings.csv": "\n".join(map(",".join, cells))})
    said = problems_of(load_deap, small_deap, allow_partial=True)
    assert "9.7 as Valence in line 4, outside 1 to 9" in said[0]
    assert "6 as Familiarity in line 6, outside 1 to 5" in said[1]
    assert "participant 1 twice with a video or trial (line 8)" in said[2]
    assert "rates only 37 of the 40 videos for s01" in said[3]


def test_person_without_ratings_is_named(small_deap):
    write(small_deap, {"participant_ratings.csv": deap_table([1, 3])})
    (said,) = problems_of(load_deap, small_deap, allow_partial=True)
    assert said.startswith("participant_ratings.csv rates only 0 of the 40 videos for s02")


def test_one_error_says_all_that_is_wrong_with_deap(small_deap, short_deap):
    table = deap_table([1, 2]).replace("Familiarity", "Known", 1)
    write(
        small_deap,
        {
            "s02.dat": short_deap(2)[:5000],
            "again/s01.dat": short_deap(1),
            "s03.dat": short_deap(3, labels=np.zeros((40, 4))),
            "s04.dat": pickle.dumps(Harmful("true"), 2),
            "s99.dat": b"",
            "participant_ratings.csv": table,
            "metadata.zip": b"PK\x03\x04 and no more",
        },
    )
    said = problems_of(load_deap, small_deap)
    assert len(said) == 8
    for pattern in (
        r"metadata\.zip is not a readable zip archive",
        r"again/s01\.dat and s01\.dat are the same file: keep one",
        r"s99\.dat is not a file of DEAP",
        r"s05, s06, .*s32 are missing: found 4 of 32 people\. .*allow_partial=True",
        r"participant_ratings\.csv lacks the columns \['Familiarity'\]",
        r"s02\.dat is truncated",
        r"s03\.dat has ratings outside 1 to 9",
        r"s04\.dat asks for posix\.system|s04\.dat asks for nt\.system",
    ):
        assert sum(bool(re.search(pattern, line)) for line in said) == 1, pattern


# Where corpora lie, packed and unpacked


def as_downloaded(form, files, archives, root):
    """Lay out files loose, in one archive, or in the archives that they are downloaded in."""
    if form == "loose":
        return write(root, files)
    if form == "deep":
        return write(
            root, {f"some folder/of mine/{name}": content for name, content in files.items()}
        )
    if form == "one archive":
        return zipped(root / "all.zip", {f"top/{name}": one for name, one in files.items()})
    for archive, chosen in archives.items():
        inner = {f"{archive}/{n}": files[n] for n in files if re.search(chosen, n)}
        zipped(root / f"{archive}.zip", inner)
    return root


FORMS = pytest.mark.parametrize("form", ["deep", "one archive", "several archives"])


def test_what_is_unpacked_comes_before_the_archive_it_came_in(small_deap, short_deap):
    expected = load_deap(small_deap, allow_partial=True, cache=False)
    zipped(small_deap / "data_preprocessed_python.zip", {"data/s01.dat": b"not read"})
    zipped(small_deap / "data_preprocessed_matlab.zip", {"data/s01.mat": b"not read"})
    write(small_deap, {"z/s02.mat": b"not read: a pickle comes before it"})
    assert_same(load_deap(small_deap, allow_partial=True, cache=False), expected)


def test_file_that_two_archives_have_is_named(small_deap, short_deap):
    (small_deap / "s02.dat").unlink()
    for name in ("a.zip", "a (1).zip"):
        zipped(small_deap / name, {"s02.dat": short_deap(2)})
    (said,) = problems_of(load_deap, small_deap, allow_partial=True)
    assert said == "a (1).zip/s02.dat and a.zip/s02.dat are the same file: keep one."


def test_archive_that_is_cut_short_is_named(small_deap, tmp_path):
    files = {file.name: file.read_bytes() for file in small_deap.iterdir()}
    archive = zipped(tmp_path / "all.zip", files)
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError, match=r"all\.zip is not a readable zip"):
        load_deap(archive)


def test_member_of_an_archive_that_is_damaged_is_named(small_deap, tmp_path):
    files = {file.name: file.read_bytes() for file in small_deap.iterdir()}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    content = (tmp_path / "all.zip").read_bytes()
    place = content.index(files["s02.dat"]) + 5000
    (tmp_path / "all.zip").write_bytes(content[:place] + b"\xff\xfe" + content[place + 2 :])
    (said,) = problems_of(load_deap, tmp_path / "all.zip", allow_partial=True)
    assert re.search(r"^s02\.dat cannot be unpacked: Bad CRC", said)


def test_places_are_searched_in_order(small_deap, short_deap, home, tmp_path, monkeypatch):
    def copy_to(place, number):
        table = {"participant_ratings.csv": deap_table([number])}
        write(place / "deap", {f"s{number:02d}.dat": short_deap(number), **table})

    def who():
        return load_deap(allow_partial=True).trials["subject"].unique().tolist()

    repository = tmp_path / "repository"
    monkeypatch.setattr(_corpus, "REPOSITORY_DATA", repository)
    copy_to(home, 7)
    assert who() == ["s07"]
    copy_to(repository, 6)
    assert who() == ["s06"]
    monkeypatch.setenv("EDAEMO_DATA", str(tmp_path / "environment"))
    assert who() == ["s06"]
    copy_to(tmp_path / "environment", 5)
    assert who() == ["s05"]
    assert load_deap(small_deap, allow_partial=True).trials["subject"].nunique() == 3


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/there"}, "/there/edaemo"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/edaemo"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, "/home/me/.cache/edaemo"),
        ("darwin", {"XDG_CACHE_HOME": "/there"}, "/home/me/Library/Caches/edaemo"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/edaemo/Cache"),
        ("linux", {"HOME": "relative", "XDG_CACHE_HOME": ""}, None),
    ],
)
def test_user_cache_is_where_the_platform_has_it(platform, environment, expected, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in ({"HOME": "/home/me"} | environment).items():
        monkeypatch.setenv(name, value)
    assert _corpus.user_cache() == (None if expected is None else Path(expected))


# The cache


def forbid_reading(monkeypatch):
    def read(*args):
        raise AssertionError("the originals were read")

    for module in (_deap, _amigos, _pmemo):
        monkeypatch.setattr(module, "_read", read)


def entries(home):
    return sorted(file for file in (home / "parquet").glob("*") if file.is_file())


@pytest.mark.parametrize("form", ["loose", "one archive"])
def test_second_load_comes_from_the_cache_and_is_the_same(form, small_deap, home, monkeypatch):
    if form == "one archive":
        files = {file.name: file.read_bytes() for file in small_deap.iterdir()}
        small_deap = zipped(small_deap.parent / "all.zip", files)
    signals = ("eda", "eeg", "bvp")
    first = load_deap(small_deap, signals=signals, allow_partial=True)
    assert first.report["cache"].startswith(
        f"read from the original files, kept in {home / 'parquet'}"
    )
    (entry,) = entries(home)
    assert pd.read_parquet(entry)["subject"].tolist() == first.trials["subject"].tolist()
    forbid_reading(monkeypatch)
    second = load_deap(small_deap, signals=signals, allow_partial=True)
    assert second.report["cache"] == f"from {home / 'parquet'}"
    assert_same(first, second)


def test_entry_of_many_row_groups_is_the_same(small_deap, monkeypatch):
    monkeypatch.setattr(_cache, "_GROUP", 1)
    first = load_deap(small_deap, signals=("eda", "eeg"), allow_partial=True)
    assert_same(first, load_deap(small_deap, signals=("eda", "eeg"), allow_partial=True))


def test_units_and_windows_share_an_entry_and_signals_do_not(small_deap, home):
    load_deap(small_deap, allow_partial=True)
    load_deap(small_deap, allow_partial=True, units="as_recorded", window=(0, 0.1))
    assert len(entries(home)) == 1
    load_deap(small_deap, allow_partial=True, signals=("eda", "emg"))
    assert len(entries(home)) == 2


def test_changed_content_is_read_anew(small_deap, short_deap, monkeypatch):
    monkeypatch.setattr(_cache, "_SETTLED", -1e9)  # every file counts as settled
    before = load_deap(small_deap, allow_partial=True)
    file = small_deap / "s01.dat"
    stat = file.stat()
    arrays = deap_arrays(1, 24, baseline=8)
    arrays["data"][:, 36] += 1
    time.sleep(0.05)  # more than the file system's clock needs
    file.write_bytes(python2_pickle(arrays))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size
    assert file.stat().st_mtime_ns == stat.st_mtime_ns
    after = load_deap(small_deap, allow_partial=True)
    assert after.report["cache"].startswith("read from the original files")
    assert after.trials["eda"][0][0] != before.trials["eda"][0][0]


def test_changed_archive_is_read_anew(small_deap, tmp_path):
    files = {file.name: file.read_bytes() for file in small_deap.iterdir()}
    place = zipped(tmp_path / "all.zip", files)
    before = load_deap(place, allow_partial=True)
    arrays = deap_arrays(1, 24, baseline=8)
    arrays["data"][:, 36] += 1
    zipped(place, {**files, "s01.dat": python2_pickle(arrays)})
    after = load_deap(place, allow_partial=True)
    assert after.trials["eda"][0][0] != before.trials["eda"][0][0]


def test_same_content_elsewhere_is_not_read_anew(small_deap, tmp_path, monkeypatch):
    first = load_deap(small_deap, allow_partial=True)
    forbid_reading(monkeypatch)
    assert_same(first, load_deap(shutil.move(small_deap, tmp_path / "b"), allow_partial=True))


def test_each_content_is_digested_once(small_deap, monkeypatch):
    digested = []
    digest = _cache.hashlib.file_digest

    def count(file, name):
        digested.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(_cache.hashlib, "file_digest", count)
    monkeypatch.setattr(_cache, "_SETTLED", -1e9)
    load_deap(small_deap, allow_partial=True)
    assert {"s01.dat", "s02.dat", "s03.dat"} <= set(digested)
    digested.clear()
    load_deap(small_deap, allow_partial=True)
    assert [name for name in digested if name.endswith((".dat", ".csv"))] == []
    # What may still change unseen is not remembered.
    monkeypatch.setattr(_cache, "_SETTLED", 1e9)
    (small_deap / "s01.dat").touch()
    for _ in range(2):
        digested.clear()
        load_deap(small_deap, allow_partial=True)
        assert [name for name in digested if name.endswith(".dat")] == ["s01.dat"]


@pytest.mark.parametrize(
    "junk", ["", "{", "[1]", '{"s01.dat": 5}', '{"s01.dat": [[1], 2]}', "\xff"]
)
def test_damaged_memory_of_digests_is_not_trusted(junk, small_deap, home, monkeypatch):
    monkeypatch.setattr(_cache, "_SETTLED", -1e9)
    first = load_deap(small_deap, allow_partial=True)
    (memory,) = (home / "parquet" / "digests").iterdir()
    memory.write_bytes(junk.encode("latin1"))
    assert_same(first, load_deap(small_deap, allow_partial=True))
    assert set(json.loads(memory.read_text())) == {file.name for file in small_deap.iterdir()}


def damage(how, content):
    middle = len(content) // 2
    return {
        "a bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "first byte": b"\x00" + content[1:],
        "last byte": content[:-1] + b"\x00",
        "cut short": content[:middle],
        "empty": b"",
        "longer": content + b"\x00",
    }[how]


@pytest.mark.parametrize(
    "how", ["a bit", "first byte", "last byte", "cut short", "empty", "longer"]
)
def test_damaged_entry_is_made_anew(how, small_deap, home):
    first = load_deap(small_deap, allow_partial=True)
    (entry,) = entries(home)
    content = entry.read_bytes()
    entry.write_bytes(damage(how, content))
    second = load_deap(small_deap, allow_partial=True)
    assert second.report["cache"].startswith("read from the original files")
    assert_same(first, second)
    assert [file.read_bytes() for file in entries(home)] == [content]


def test_entry_under_the_name_of_another_content_is_not_taken(small_deap, home):
    first = load_deap(small_deap, allow_partial=True)
    (entry,) = entries(home)
    key, digest, _ = entry.name.split(".")
    other = entry.with_name(f"{key}.{'0' * 64}.parquet")
    entry.rename(other)
    assert_same(first, load_deap(small_deap, allow_partial=True))
    assert [file.name for file in entries(home)] == [f"{key}.{digest}.parquet"]


def test_what_is_wrong_is_not_kept(small_deap, short_deap, home):
    write(small_deap, {"s02.dat": b""})
    for _ in range(2):
        problems_of(load_deap, small_deap, allow_partial=True)
    assert entries(home) == []
    write(small_deap, {"s02.dat": short_deap(2)})
    assert load_deap(small_deap, allow_partial=True).report["people"] == 3
    # What was kept of a part does not stand for the whole.
    (said,) = problems_of(load_deap, small_deap)
    assert "3 of 32 people" in said


def test_without_pyarrow_all_is_read_and_one_line_says_what_is_missing(
    small_deap, home, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    study = load_deap(small_deap, allow_partial=True)
    assert study.report["cache"] == "not kept: the cache needs pyarrow: pip install edaemo[parquet]"
    assert len(study.trials) == 120
    assert not home.exists()
    with pytest.raises(DatasetError) as caught:
        load_deap(small_deap, allow_partial=True, cache=tmp_path / "mine")
    assert str(caught.value).endswith("needs pyarrow: pip install edaemo[parquet].")


def test_cache_may_be_elsewhere_or_nowhere(small_deap, home, tmp_path):
    study = load_deap(small_deap, allow_partial=True, cache=False)
    assert study.report["cache"] == "not kept: cache=False"
    load_deap(small_deap, allow_partial=True, cache=tmp_path / "mine")
    assert len(list((tmp_path / "mine").glob("*.parquet"))) == 1
    assert not home.exists()


def test_cache_that_cannot_be_written_is_said_and_costs_nothing(small_deap, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match=r"not kept: cannot write to .*file"):
        study = load_deap(small_deap, allow_partial=True, cache=tmp_path / "file")
    assert len(study.trials) == 120


def test_error_while_writing_leaves_nothing(small_deap, home, monkeypatch):
    def fail(path, reading):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_cache, "_write", fail)
        with pytest.warns(UserWarning, match="No space left on device"):
            first = load_deap(small_deap, allow_partial=True)
    assert entries(home) == []
    assert_same(first, load_deap(small_deap, allow_partial=True))


def test_two_processes_may_share_the_cache(tmp_path):
    place, shared = write_pmemo_2019(tmp_path / "pmemo"), tmp_path / "cache"
    code = (
        "import sys, warnings; warnings.simplefilter('ignore');"
        "from edaemo.datasets import load_pmemo;"
        "s = load_pmemo(sys.argv[1], allow_partial=True, cache=sys.argv[2]);"
        "print(len(s.trials), s.trials['eda'][0][:3].tolist())"
    )
    command = [sys.executable, "-c", code, str(place), str(shared)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert len(said) == 1
    assert [file.suffix for file in shared.iterdir() if file.is_file()] == [".parquet"]


# AMIGOS, as its files are

AMIGOS_GROUPS = [
    *([7, 1, 2, 16], [6, 20, 4, 3], [19, 5, 10, 18], [17, 9, 11, 12], [13, 14, 15, 38]),
]
AMIGOS_ALONE = [
    n
    for n in range(1, 41)
    if n not in (8, 24, 28) and not any(n in group for group in AMIGOS_GROUPS)
]
VIDEO_IDS = [
    *("10", "13", "138", "18", "19", "20", "23", "30", "31", "34", "36", "4", "5", "58", "80", "9"),
    *("N1", "P1", "B1", "U1"),
]


def amigos_order(number, n_videos, first):
    """Video numbers in order of presentation."""
    return [
        (place * 3 + number) % n_videos + first
        if n_videos == 16
        else (place + number) % n_videos + first
        for place in range(n_videos)
    ]


def amigos_labels(number, place):
    """Arousal, valence, dominance, liking, familiarity, and seven emotions."""
    scales = [((place + 1) * step + number * 7) % 81 / 10 + 1 for step in (13, 31, 47, 59, 71)]
    return [*scales, *(int((place + number) % 7 == emotion) for emotion in range(7))]


def amigos_cells(number, n_samples, *, dtype=np.float64, changes=None):
    """The 20 cells of each variable of a person."""
    joined, labels, ids = (np.empty((1, 20), dtype=object) for _ in range(3))
    for place in range(20):
        cell = np.zeros((n_samples, 17), dtype)
        cell[:] = np.arange(17)
        cell[:, 16] = 5_000 + 400 * number + 20 * place + np.arange(n_samples) % 17
        absent = place >= 16 and number in (8, 24, 28)
        unrated = place >= 16 and number == 32
        joined[0, place] = np.zeros((0, 0)) if absent else cell
        rated = np.zeros((1, 0)) if absent or unrated else np.array([amigos_labels(number, place)])
        labels[0, place] = rated
        ids[0, place] = VIDEO_IDS[place]
    variables = {"joined_data": joined, "labels_selfassessment": labels, "VideoIDs": ids}
    for (variable, place), cell in (changes or {}).items():
        variables[variable][0, place] = cell
    return {**variables, "labels_ext_annotation": np.empty((1, 20), dtype=object)}


def amigos_file(path, number, n_samples=656, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = amigos_cells(number, n_samples, **settings)
    savemat(
        path, {k: v for k, v in cells.items() if k != "labels_ext_annotation"}, do_compression=True
    )


def spreadsheet(sheets):
    """Write a workbook (ECMA-376) with text and numbers in its cells."""
    main_ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel_ns = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def cell(value):
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    numbers = range(1, len(sheets) + 1)
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
            for n in numbers
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{rel_ns}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main_ns}" xmlns:r="{rel_ns}"><sheets>'
        + "".join(
            f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>'
            for n, name in zip(numbers, sheets, strict=True)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{rel_ns}/worksheet" '
            f'Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        + "</Relationships>",
    }
    for n, rows in zip(numbers, sheets.values(), strict=True):
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        files[f"xl/worksheets/sheet{n}.xml"] = (
            f'<worksheet xmlns="{main_ns}"><sheetData>{lines}</sheetData></worksheet>'
        )
    return files


def experiment_data(path, *, short=None, long=None):
    heads = [
        [f"{word}_{n}" for n in range(1, count + 1) for word in ("Video_Number", "Video_ID")]
        for count in (16, 4)
    ]

    def row(order):
        return [one for number in order for one in (number, VIDEO_IDS[number - 1])]

    short = short or [
        ["UserID", *heads[0]],
        *([n, *row(amigos_order(n, 16, 1))] for n in range(1, 41)),
    ]
    together = [*AMIGOS_GROUPS, *([n] for n in AMIGOS_ALONE)]
    long = long or [
        ["UserID(s)", "Session", *heads[1]],
        *(
            [
                ", ".join(map(str, ids)) if len(ids) > 1 else ids[0],
                "x",
                *row(amigos_order(ids[0], 4, 17)),
            ]
            for ids in together
        ),
    ]
    return zipped(path, spreadsheet({"Short_Videos_Order": short, "Long_Videos_Order": long}))


@pytest.fixture(scope="module")
def whole_amigos(tmp_path_factory):
    """All 40 people, 30 s of each video, in the files' own form but as small integers."""
    root = tmp_path_factory.mktemp("amigos")
    for number in range(1, 41):
        path = root / f"Data_Preprocessed_P{number:02d}" / f"Data_Preprocessed_P{number:02d}.mat"
        amigos_file(path, number, 640 + 3200, dtype=np.int16)
    experiment_data(root / "Metadata_xlsx" / "Experiment_Data.xlsx")
    return root


@pytest.fixture(scope="module")
def amigos(whole_amigos):
    return load_amigos(whole_amigos, videos="all", cache=False)


@pytest.fixture
def small_amigos(tmp_path):
    root = tmp_path / "small_amigos"
    for number in (1, 8, 32):
        amigos_file(root / f"Data_Preprocessed_P{number:02d}.mat", number)
    experiment_data(root / "Experiment_Data.xlsx")
    return root


def test_amigos_has_788_trials_of_which_those_with_ratings_are_kept(amigos):
    assert amigos.report["people"] == 40
    assert amigos.report["trials"] == 788
    gone = amigos.report["left_out"]
    counts = gone.groupby("reason")["subject"].agg(lambda people: sorted(set(people)))
    assert counts.to_dict() == {
        "no recording": ["P08", "P24", "P28"],
        "no self-assessment": ["P32"],
    }
    assert len(gone) == 12 + 4
    assert len(amigos.trials) == amigos.report["trials_kept"] == 784
    assert amigos.trials["video_length"].value_counts().to_dict() == {"short": 640, "long": 144}
    assert gone.query("subject == 'P32'")["trial"].tolist() == [
        amigos_order(32, 4, 17).index(number) + 17 for number in range(17, 21)
    ]


def test_amigos_without_the_seven_has_528_short_trials_of_33_people(whole_amigos):
    study = load_amigos(whole_amigos, nan_subjects="drop", cache=False)
    assert len(study.trials) == 528
    assert study.trials["subject"].nunique() == 33
    gone = study.report["left_out"]
    assert set(gone["reason"]) == {"invalid channels"}
    assert sorted(set(gone["subject"])) == ["P09", "P12", "P21", "P22", "P23", "P24", "P33"]
    assert len(load_amigos(whole_amigos, cache=False).trials) == 640
    assert len(load_amigos(whole_amigos, videos="long", cache=False).trials) == 144


def test_amigos_has_trials_ratings_and_units_as_written(amigos):
    assert {eda.shape for eda in amigos.trials["eda"]} == {(3200,)}
    assert {eda.dtype for eda in amigos.trials["eda"]} == {np.dtype(np.float64)}
    assert amigos.sampling_rate == 128
    assert amigos.units == {"eda": "microsiemens"}
    for row, ratings in zip(amigos.trials.itertuples(), amigos.ratings.itertuples(), strict=True):
        number, place = int(row.subject[1:]), VIDEO_IDS.index(row.stimulus)
        assert row.eda[0] == 1e6 / (5_000 + 400 * number + 20 * place + 640 % 17)
        arousal, valence, dominance, liking, familiarity, *emotions = amigos_labels(number, place)
        assert ratings[1:6] == (valence, arousal, dominance, liking, familiarity)
        assert list(ratings[6:]) == emotions
    assert list(amigos.ratings)[5:] == [
        *("neutral", "disgust", "happiness", "surprise", "anger", "fear", "sadness"),
    ]
    assert set(amigos.trials["duration"]) == {25.0}


def test_amigos_has_arousal_before_valence(amigos):
    first = amigos.trials.query("subject == 'P01' and stimulus == '10'").index[0]
    labels = amigos_labels(1, 0)
    assert labels[0] != labels[1]
    assert amigos.ratings.loc[first, "arousal"] == labels[0]
    assert amigos.ratings.loc[first, "valence"] == labels[1]
    assert amigos.targets["arousal"][first] == labels[0]


def test_amigos_is_in_the_order_of_presentation(amigos):
    for person, rows in amigos.trials.groupby("subject"):
        number = int(person[1:])
        short = rows[rows["video_length"] == "short"]
        assert short["trial"].tolist() == list(range(1, 17))
        expected = [VIDEO_IDS[one - 1] for one in amigos_order(number, 16, 1)]
        assert short["stimulus"].tolist() == expected
        long = rows[rows["video_length"] == "long"]
        assert long["trial"].tolist() in ([17, 18, 19, 20], [])
    p07 = amigos.trials.query("subject == 'P07' and video_length == 'long'")
    assert p07["stimulus"].tolist() == [VIDEO_IDS[n - 1] for n in amigos_order(7, 4, 17)]
    assert not amigos.trials.duplicated(["subject", "stimulus", "trial"]).any()


def test_long_videos_of_amigos_carry_the_viewing_group(amigos, whole_amigos):
    groups = amigos.trials.query("video_length == 'long'").groupby("subject")["viewing_group"]
    found = {person: values.iloc[0] for person, values in groups}
    for ids in AMIGOS_GROUPS:
        name = " ".join(f"P{n:02d}" for n in sorted(ids))
        assert {found[f"P{n:02d}"] for n in ids} == {name}
    assert all(pd.isna(found[f"P{n:02d}"]) for n in AMIGOS_ALONE if n != 32)
    short = amigos.trials.query("video_length == 'short'")
    assert short["viewing_group"].isna().all()
    assert "viewing_group" not in load_amigos(whole_amigos, cache=False).trials
    folds = SubjectKFold(3).split(amigos.trials, np.zeros(len(amigos.trials), dtype=int))
    for _, test in folds:
        tested = {int(person[1:]) for person in amigos.trials["subject"].iloc[test]}
        assert all(set(ids) <= tested or not set(ids) & tested for ids in AMIGOS_GROUPS)


def test_amigos_gives_the_signals_that_are_asked_for(small_amigos):
    study = load_amigos(
        small_amigos, signals=("eda", "eeg", "ecg"), window=None, allow_partial=True
    )
    row = study.trials.iloc[3]
    assert row["eeg"].shape == (14, 16)
    assert row["eeg"][:, 2].tolist() == list(range(14))
    assert row["ecg"][:, 2].tolist() == [14, 15]
    assert row["ecg"].dtype == np.float32
    assert study.channels["eeg"][0] == "AF3"
    assert study.channels["ecg"] == ("right arm", "left arm")
    assert_same(
        study,
        load_amigos(small_amigos, signals=("eda", "eeg", "ecg"), window=None, allow_partial=True),
    )


def test_empty_cells_of_amigos_are_left_out_and_reported(small_amigos):
    changes = {
        ("joined_data", 3): np.zeros((0, 0)),
        ("labels_selfassessment", 5): np.zeros((1, 0)),
        ("labels_selfassessment", 6): np.full((1, 12), np.nan),
    }
    amigos_file(small_amigos / "Data_Preprocessed_P01.mat", 1, changes=changes)
    study = load_amigos(small_amigos, window=None, allow_partial=True)
    gone = study.report["left_out"].set_index("stimulus")["reason"].to_dict()
    assert gone == {
        VIDEO_IDS[3]: "no recording",
        VIDEO_IDS[5]: "no self-assessment",
        VIDEO_IDS[6]: "no self-assessment",
    }
    assert study.report["trials"] == 47
    assert len(study.trials) == 45


def test_samples_of_amigos_that_are_no_resistance_are_masked(small_amigos):
    cells = amigos_cells(1, 656)["joined_data"]
    cell = cells[0, 0].copy()
    cell[640:644, 16] = [0, -1, np.nan, 1e6]
    lost = cells[0, 1].copy()
    lost[:, 16] = np.nan
    changes = {("joined_data", 0): cell, ("joined_data", 1): lost}
    amigos_file(small_amigos / "Data_Preprocessed_P01.mat", 1, changes=changes)
    study = load_amigos(small_amigos, window=None, allow_partial=True)
    first = study.trials.query("subject == 'P01' and stimulus == '10'").iloc[0]
    np.testing.assert_array_equal(first["eda"][:4], [np.nan, np.nan, np.nan, 1])
    assert study.report["masked_samples"] == 3
    assert study.report["left_out"]["reason"].tolist() == ["no usable sample"]
    recorded = load_amigos(small_amigos, window=None, allow_partial=True, units="as_recorded")
    first = recorded.trials.query("subject == 'P01' and stimulus == '10'").iloc[0]
    np.testing.assert_array_equal(first["eda"][:4], [0, -1, np.nan, 1e6])


def test_amigos_that_is_not_whole_says_what_is_missing(small_amigos, tmp_path):
    said = problems_of(load_amigos, small_amigos, videos="all")
    assert len(said) == 1
    assert "P02, P03" in said[0]
    assert "3 of 40 people" in said[0]
    assert "allow_partial=True" in said[0]


def test_fewer_trials_than_published_are_an_error_unless_a_part_is_wanted(
    whole_amigos, tmp_path, monkeypatch
):
    root = shutil.copytree(whole_amigos, tmp_path / "amigos")
    changes = {("joined_data", 2): np.zeros((0, 0))}
    place = root / "Data_Preprocessed_P05" / "Data_Preprocessed_P05.mat"
    amigos_file(place, 5, 640 + 3200, dtype=np.int16, changes=changes)
    (said,) = problems_of(load_amigos, root)
    assert "639 of 640 trials of short videos" in said
    assert len(load_amigos(root, allow_partial=True).trials) == 639


def test_without_the_spreadsheet_order_and_groups_are_not_known(small_amigos):
    (small_amigos / "Experiment_Data.xlsx").unlink()
    with pytest.warns(UserWarning, match=r"Experiment_Data is not in .*trial is 0 in all rows"):
        study = load_amigos(small_amigos, window=None, allow_partial=True)
    assert set(study.trials["trial"]) == {0}
    assert study.trials["stimulus"].tolist()[:16] == VIDEO_IDS[:16]
    with pytest.warns(UserWarning, match="Experiment_Data"):
        study = load_amigos(small_amigos, videos="long", window=None, allow_partial=True)
    assert study.trials["viewing_group"].isna().all()
    said = problems_of(load_amigos, small_amigos, videos="long")
    assert any("it lists who watched together" in line for line in said)


def test_without_the_extra_the_spreadsheet_is_said_to_need_it(small_amigos, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.warns(UserWarning, match=r"without pip install edaemo\[spreadsheets\]"):
        load_amigos(small_amigos, window=None, allow_partial=True)
    said = problems_of(load_amigos, small_amigos, videos="long")
    assert any("pip install edaemo[spreadsheets]" in line for line in said)


@pytest.mark.parametrize(
    ("changed", "pattern"),
    [
        ({("joined_data", 0): np.zeros((656, 16))}, r"shape \(656, 16\) in cell 1 of joined_data"),
        ({("joined_data", 1): np.zeros((640, 17))}, r"more than 640 samples of 17 columns"),
        ({("joined_data", 2): "nothing"}, r"no numbers in cell 3 of joined_data"),
        ({("labels_selfassessment", 0): np.ones((1, 11))}, r"11 values in cell 1 of labels_self"),
        (
            {("labels_selfassessment", 3): np.array([[9.4, 5, 5, 5, 5, *[0] * 7]])},
            r"for video 4: arousal is 9\.4\.",
        ),
        (
            {("labels_selfassessment", 3): np.array([[9, 0.5, 5, 5, 5, *[0] * 6, 2]])},
            r"for video 4: valence is 0\.5, sadness is 2\.",
        ),
        ({("VideoIDs", 1): "10"}, r"empty or duplicate VideoIDs"),
        ({("VideoIDs", 1): ""}, r"empty or duplicate VideoIDs"),
        (
            {("labels_selfassessment", place): np.zeros((1, 0)) for place in range(20)},
            r"has no ratings at all",
        ),
    ],
)
def test_bad_cells_of_amigos_are_named(changed, pattern, small_amigos):
    amigos_file(small_amigos / "Data_Preprocessed_P01.mat", 1, changes=changed)
    (said,) = problems_of(load_amigos, small_amigos, allow_partial=True)
    assert re.search(rf"^Data_Preprocessed_P01\.mat has .*{pattern}|^Data_Pre.*{pattern}", said)


def test_one_error_says_all_that_is_wrong_with_amigos(small_amigos):
    bad = {("joined_data", 0): np.zeros((656, 16)), ("joined_data", 4): np.zeros((9, 17))}
    amigos_file(small_amigos / "Data_Preprocessed_P01.mat", 1, changes=bad)
    content = (small_amigos / "Data_Preprocessed_P08.mat").read_bytes()
    amigos_file(small_amigos / "Data_Preprocessed_P41.mat", 40)
    cells = amigos_cells(3, 656)
    savemat(small_amigos / "Data_Preprocessed_P03.mat", {"VideoIDs": cells["VideoIDs"]})
    write(
        small_amigos,
        {
            "Data_Preprocessed_P08.mat": content[: len(content) // 2],
            "again/Data_Preprocessed_P32.mat": b"",
            "Experiment_Data.xlsx": b"no spreadsheet",
        },
    )
    said = problems_of(load_amigos, small_amigos, videos="all")
    for pattern in (
        r"P41\.mat is not a file of AMIGOS",
        r"Data_Preprocessed_P32\.mat and again/Data_Preprocessed_P32\.mat are the same file",
        r"P02, P04, .* are missing: found 4 of 40 people",
        r"Experiment_Data\.xlsx has no sheet Short_Videos_Order that can be read",
        r"P01\.mat has an array of shape \(656, 16\) in cell 1",
        r"P01\.mat has an array of shape \(9, 17\) in cell 5",
        r"P03\.mat lacks the variables \['joined_data', 'labels_selfassessment'\]",
        r"P08\.mat is truncated",
    ):
        assert sum(bool(re.search(pattern, line)) for line in said) == 1, pattern


HEAD = ["UserID(s)", *(f"Video_Number_{n}" for n in range(1, 5))]


@pytest.mark.parametrize(
    ("long", "pattern"),
    [
        ([["User", *HEAD[1:]], [1, 17, 18, 19, 20]], r"0 columns UserID.*Long_Videos_Order"),
        ([HEAD[:4], [1, 17, 18, 19]], r"3 columns …Video_Number…"),
        ([HEAD, [1, 17, 18, 19, 19]], r"does not have people and 4 different videos in row 2"),
        ([HEAD, [51, 17, 18, 19, 20]], r"does not have people and 4 different videos in row 2"),
        ([HEAD, [1, 17, 18, 19, 20], ["1, 32", 17, 18, 19, 20]], r"has P01 twice"),
        ([HEAD, [1, 17, 18, 19, 20]], r"no order of videos for P32"),
    ],
)
def test_bad_spreadsheet_of_amigos_is_named(long, pattern, small_amigos):
    experiment_data(small_amigos / "Experiment_Data.xlsx", long=long)
    number = {(("labels_selfassessment"), 16): np.array([amigos_labels(32, 16)])}
    amigos_file(small_amigos / "Data_Preprocessed_P32.mat", 32, changes=number)
    said = problems_of(load_amigos, small_amigos, videos="all", allow_partial=True)
    assert re.search(pattern, said[0]), said


# PMEmo, as its files are


@pytest.fixture(scope="session")
def music_names():
    return list(MusicFeatureExtractor("IS13").get_feature_names_out())


def pmemo_music(songs, names):
    lines = [",".join(["musicId", *names])]
    for song in songs:
        lines.append(
            ",".join([str(song), *(f"{song + place / 8:g}" for place in range(len(names)))])
        )
    return "\n".join(lines) + "\n"


def columns_2019(traces, n_samples, rate=50):
    """A file of the 2019 release: time(s), and a column of text for each listener."""
    lines = [",".join(["time(s)", *traces])]
    columns = list(traces.values())
    for row in range(n_samples):
        lines.append(",".join([f"{row / rate:.2f}", *(column[row] for column in columns)]))
    return "\n".join(lines) + "\n"


def samples(n, start=0.0, step=0.001):
    return [f"{start + row * step:.4f}" for row in range(n)]


LABELS_2019 = {1: (0.3, 0.4), 7: (0.75, 0.5125), 10: (0.6, 0.9)}


def write_pmemo_2019(root, *, music=None, more=None):
    """Three songs of 30 s with ratings, and song 999 without; listeners with all faults."""
    n = 1500
    one = samples(n, 1.0)
    holes = ["" if row == 5 else cell for row, cell in enumerate(samples(n, 2.0))]
    ends = [cell if row < 1400 else "NaN" for row, cell in enumerate(samples(n, 3.0))]
    files = {
        "EDA/1_EDA.csv": columns_2019({"100083": one, "1_110414": holes, "200440": ends}, n),
        "EDA/7_EDA.csv": columns_2019({"100083": [""] * n, "110414": ["0.25"] * n}, n),
        "EDA/10_EDA.csv": columns_2019(
            {"200440": samples(1000, 5.0), "110414": samples(1000)}, 1000
        ),
        "EDA/999_EDA.csv": columns_2019({"100083": one}, n),
        "annotations/static_annotations.csv": "musicId,Arousal(mean),Valence(mean)\n"
        + "".join(f"{song},{a},{v}\n" for song, (a, v) in LABELS_2019.items()),
        "metadata.csv": "musicId,fileName\n",
        **(more or {}),
    }
    if music is not None:
        files["features/static_features.csv"] = pmemo_music([1, 7, 10, 999], music)
    return write(root, files)


@pytest.fixture
def pmemo_2019(tmp_path, music_names):
    return write_pmemo_2019(tmp_path / "PMEmo2019", music=music_names)


def test_pmemo_2019_is_read_as_written(pmemo_2019):
    with pytest.warns(UserWarning, match="2 of 5 trials are shorter than the window"):
        study = load_pmemo(pmemo_2019, allow_partial=True)
    assert study.version == 2019
    assert study.rating_level == "song"
    assert study.sampling_rate == 50
    assert study.rating_range == (0, 1)
    keys = study.trials[["subject", "stimulus", "trial"]].to_numpy().tolist()
    assert keys == [["100083", "1", 0], ["110414", "1", 0], ["200440", "1", 0]]
    assert {eda.shape for eda in study.trials["eda"]} == {(1250,)}
    assert [eda[1] for eda in study.trials["eda"]] == [1.001, 2.001, 3.001]
    assert study.trials["eda"][0].dtype == np.float64
    assert study.ratings.to_numpy().tolist() == [[0.4, 0.3]] * 3
    assert list(study.ratings) == ["valence", "arousal"]
    assert study.targets["arousal"].tolist() == [0.3] * 3
    assert study.units == {"eda": "not documented"}


def test_faults_of_pmemo_are_left_out_or_masked_and_reported(pmemo_2019):
    study = load_pmemo(pmemo_2019, window=None, allow_partial=True)
    gone = study.report["left_out"]
    assert gone[["subject", "stimulus", "reason"]].to_numpy().tolist() == [
        ["100083", "7", "no samples"],
        ["100083", "999", "song without ratings"],
        ["110414", "7", "constant"],
    ]
    assert study.report["unlabelled_songs"] == ["999"]
    assert study.report["trials"] == 8
    assert study.report["trials_kept"] == len(study.trials) == 5
    assert study.report["masked_samples"] == 1
    holes = study.trials.query("subject == '110414' and stimulus == '1'")["eda"].iloc[0]
    assert np.flatnonzero(np.isnan(holes)).tolist() == [5]
    ends = study.trials.query("subject == '200440' and stimulus == '1'").iloc[0]
    assert (len(ends["eda"]), ends["duration"]) == (1400, 28.0)


def test_music_of_pmemo_comes_from_its_own_file(pmemo_2019, music_names):
    study = load_pmemo(pmemo_2019, window=None, allow_partial=True)
    assert study.music.shape == (2, 6373)
    assert study.music.index.tolist() == ["1", "10"]
    assert study.music.index.name == "stimulus"
    assert list(study.music) == music_names
    assert (study.music.dtypes == np.float32).all()
    assert study.music.loc["10"].tolist()[:3] == [10.0, 10.125, 10.25]
    assert_same(study, load_pmemo(pmemo_2019, window=None, allow_partial=True))
    shutil.rmtree(pmemo_2019 / "features")
    with pytest.warns(UserWarning, match=r"static_features\.csv is not in"):
        assert load_pmemo(pmemo_2019, window=None, allow_partial=True).music is None


def test_music_of_pmemo_that_lacks_songs_or_columns_is_named(pmemo_2019, music_names):
    file = {"features/static_features.csv": pmemo_music([1], music_names)}
    (said,) = problems_of(load_pmemo, write(pmemo_2019, file), window=None, allow_partial=True)
    assert re.search(r"^features/static_features\.csv lacks features of 1 songs: 10\.", said)
    file = {"features/static_features.csv": pmemo_music([1, 7, 10], music_names[1:])}
    (said,) = problems_of(load_pmemo, write(pmemo_2019, file), window=None, allow_partial=True)
    assert re.search(r"^features/static_features\.csv: its columns are not PMEmo's 6374", said)


def listeners_2018(ratings):
    """A file of annotations: the listener, the rating of the whole, and ratings over time."""
    rows = "".join(f"{who},{rating},{rating},0.5\n" for who, rating in ratings.items())
    return "annotatorID,static,15.0,15.5\n" + rows


def trace_2018(n, start):
    rows = zip(samples(n, 0, 0.02), samples(n, start), strict=True)
    return "time(s),EDA(microsiemens)\n" + "".join(f"{t},{one}\n" for t, one in rows)


def write_pmemo_2018(root, *, more=None):
    """Two songs with ratings, and song 999 without; 300001 rated arousal alone, 300002 nothing."""
    files = {}
    ratings = {
        (1, "A"): {"100177": 0.25, "200378": 0.5, "300001": 0.125},
        (1, "V"): {"100177": 0.75, "200378": 1.0},
        (4, "A"): {"100177": 0.0, "200378.0": 0.875},
        (4, "V"): {"200378": 0.375, "100177": 0.625},
    }
    for (song, letter), given in ratings.items():
        folder = {"A": "Arousal", "V": "Valence"}[letter]
        files[f"Annotations/{folder}/{song}-{letter}.csv"] = listeners_2018(given)
    heard = {1: ["100177", "200378", "300001"], 4: ["100177", "200378", "300002"], 999: ["100177"]}
    for letter, folder in (("A", "Arousal"), ("V", "Valence")):
        for song, listeners in heard.items():
            for place, who in enumerate(listeners):
                start = song + place / 10 + (50 if letter == "V" else 0)
                files[f"EDA/{folder}/{song}_{who}_{letter}.csv"] = trace_2018(1300, start)
    return write(root, {**files, "A_static.csv": "musicId,mean_A,std_A\n", **(more or {})})


@pytest.fixture
def pmemo_2018(tmp_path, monkeypatch):
    monkeypatch.setattr(_pmemo, "_read_music", lambda *args: pd.DataFrame())
    return write_pmemo_2018(tmp_path / "PMEmo2018")


def test_pmemo_2018_has_each_listeners_own_ratings(pmemo_2018):
    study = load_pmemo(pmemo_2018, allow_partial=True)
    assert study.version == 2018
    assert study.rating_level == "listener"
    rows = study.trials.assign(valence=study.ratings["valence"], arousal=study.ratings["arousal"])
    told = rows[["subject", "stimulus", "trial", "listening", "valence", "arousal"]]
    assert told.to_numpy().tolist() == [
        ["100177", "1", 0, "A", 0.75, 0.25],
        ["100177", "4", 0, "A", 0.625, 0.0],
        ["200378", "1", 0, "A", 1.0, 0.5],
        ["200378", "4", 0, "A", 0.375, 0.875],
    ]
    assert [eda[1] for eda in study.trials["eda"]] == [1.001, 4.001, 1.101, 4.101]
    assert {len(eda) for eda in study.trials["eda"]} == {1250}
    assert study.units == {"eda": "microsiemens"}
    gone = study.report["left_out"]
    assert gone[["subject", "stimulus", "reason"]].to_numpy().tolist() == [
        ["100177", "999", "song without ratings"],
        ["300001", "1", "no rating of valence by this listener"],
        ["300002", "4", "no rating of valence and arousal by this listener"],
    ]


def test_pmemo_2018_has_a_recording_for_each_listening(pmemo_2018):
    valence = load_pmemo(pmemo_2018, listening="V", allow_partial=True)
    assert [eda[0] for eda in valence.trials["eda"]] == [51, 54, 51.1, 54.1]
    assert set(valence.trials["listening"]) == {"V"}
    both = load_pmemo(pmemo_2018, listening="both", allow_partial=True)
    assert len(both.trials) == 8
    assert both.trials["listening"].tolist() == ["A", "V"] * 4
    assert both.trials["trial"].tolist() == [0, 1] * 4
    assert not both.trials.duplicated(["subject", "stimulus", "trial"]).any()
    assert_same(both, load_pmemo(pmemo_2018, listening="both", allow_partial=True))


DYNAMIC_2019 = (
    "musicId,frameTime,Arousal(mean),Valence(mean)\n"
    "1,15.0,0.25,0.5\n1,15.5,0.375,0.625\n1,16.5,0.5,0.75\n"
    "10,15.5,0.1,0.2\n10,16.0,0.3,0.4\n"
)


def pmemo_frames(songs, n_frames=60):
    """dynamic_features.csv: the first feature is the time, the second the song, others are 0."""
    found = MusicFeatureExtractor("IS13", level="lld").get_feature_names_out()
    names = [name.replace("mfcc_", "pcm_fftMag_mfcc_") for name in found]
    lines = [",".join(["musicId", "frameTime", *names, "class"])]
    for song in songs:
        for frame in range(n_frames):
            zeros = ["0"] * (len(names) - 2)
            time = str(frame / 2)
            lines.append(",".join([str(song), time, time, str(song), *zeros, "?"]))
    return "\n".join(lines) + "\n"


@pytest.fixture
def pmemo_curves(pmemo_2019):
    """The release of 2019 with ratings and music over time."""
    files = {
        "annotations/dynamic_annotations.csv": DYNAMIC_2019,
        "features/dynamic_features.csv": pmemo_frames([10, 999, 1, 7]),
    }
    return write(pmemo_2019, files)


def test_pmemo_2019_has_the_curve_of_the_song_as_target(pmemo_curves):
    settings = {"window": None, "allow_partial": True, "dynamic": True}
    study = load_pmemo(pmemo_curves, **settings)
    assert (study.label_rate, study.first_label, study.label_delay) == (2.0, 15.0, 0.0)
    assert study.ratings["arousal"].tolist() == [0.3, 0.3, 0.6, 0.3, 0.6]
    for row, song in enumerate(study.trials["stimulus"]):
        arousal = {"1": [0.25, 0.375, np.nan, 0.5], "10": [np.nan, 0.1, 0.3]}[song]
        valence = {"1": [0.5, 0.625, np.nan, 0.75], "10": [np.nan, 0.2, 0.4]}[song]
        assert_array_equal(study.targets["arousal"][row], arousal)
        assert_array_equal(study.targets["valence"][row], valence)
    assert "dynamic_arousal" not in study.trials
    assert_same(study, load_pmemo(pmemo_curves, **settings))
    plain = load_pmemo(pmemo_curves, window=None, allow_partial=True)
    assert plain.targets["arousal"].tolist() == plain.ratings["arousal"].tolist()
    assert "label_rate" not in plain


def test_music_over_time_of_pmemo_is_read_with_the_curves(pmemo_curves):
    settings = {"window": None, "allow_partial": True, "dynamic": True}
    study = load_pmemo(pmemo_curves, **settings)
    steps = study.music_steps
    assert steps.index.names == ["stimulus", "time"]
    assert steps.shape == (2 * 60, 260)
    # Each frame describes the second after its time in the file.
    assert_array_equal(steps.loc["1"].index, np.arange(60) / 2 + 1)
    first, second = steps.columns[:2]
    assert_array_equal(steps.loc["10"][first], np.arange(60) / 2)
    assert set(steps.loc["10"][second]) == {10.0}
    assert_same(study, load_pmemo(pmemo_curves, **settings))
    aligner = StepAligner(
        study.label_rate,
        sampling_rate=study.sampling_rate,
        music=steps,
        first_label=study.first_label,
        delay=study.label_delay,
    )
    n_steps = [len(series) for series in study.targets["arousal"]]
    aligned = aligner.fit_transform(study.trials.assign(n_steps=n_steps))
    # The label at 15 s gets the frame that ends then.
    assert [cell[0, 0] for cell in aligned["music"]] == [14.0] * len(n_steps)
    assert [len(cell) for cell in aligned["music"]] == n_steps
    window = load_pmemo(pmemo_curves, **settings | {"window": (10.0, 20.0)})
    assert_array_equal(window.music_steps.loc["1"].index, np.arange(60) / 2 - 9)
    assert "music_steps" not in load_pmemo(pmemo_curves, window=None, allow_partial=True)
    table = evaluate(
        ["ridge-music", "ridge"],
        Study(**{**study, "development": ()}),
        "arousal",
        n_splits=2,
        n_jobs=1,
    )
    rows = table.set_index("pipeline").loc[["ridge-music", "ridge"]]
    assert rows["n_failed"].tolist() == [0, 0]


def test_music_over_time_of_pmemo_that_is_missing_or_wrong_is_named(pmemo_curves):
    (pmemo_curves / "features/dynamic_features.csv").unlink()
    settings = {"window": None, "allow_partial": True, "dynamic": True}
    with pytest.warns(
        UserWarning, match=r"dynamic_features\.csv is not in .*: music_steps is None"
    ):
        assert load_pmemo(pmemo_curves, **settings).music_steps is None
    write(pmemo_curves, {"features/dynamic_features.csv": pmemo_frames([1])})
    (said,) = problems_of(load_pmemo, pmemo_curves, **settings)
    assert re.search(r"^features/dynamic_features\.csv lacks features of 1 songs: 10\.", said)
    cut = pmemo_frames([1, 10]).replace("frameTime", "frame", 1)
    write(pmemo_curves, {"features/dynamic_features.csv": cut})
    (said,) = problems_of(load_pmemo, pmemo_curves, **settings)
    assert re.search(r"^features/dynamic_features\.csv: its columns are not PMEmo's", said)


def test_window_of_pmemo_is_cut_out_of_the_curve_too(pmemo_curves):
    settings = {"allow_partial": True, "dynamic": True}
    study = load_pmemo(pmemo_curves, window=(10.25, 16.5), **settings)
    assert study.first_label == 4.75
    assert_array_equal(study.targets["arousal"][0], [0.25, 0.375, np.nan])
    study = load_pmemo(pmemo_curves, window=(15.2, 20.0), **settings)
    assert_allclose(study.first_label, 0.3)
    assert_array_equal(study.targets["arousal"][0], [0.375, np.nan, 0.5])
    with pytest.raises(ValueError, match=r"holds no label of any trial: the labels start at 15 s"):
        load_pmemo(pmemo_curves, window=(0.0, 10.0), **settings)
    with (
        pytest.warns(UserWarning, match="shorter than the window 'end'"),
        pytest.raises(ValueError, match="window='end' starts at another time"),
    ):
        load_pmemo(pmemo_curves, window="end", **settings)


def test_curves_of_pmemo_that_are_missing_or_wrong_are_named(pmemo_2019):
    settings = {"window": None, "allow_partial": True, "dynamic": True}
    (said,) = problems_of(load_pmemo, pmemo_2019, **settings)
    assert "annotations/dynamic_annotations.csv, the ratings over time, is missing" in said
    for text, message in [
        ("1,15.0,0.3,0.4\n1,15.0,0.3,0.4\n", r"repeats a frame of song 1 in line 3"),
        ("1,15.2,0.3,0.4\n", r"the frame time '15\.2' in line 2, but a multiple of 0\.5 s"),
        ("1,soon,0.3,0.4\n", r"the frame time 'soon' in line 2"),
        ("1,15.0,1.3,0.4\n", r"Arousal\(mean\) in line 2"),
    ]:
        header = DYNAMIC_2019.partition("\n")[0] + "\n"
        write(pmemo_2019, {"annotations/dynamic_annotations.csv": header + text})
        (said,) = problems_of(load_pmemo, pmemo_2019, **settings)
        assert re.search(message, said)


def test_pmemo_2018_has_each_listeners_own_curve(pmemo_2018):
    settings = {"window": None, "allow_partial": True, "dynamic": True}
    study = load_pmemo(pmemo_2018, **settings)
    # The fixture repeats the rating of the whole at 15 s, and adds 0.5 at 15.5 s.
    for name in ("arousal", "valence"):
        for series, rating in zip(study.targets[name], study.ratings[name], strict=True):
            assert series.tolist() == [rating, 0.5]
    file = {"Annotations/Arousal/1-A.csv": "id,static,15.0,16.0\n100177,0.5,0.5,\n"}
    (said,) = problems_of(load_pmemo, write(pmemo_2018, file), **settings)
    assert re.search(r"Arousal/1-A\.csv has the time 16\.0 s in its header out of order", said)
    file = {"Annotations/Arousal/1-A.csv": "id,static,a,b\n100177,0.5,0.5,\n200378,0.5,,0.25\n"}
    study = load_pmemo(write(pmemo_2018, file), **settings)
    found = study.targets["arousal"][study.trials["stimulus"] == "1"].tolist()
    assert_array_equal(found[0], [0.5])
    assert_array_equal(found[1], [np.nan, 0.25])


def test_pmemo_2019_has_no_second_listening(pmemo_2019):
    for listening in ("V", "both"):
        with pytest.raises(
            DatasetError, match=r"listening=.*2018, which has one for each listening"
        ):
            load_pmemo(pmemo_2019, listening=listening, allow_partial=True)


def test_release_of_pmemo_is_found_or_chosen(pmemo_2018, tmp_path):
    write_pmemo_2019(pmemo_2018.parent / "PMEmo2019")
    both = pmemo_2018.parent
    settings = {"window": None, "allow_partial": True}
    with pytest.raises(DatasetError, match="holds both releases of PMEmo: pass version=2018"):
        load_pmemo(both, **settings)
    assert load_pmemo(both, version=2018, **settings).version == 2018
    assert load_pmemo(both, version=2019, **settings).version == 2019
    with pytest.raises(DatasetError, match=r"version=2019: .* holds the release of 2018"):
        load_pmemo(pmemo_2018, version=2019, **settings)


def test_one_error_says_all_that_is_wrong_with_pmemo_2019(pmemo_2019):
    n = 1500
    good = columns_2019({"100083": samples(n)}, n)
    write(
        pmemo_2019,
        {
            "EDA/1_EDA.csv": good[: len(good) - 8],
            "EDA/2_EDA.csv": columns_2019({"100083": samples(n), "x100083": samples(n)}, n),
            "EDA/3_EDA.csv": columns_2019({"somebody": samples(n)}, n),
            "EDA/4_EDA.csv": columns_2019({"100083": samples(n)}, n, rate=25),
            "EDA/5_EDA.csv": good.replace("0.0030", "off"),
            "EDA/6_EDA.csv": good.replace("time(s)", "t"),
            "EDA/8_EDA.csv": "time(s),100083\n",
            "EDA/9_EDA.csv": b"\xff\xfe\x00",
            "EDA/12-EDA.csv": good,
            "annotations/static_annotations.csv": "musicId,Arousal(mean),Valence(mean)\n"
            "1,0.3,1.2\n7,x,0.5\n10,0.5,0.5\n10,0.5,0.5\n11,0.1,0.1\n",
        },
    )
    said = problems_of(load_pmemo, pmemo_2019)
    for pattern in (
        r"11 of 794 songs have recordings.*allow_partial=True",
        r"EDA/12-EDA\.csv: these are not named like recordings of PMEmo",
        r"EDA/1_EDA\.csv has 1 fields in line 1501, but the header has 2\. The file is truncated",
        r"EDA/2_EDA\.csv has duplicate listeners: 100083",
        r"EDA/3_EDA\.csv has columns that do not name a listener.*somebody",
        r"EDA/4_EDA\.csv has samples 0\.04 s apart, but 50 Hz",
        r"EDA/5_EDA\.csv needs a number in line 5, column '100083', got 'off'",
        r"EDA/6_EDA\.csv has the first column 't', but 'time\(s\)' is expected",
        r"EDA/8_EDA\.csv has no samples",
        r"EDA/9_EDA\.csv is not a text file",
        r"static_annotations\.csv has 1\.2 as Valence\(mean\) of song 1, outside 0 to 1",
        r"static_annotations\.csv needs a finite number as Arousal\(mean\) of song 7, got 'x'",
        r"static_annotations\.csv repeats the song 10 in line 5",
        r"2 of 767 songs have ratings",
        r"1 songs with ratings have no recording: 11\.",
    ):
        assert sum(bool(re.search(pattern, line)) for line in said) == 1, (pattern, said)
    assert len(said) == 15


def test_renamed_column_of_pmemo_2019_is_named(pmemo_2019):
    file = {"annotations/static_annotations.csv": "musicId,Arousal,Valence(mean)\n1,0.5,0.5\n"}
    said = problems_of(load_pmemo, write(pmemo_2019, file), allow_partial=True)
    assert "lacks the columns ['Arousal(mean)']" in said[0]
    (pmemo_2019 / "annotations" / "static_annotations.csv").unlink()
    said = problems_of(load_pmemo, pmemo_2019, allow_partial=True)
    assert "static_annotations.csv, the ratings of all songs, is missing" in said[0]


def test_one_error_says_all_that_is_wrong_with_pmemo_2018(pmemo_2018):
    shutil.rmtree(pmemo_2018 / "Annotations" / "Valence")
    good = trace_2018(1300, 1)
    write(
        pmemo_2018,
        {
            "EDA/Arousal/1_100177_A.csv": good.replace("EDA(microsiemens)", "signal"),
            "EDA/Arousal/1_200378_A.csv": good[:-9],
            "EDA/Arousal/4_100177_A.csv": good.replace(",1.0020\n", ",\n,1.0020\n"),
            "Annotations/Arousal/1-A.csv": listeners_2018({"100177": 1.5, "200378": ""}),
            "Annotations/Arousal/4-A.csv": listeners_2018({"me": 0.5, "100177": 0.5})
            + "100177,0.5,0.5,0.5\n",
        },
    )
    said = problems_of(load_pmemo, pmemo_2018, allow_partial=True)
    for pattern in (
        r"Annotations/Valence/\*-V\.csv are missing",
        r"1_100177_A\.csv has 0 columns EDA…, but needs exactly one",
        r"1_200378_A\.csv has 1 fields in line 1301.* truncated",
        r"1-A\.csv has 1\.5 as the rating of 100177, outside 0 to 1",
        r"1-A\.csv needs a finite number as the rating of 200378",
        r"4-A\.csv lacks a listener or a rating in line 2",
        r"4-A\.csv has the listener 100177 twice",
    ):
        assert sum(bool(re.search(pattern, line)) for line in said) == 1, (pattern, said)


def site_samples():
    if not SITE_SAMPLES.is_dir():
        pytest.skip("the samples of PMEmo's site are not beside this checkout")
    songs = [json.loads(file.read_text()) for file in sorted(SITE_SAMPLES.glob("*.eda_only.json"))]
    return songs, json.loads((SITE_SAMPLES / "scatter.json").read_text())


def test_recordings_and_ratings_of_the_site_come_out_as_they_are(tmp_path):
    # The site has 4 songs of 4 listeners, thinned out, as JSON, and the ratings of all 767 songs.
    # Brought back to 50 Hz and into the 2019 release's files, they are the corpus' own numbers.
    songs, rated = site_samples()
    files = {}
    for song in songs:
        eda = song["eda"]
        times = np.arange(round(eda["t"][-1] * 50) + 1) / 50
        traces = {
            one["id"]: [f"{x:.4f}" for x in np.interp(times, eda["t"], one["values"])]
            for one in eda["subjects"]
        }
        files[f"EDA/{song['id']}_EDA.csv"] = columns_2019(traces, len(times))
    files["annotations/static_annotations.csv"] = "musicId,Arousal(mean),Valence(mean)\n" + "".join(
        f"{one['id']},{one['a']},{one['v']}\n" for one in rated
    )
    with pytest.warns(UserWarning, match="music is None"):
        study = load_pmemo(write(tmp_path, files), window=None, allow_partial=True)
    assert len(study.trials) == 16
    assert study.report["songs"] == 4
    assert len(study.report["songs_without_recording"]) == 763
    for song in songs:
        trials = study.trials[study.trials["stimulus"] == str(song["id"])]
        assert set(trials["subject"]) == {one["id"] for one in song["eda"]["subjects"]}
        ratings = study.ratings.loc[trials.index].drop_duplicates().to_numpy().tolist()
        assert ratings == [[song["valence_mean"], song["arousal_mean"]]]
        for one in song["eda"]["subjects"]:
            eda = trials.set_index("subject").loc[one["id"], "eda"]
            at = np.round(np.array(song["eda"]["t"]) * 50).astype(int)
            np.testing.assert_allclose(eda[at], one["values"], atol=1e-3)


# What holds of all


@pytest.mark.parametrize(
    ("load", "settings", "pattern"),
    [
        (load_deap, {"signals": "eda"}, "signals"),
        (
            load_deap,
            {"signals": ("eda", "ecg")},
            r"signals.* unknown signal 'ecg'.*did you mean 'e.g'",
        ),
        (load_deap, {"signals": ("eeg",)}, "signals.*must name 'eda'"),
        (load_deap, {"units": "mS"}, "units"),
        (load_amigos, {"videos": "middling"}, "videos"),
        (load_amigos, {"nan_subjects": "maybe"}, "nan_subjects"),
        (load_pmemo, {"version": 2020}, "version"),
        (load_pmemo, {"listening": "a"}, "listening"),
    ],
)
def test_bad_choice_is_one_error_that_names_it(load, settings, pattern):
    with pytest.raises(ValueError, match=pattern):
        load(**settings)


def test_development_people_of_pmemo_depend_on_nobody_else(pmemo_2018):
    study = load_pmemo(pmemo_2018, allow_partial=True)
    people = {"100177", "200378", "300001", "300002"}
    assert set(study.development) == {one for one in people if _pmemo.is_development(one)}
    many = [_pmemo.is_development(f"{n:06d}") for n in range(100_000, 102_000)]
    assert 0.45 < np.mean(many) < 0.55


def test_people_can_be_selected(deap, amigos):
    reported = select_people(amigos, "evaluation").trials["subject"].unique()
    assert len(reported) == 20
    assert not set(reported) & set(_amigos.DEVELOPMENT)
    assert select_people(deap, "evaluation").trials["subject"].nunique() == 2
    with pytest.raises(ValueError, match="no development people"):
        select_people(deap, "development")


# The comparison, end to end


def compare(name, path, tmp_path, capsys, *more):
    pipelines = ["--pipelines", "logistic-eda", "--folds", "2", "--jobs", "1", *more]
    code = main(["compare", name, "--path", str(path), "--out", str(tmp_path / "out"), *pipelines])
    printed = capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / name / "arousal" / "subject" / "table.csv")
    assert set(table["pipeline"]) >= {"majority", "stimulus-prior", "logistic-eda"}
    assert (table["n_failed"] == 0).all()
    return code, printed, table


def reproduce(table, name, path, tmp_path, capsys, *more):
    """Give the cells of the rows that one of the paper's tables has of a corpus."""
    place = ["--path", str(path), "--out", str(tmp_path / "out")]
    assert main(["reproduce", table, name, *place, *more]) == 0
    lines = [line.strip("|").split("|") for line in capsys.readouterr().out.splitlines()]
    return [[cell.strip() for cell in cells] for cells in lines if len(cells) > 1]


def check_tables_of_ratings(place, tmp_path, capsys, n_trials, arousal, correlation):
    """The published numbers stand beside those of the generated fixture."""
    name, path = place
    row = reproduce("table1", name, path, tmp_path, capsys)[2]
    assert (row[0].lower(), row[1], row[3], row[5]) == (name, "Arousal", *arousal)
    assert sum(int(row[column].split()[0]) for column in (2, 4)) == n_trials
    row = reproduce("table2", name, path, tmp_path, capsys)[2]
    assert (row[2], row[4]) == (str(n_trials), correlation)


def test_deap_is_compared(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(_deap, "BASELINES", {704: 384})
    rng = np.random.default_rng(0)
    files = {"metadata_csv/participant_ratings.csv": deap_table(range(1, 33))}
    for number in range(1, 33):
        arrays = deap_arrays(number, 704, np.float32, 384)
        arrays["data"][:, 36] += 50 * np.cumsum(rng.normal(size=(40, 704)), axis=1)
        files[f"data_preprocessed_python/s{number:02d}.dat"] = python2_pickle(arrays)
    place = zipped(tmp_path / "deap.zip", files)
    del files
    code, printed, table = compare("deap", place, tmp_path, capsys, "--target", "arousal")
    assert code == 0
    assert (
        "deap, arousal (by each person's own threshold): 16 evaluation people, 640 trials"
        in printed
    )
    assert "trial-order" in set(table["pipeline"])
    published = ("680 (53.1 %)", "600 (46.9 %)"), "0.15"
    check_tables_of_ratings(("deap", place), tmp_path, capsys, 1280, *published)


def test_masked_samples_do_not_end_a_comparison(whole_amigos, tmp_path, capsys):
    root = shutil.copytree(whole_amigos, tmp_path / "amigos")
    cell = amigos_cells(1, 640 + 3200)["joined_data"][0, 0]
    cell[-40:-20, 16] = 0
    place = root / "Data_Preprocessed_P01" / "Data_Preprocessed_P01.mat"
    amigos_file(place, 1, 640 + 3200, changes={("joined_data", 0): cell})
    assert load_amigos(root).report["masked_samples"] == 20
    arguments = ["--target", "arousal", "--epochs", "1", "--pipelines", "rtcan-eda"]
    code, _, table = compare("amigos", root, tmp_path, capsys, *arguments, "logistic-eda")
    assert code == 0
    assert "rtcan-eda" in set(table["pipeline"])


def test_pmemo_2019_cannot_be_relabelled_by_listener_and_says_which_can(pmemo_2019, capsys):
    study = load_pmemo(pmemo_2019, window=None, allow_partial=True)
    few = select_people(study, "all")
    for ratings in (study.ratings, few.ratings.iloc[:3], study.ratings.reset_index(drop=True)):
        with pytest.raises(ValueError, match=r"2019 release .* load_pmemo\(version=2018\)"):
            SubjectThresholdRelabeler().fit(ratings, subject=["a"] * len(ratings))
    labels = SubjectThresholdRelabeler(threshold=0.5).fit_relabel(study.ratings)
    assert labels.tolist() == (study.ratings["arousal"] > 0.5).astype(int).tolist()


def test_amigos_is_compared(whole_amigos, tmp_path, capsys):
    code, printed, _ = compare("amigos", whole_amigos, tmp_path, capsys, "--target", "arousal")
    assert code == 0
    assert "16 evaluation people" not in printed
    assert "20 evaluation people, 320 trials" in printed
    published = ("443 (56.2 %)", "345 (43.3 %)"), "0.56"
    check_tables_of_ratings(("amigos", whole_amigos), tmp_path, capsys, 640, *published)
    quick = ("--folds", "2", "--epochs", "1", "--jobs", "1")
    rows = {
        cells[0]: cells[1:]
        for cells in reproduce("table5", "amigos", whole_amigos, tmp_path, capsys, *quick)
    }
    assert len(rows["A: Ave-Acc"]) == len(rows["A: Ave-Acc, published (AMIGOS)"]) == 7


def test_pmemo_is_compared(tmp_path, capsys, monkeypatch, music_names):
    # All 794 songs and 767 with ratings, by few people; each release.
    monkeypatch.setattr(_pmemo, "_read_music", lambda *args: pd.DataFrame())
    people = [f"{100_000 + n}" for n in range(1, 11)]
    rng = np.random.default_rng(0)
    times = samples(1250, 0, 0.02)
    files = {}
    for song in range(1, 795):
        who = [people[(song + shift) % 10] for shift in (0, 3)]
        for person in who:
            # No recording is there twice, also not nearly: the comparison would refuse it.
            walk = np.cumsum(rng.normal(size=1250)) / 50 + 5
            lines = (f"{t},{x:.4f}\n" for t, x in zip(times, walk, strict=True))
            trace = "time(s),EDA(microsiemens)\n" + "".join(lines)
            files[f"PMEmo/EDA/Arousal/{song}_{person}_A.csv"] = trace
        if song <= 767:
            for letter, folder in (("A", "Arousal"), ("V", "Valence")):
                given = {person: rng.integers(0, 9) / 8 for person in who}
                files[f"PMEmo/Annotations/{folder}/{song}-{letter}.csv"] = listeners_2018(given)
    place = zipped(tmp_path / "PMEmo2018.zip", files)
    code, printed, table = compare("pmemo", place, tmp_path, capsys, "--target", "arousal")
    assert code == 0
    n_reported = sum(not _pmemo.is_development(person) for person in people)
    assert f"{n_reported} evaluation people" in printed
    assert "trial-order" not in set(table["pipeline"])
    published = ("4520 (58.8 %)", "3170 (41.2 %)"), "0.52"
    check_tables_of_ratings(("pmemo", place), tmp_path, capsys, 1534, *published)
