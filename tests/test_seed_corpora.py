"""SEED-VII, MuSe-CaR and MAHNOB-HCI, read from files written here in the corpora's own formats."""

import re
import shutil
import sys

import numpy as np
import pandas as pd
import pyedflib
import pytest
from numpy.testing import assert_array_equal
from scipy.io import savemat
from test_corpora import (
    assert_patterns,
    assert_same,
    compare,
    problems_of,
    spreadsheet,
    write,
    zipped,
)
from test_corpora import (
    home as home,  # a user without data or cache, for all tests
)

from edaemo.benchmark import STUDIES, EvaluationError, evaluate
from edaemo.cli import main
from edaemo.datasets import (
    DatasetError,
    _mahnob_hci,
    load_mahnob_hci,
    load_muse_car,
    load_seed_vii,
)
from edaemo.evaluation import make_step_model


def contents(root):
    """All files below a folder: path from there → bytes."""
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


# MAHNOB-HCI: recordings as BioSemi writes them, by pyEDFlib

EEG = [
    *("Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1"),
    *("Oz", "Pz", "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2"),
    *("P4", "P8", "PO4", "O2"),
]
CHANNELS = [
    *EEG,
    *(f"EXG{n}" for n in range(1, 9)),
    *("GSR1", "GSR2", "Erg1", "Erg2", "Resp", "Temp", "Status"),
]
UNITS = {"GSR1": "nS", "GSR2": "nS", "Temp": "C", "Status": "Boolean"}
BEFORE, FILM, AFTER = 2, 3, 1  # seconds; 30, 34 to 117, and 30 in the corpus


def bdf(path, signals, units=None, rate=256):
    """Write channels with whole-numbered samples, as 24-bit integers that mean what they say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = pyedflib.EdfWriter(str(path), len(signals), file_type=pyedflib.FILETYPE_BDF)
    writer.setSignalHeaders(
        [
            {
                "label": label,
                "dimension": {**UNITS, **(units or {})}.get(label, "uV"),
                "sample_frequency": rate,
                **{"physical_min": -8388608, "physical_max": 8388607},
                **{"digital_min": -8388608, "digital_max": 8388607},
                **{"transducer": "", "prefilter": ""},
            }
            for label in signals
        ]
    )
    writer.writeSamples([np.asarray(one, dtype=np.float64) for one in signals.values()])
    writer.close()


def status(n_samples, triggers, rest=0):
    """The channel of triggers: some samples of 16 at each second of `triggers`."""
    values = np.full(n_samples, rest)
    for second in triggers:
        values[256 * second : 256 * second + 20] = rest + 16
    return values


def gsr(person, trial, n_samples):
    return 3000 + 500 * person + 40 * trial + np.arange(n_samples)


def recording(person, trial, *, rest=0, triggers=(BEFORE, BEFORE + FILM)):
    """The channels of a recording; all but three hold their own number."""
    n_samples = 256 * (BEFORE + FILM + AFTER)
    signals = {label: np.full(n_samples, k) for k, label in enumerate(CHANNELS)}
    # GSR1 counts from the start of the film on.
    signals["GSR1"] = gsr(person, trial, n_samples) - 256 * BEFORE
    signals["Status"] = status(n_samples, triggers, rest)
    return signals


def session_xml(person, trial, **attributes):
    """A session.xml; ratings say person and trial. An attribute that is None is left out."""
    given = {
        **{"sessionId": 40 * person + 2 * trial, "date": "2009/07/13", "time": "10:25:18"},
        **{"experimentType": "1", "isStim": "1", "feltEmo": (0, 4, 12)[trial % 3]},
        **{"feltArsl": trial % 9 + 1, "feltVlnc": (person + 2 * trial) % 9 + 1},
        **{"feltCtrl": 5, "feltPred": (trial + 4) % 9 + 1, "cutNr": 2 * trial},
        **{"cutLenSec": f"{FILM}.0", "vidRate": "60.9708", "mediaFile": f"{100 - trial}.AVI"},
        **attributes,
    }
    said = " ".join(f'{name}="{value}"' for name, value in given.items() if value is not None)
    return (
        f'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<session {said}>\n'
        f'  <subject id="{person}" gender="F" />\n'
        f'  <track type="Physiological" filename="Part_{person}.bdf" />\n</session>\n'
    )


def session_of(root, person, trial):
    return root / "Sessions" / f"{40 * person + 2 * trial}"


def mahnob_session(root, person, trial, signals=None, units=None, **attributes):
    folder = session_of(root, person, trial)
    name = f"Part_{person}_S_Trial{trial}_emotion.bdf"
    bdf(folder / name, recording(person, trial) if signals is None else signals, units)
    write(folder, {"session.xml": session_xml(person, trial, **attributes)})
    return folder / name


@pytest.fixture(scope="module")
def written_mahnob(tmp_path_factory):
    """Three people, three films each, all 47 channels, a neutral clip and a session without."""
    root = tmp_path_factory.mktemp("mahnob")
    for person in (1, 2, 30):
        for trial in (1, 2, 11):
            mahnob_session(root, person, trial)
    neutral = root / "Sessions" / "41"
    bdf(neutral / "Part_1_N_Trial1_emotion.bdf", recording(1, 1))
    write(neutral, {"session.xml": session_xml(1, 1, isStim=0)})
    write(root / "Sessions" / "3001", {"session.xml": session_xml(9, 1)})
    return root


@pytest.fixture
def mahnob(written_mahnob, tmp_path):
    return shutil.copytree(written_mahnob, tmp_path / "mahnob")


def load_whole_films(root, **settings):
    return load_mahnob_hci(root, **{"window": None, "allow_partial": True, **settings})


def test_mahnob_has_trials_ratings_and_units_as_written(written_mahnob):
    study = load_whole_films(written_mahnob, cache=False)
    assert len(study.trials) == len(study.ratings) == 9
    assert study.trials["subject"].tolist() == ["1"] * 3 + ["2"] * 3 + ["30"] * 3
    assert study.trials["trial"].tolist() == [1, 2, 11] * 3
    assert study.trials["stimulus"].tolist() == ["99.avi", "98.avi", "89.avi"] * 3
    assert study.trials["session"].tolist()[:3] == ["42", "44", "62"]
    assert set(study.trials["duration"]) == {3.0}
    assert {eda.shape for eda in study.trials["eda"]} == {(768,)}
    assert {eda.dtype for eda in study.trials["eda"]} == {np.dtype(np.float64)}
    # 3000 + 500 * 1 + 40 * 1 nS at the trigger, then one more each sample.
    np.testing.assert_allclose(study.trials["eda"][0][:3], [3.54, 3.541, 3.542], rtol=1e-12)
    for row in study.trials.itertuples():
        expected = gsr(int(row.subject), row.trial, 768) / 1000
        np.testing.assert_allclose(row.eda, expected, rtol=1e-12)
    assert study.ratings.iloc[1].to_dict() == {
        "valence": 6.0,
        "arousal": 3.0,
        "control": 5.0,
        "predictability": 7.0,
        "emotion": "anxiety",
    }
    assert study.ratings["emotion"].tolist()[:3] == ["joy", "anxiety", "anxiety"]
    assert study.sampling_rate == 256
    assert study.rating_range == (1, 9)
    assert study.units == {"eda": "microsiemens"}
    assert study.channels == {"eda": ("GSR1",)}
    assert study.targets["arousal"].equals(study.ratings["arousal"])


def test_mahnob_report_says_what_was_read(written_mahnob):
    report = load_whole_films(written_mahnob, cache=False).report
    assert (report["people"], report["films"], report["trials"], report["trials_kept"]) == (
        *(3, 3),
        *(9, 9),
    )
    assert report["recorded_units"] == ["nS"]
    assert report["neutral_recordings"] == 1
    assert report["sessions_without_recording"] == ["3001"]
    expected = [str(n) for n in range(3, 30) if n not in (12, 15, 26)]
    assert report["people_without_recording"] == expected
    assert report["left_out"].empty
    assert report["masked_samples"] == 0


@pytest.mark.parametrize(
    ("unit", "recorded", "expected"),
    [
        ("Ohm", [200_000, 400_000, 0, -7, 8], [5, 2.5, np.nan, np.nan, 125_000]),
        ("nS", [5000, 2500, 0, -7, 8], [5, 2.5, np.nan, np.nan, 0.008]),
        ("uS", [5, 2, 0, -7, 8], [5, 2, np.nan, np.nan, 8]),
    ],
)
def test_unit_of_a_recording_is_what_its_header_says(unit, recorded, expected, tmp_path):
    signals = recording(1, 1)
    signals["GSR1"][256 * BEFORE : 256 * BEFORE + 5] = recorded
    signals["GSR1"][256 * BEFORE - 50 : 256 * BEFORE] = -1  # before the film
    mahnob_session(tmp_path, 1, 1, signals, {"GSR1": unit})
    study = load_whole_films(tmp_path)
    np.testing.assert_allclose(study.trials["eda"][0][:5], expected, rtol=1e-12)
    assert study.report["masked_samples"] == 2
    (masked,) = study.report["masked"].to_dict("records")
    assert masked == {
        **{"subject": "1", "stimulus": "99.avi", "trial": 1},
        **{"n_masked": 2, "n_samples": 768},
    }
    assert load_whole_films(tmp_path, window=(0.25, 2)).report["masked_samples"] == 0
    as_it_is = load_whole_films(tmp_path, units="as_recorded")
    assert as_it_is.trials["eda"][0][:5].tolist() == recorded
    assert as_it_is.units == {"eda": unit}
    assert as_it_is.report["masked_samples"] == 0


def test_recordings_in_two_units_become_one(mahnob):
    signals = recording(2, 2)
    signals["GSR1"][:] = 250_000
    mahnob_session(mahnob, 2, 2, signals, {"GSR1": "Ohm"})
    study = load_whole_films(mahnob)
    assert study.report["recorded_units"] == ["Ohm", "nS"]
    np.testing.assert_allclose(study.trials["eda"][4], 4.0, rtol=1e-12)
    np.testing.assert_allclose(study.trials["eda"][3][0], 4.04, rtol=1e-12)


def test_unit_that_is_neither_resistance_nor_conductance_is_not_guessed(mahnob):
    mahnob_session(mahnob, 2, 2, units={"GSR1": "uV"})
    (found,) = problems_of(load_mahnob_hci, mahnob, allow_partial=True)
    assert re.search(r"GSR1 as \['uV'\].*units='as_recorded'", found)
    study = load_whole_films(mahnob, units="as_recorded")
    np.testing.assert_allclose(study.trials["eda"][4][0], 4080, rtol=1e-9)
    assert study.units == {"eda": "nS or uV"}


def test_mahnob_gives_the_signals_that_are_asked_for(written_mahnob):
    asked = ("temperature", "eeg", "eda", "ecg", "respiration")
    study = load_whole_films(written_mahnob, signals=asked, cache=False)
    row = study.trials.iloc[4]
    assert row["eeg"].shape == (32, 768)
    assert row["eeg"].dtype == np.float32
    np.testing.assert_allclose(row["eeg"][:, 5], np.arange(32), rtol=1e-6)
    assert row["ecg"].shape == (3, 768)
    np.testing.assert_allclose(row["ecg"][:, 0], [32, 33, 34], rtol=1e-6)
    assert (row["respiration"][0], row["temperature"][0]) == (44, 45)
    assert row["temperature"].shape == (768,)
    assert study.units == {
        **{"eda": "microsiemens", "eeg": "uV", "ecg": "uV"},
        **{"respiration": "uV", "temperature": "C"},
    }
    assert study.channels["eeg"] == tuple(EEG)
    cut = load_whole_films(written_mahnob, signals=asked, window=(1, 2.5), cache=False)
    assert cut.trials["eeg"][0].shape == (32, 384)
    np.testing.assert_allclose(cut.trials["eda"][0][0], 3.54 + 0.256, rtol=1e-12)
    with pytest.raises(ValueError, match="must name 'eda'"):
        load_mahnob_hci(written_mahnob, signals=("eeg",))


def test_channels_are_told_by_their_labels_and_not_by_their_places(tmp_path):
    signals = recording(1, 1)
    turned = {label: signals[label] for label in ["Status", *reversed(CHANNELS[:-1])]}
    mahnob_session(tmp_path, 1, 1, turned)
    study = load_whole_films(tmp_path, signals=("eda", "respiration"))
    np.testing.assert_allclose(study.trials["eda"][0], gsr(1, 1, 768) / 1000, rtol=1e-12)
    assert study.trials["respiration"][0][0] == 44


@pytest.mark.parametrize("rest", [3, 0x10000 + 5, -0x700000])
def test_status_may_rest_at_any_value(rest, tmp_path):
    mahnob_session(tmp_path, 1, 1, recording(1, 1, rest=rest))
    (eda,) = load_whole_films(tmp_path).trials["eda"]
    np.testing.assert_allclose(eda, gsr(1, 1, 768) / 1000, rtol=1e-12)


def test_what_the_amplifier_says_of_itself_is_no_trigger(tmp_path):
    signals = recording(1, 1)
    signals["Status"][300] |= 1 << 16  # the start of an epoch
    signals["Status"][400:] |= 1 << 22  # the battery
    mahnob_session(tmp_path, 1, 1, signals)
    (eda,) = load_whole_films(tmp_path).trials["eda"]
    np.testing.assert_allclose(eda, gsr(1, 1, 768) / 1000, rtol=1e-12)


@pytest.mark.parametrize("triggers", [(), (2,), (1, 2, 5)])
def test_film_without_two_triggers_is_left_out(triggers, mahnob):
    mahnob_session(mahnob, 1, 2, recording(1, 2, triggers=triggers))
    study = load_whole_films(mahnob)
    assert len(study.trials) == len(study.ratings) == 8
    (gone,) = study.report["left_out"].to_dict("records")
    assert gone == {
        **{"subject": "1", "stimulus": "98.avi", "trial": 2, "duration": 0.0},
        "reason": "no start and end of the film",
    }
    assert study.report["trials"] == 9


@pytest.mark.parametrize("blank", ["", None])
def test_trial_without_ratings_is_left_out(blank, mahnob):
    nothing = dict.fromkeys(("feltArsl", "feltVlnc", "feltCtrl", "feltPred", "feltEmo"), blank)
    mahnob_session(mahnob, 30, 11, **nothing)
    study = load_whole_films(mahnob)
    assert len(study.trials) == len(study.ratings) == 8
    (gone,) = study.report["left_out"].to_dict("records")
    assert (gone["subject"], gone["trial"], gone["duration"]) == ("30", 11, 3.0)
    assert gone["reason"] == "no self-assessment"
    for trial in (1, 2):
        mahnob_session(mahnob, 30, trial, **nothing)
    (found,) = problems_of(load_mahnob_hci, mahnob, allow_partial=True)
    assert found == "Participant 30 has no ratings at all."


@pytest.mark.parametrize(
    ("attributes", "pattern"),
    [
        ({"feltArsl": 10}, "outside 1 to 9: feltArsl is 10"),
        ({"feltVlnc": 0}, "outside 1 to 9: feltVlnc is 0"),
        ({"feltPred": "x"}, "needs a finite number as feltPred, got 'x'"),
        ({"feltCtrl": None}, "needs a finite number as feltCtrl, got ''"),
        ({"feltEmo": 7}, "'7' as feltEmo"),
        ({"mediaFile": None}, "lacks the attribute mediaFile"),
    ],
)
def test_bad_session_of_mahnob_is_named(attributes, pattern, mahnob):
    mahnob_session(mahnob, 1, 1, **attributes)
    (found,) = problems_of(load_mahnob_hci, mahnob, allow_partial=True)
    assert found.startswith("Sessions/42/session.xml ")
    assert re.search(pattern, found)


def test_emotions_of_mahnob_are_those_of_its_codes(tmp_path):
    # Soleymani et al. (2012): what people pressed, by the code in session.xml.
    names = {
        **{0: "neutral", 1: "anger", 2: "disgust", 3: "fear", 4: "joy", 5: "sadness"},
        **{6: "surprise", 11: "amusement", 12: "anxiety"},
    }
    for trial, code in enumerate(names, start=1):
        mahnob_session(tmp_path, 1, trial, feltEmo=code)
    assert load_whole_films(tmp_path).ratings["emotion"].tolist() == [*names.values()]


def test_two_films_at_one_place_in_the_order_are_an_error(mahnob):
    again = mahnob / "Sessions" / "999"
    shutil.copytree(session_of(mahnob, 1, 2), again)
    write(again, {"session.xml": session_xml(1, 2, mediaFile="other.avi")})
    (found,) = problems_of(load_mahnob_hci, mahnob, allow_partial=True)
    assert re.search(r"Sessions/44/.* are both participant 1's trial 2\. Keep the right", found)


def test_one_error_says_all_that_is_wrong_with_mahnob(mahnob):
    sessions = {(p, t): session_of(mahnob, p, t) for p in (1, 2, 30) for t in (1, 2, 11)}
    name = "Part_{}_S_Trial{}_emotion.bdf"
    content = (sessions[1, 1] / name.format(1, 1)).read_bytes()
    write(sessions[1, 1], {name.format(1, 1): content[:-1000]})
    signals = recording(1, 2)
    bdf(
        sessions[1, 2] / name.format(1, 2),
        {{"GSR1": "GSR"}.get(label, label): one for label, one in signals.items()},
    )
    write(sessions[1, 11], {name.format(1, 11): b"no recording"})
    bdf(sessions[2, 1] / name.format(2, 1), recording(2, 1), rate=512)
    write(sessions[2, 2], {"session.xml": session_xml(1, 2)})  # of somebody else
    write(sessions[2, 11], {"session.xml": session_xml(2, 11)[:90]})
    (sessions[30, 1] / "session.xml").unlink()
    mahnob_session(mahnob, 30, 11, mediaFile="98.avi")  # again the film of trial 2
    shutil.copy(sessions[30, 2] / name.format(30, 2), sessions[30, 2] / name.format(30, 3))
    mahnob_session(mahnob, 31, 1)
    assert_patterns(
        problems_of(load_mahnob_hci, mahnob, window=None),
        [
            r"Sessions/42/Part_1_S_Trial1.* has \d+ bytes, but its header gives \d+ bytes: it may",
            r"Sessions/44/Part_1_S_Trial2.* each of the channels \['GSR1'\] exactly once; it has",
            r"Sessions/62/Part_1_S_Trial11.* is truncated or is not a bdf file",
            r"Sessions/82/Part_2_S_Trial1_.* is not sampled at 256 Hz: .*'GSR1': 512\.0",
            r"Sessions/84/session\.xml names subject '1', but its recording .* of participant 2",
            r"Sessions/102/session\.xml is truncated or is not XML",
            r"Sessions/1202/Part_30_S_Trial1_.* has no session\.xml in its folder",
            r"Trial11_emotion\.bdf and .*Trial2_emotion\.bdf are both participant 30's stimulus 98",
            r"Trial2_emotion\.bdf and .*Trial3_emotion\.bdf belong to the same session: keep the ",
            r"Trial3_emotion\.bdf and .*Trial2_emotion\.bdf are both participant 30's stimulus 98",
            r"Part_31_S_Trial1_emotion\.bdf is not a file of MAHNOB-HCI, which has people 1 to 30",
            r"The participants 3, 4, .* are missing: found 3 of 27 people",
            r"Found only 10 of 527 recordings of films",
        ],
    )


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.05, 0.3, 0.9, 0.9999])
def test_recording_that_is_cut_short_anywhere_is_named(share, tmp_path):
    file = mahnob_session(tmp_path, 1, 1)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    found = problems_of(load_mahnob_hci, tmp_path, allow_partial=True)
    assert re.search(r"Part_1_S_Trial1_emotion\.bdf .*truncated", found[0])


def test_recording_of_another_kind_is_named(tmp_path):
    file = mahnob_session(tmp_path, 1, 1)
    file.write_bytes(b"0" + file.read_bytes()[1:])  # as EDF begins
    found = problems_of(load_mahnob_hci, tmp_path, allow_partial=True)
    assert re.search(r"Part_1_S_Trial1_emotion\.bdf is not a bdf file of BioSemi", found[0])


def test_without_the_extra_one_line_says_what_is_missing(mahnob, monkeypatch, capsys):
    kept = load_whole_films(mahnob)
    monkeypatch.setitem(sys.modules, "mne", None)
    assert_same(load_whole_films(mahnob), kept)  # from the cache
    with pytest.raises(DatasetError, match=r"^Recordings .* pip install edaemo\[bdf\]\.$"):
        load_whole_films(mahnob, cache=False)
    write(session_of(mahnob, 1, 1), {"session.xml": session_xml(1, 1, feltArsl=9)})
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "mahnob-hci", "--path", str(mahnob)])
    said = capsys.readouterr().err
    assert said == "edaemo: error: Recordings (bdf) need MNE: pip install edaemo[bdf].\n"


# 20 films of 24 people; of participants 3, 9 and 16 some are missing.
FILMS = {person: 20 for person in range(1, 31) if person not in (12, 15, 26)} | {
    **{3: 16, 9: 14, 16: 17}
}


@pytest.fixture(scope="module")
def whole_mahnob(tmp_path_factory):
    """All 527 trials, of 26 s; of the channels those alone that are needed."""
    root = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    n_samples = 256 * 28
    for person, n_films in FILMS.items():
        for trial in range(1, n_films + 1):
            drift = np.cumsum(rng.normal(scale=8, size=n_samples)).round()
            signals = {"GSR1": 8000 + drift, "Status": status(n_samples, (1, 27))}
            folder = session_of(root, person, trial)
            bdf(folder / f"Part_{person}_S_Trial{trial}_emotion.bdf", signals)
            write(folder, {"session.xml": session_xml(person, trial)})
    return root


def test_whole_mahnob_has_527_trials_of_27_people(whole_mahnob, tmp_path):
    study = load_mahnob_hci(whole_mahnob)
    assert len(study.trials) == 527
    assert study.trials["subject"].unique().tolist() == [str(person) for person in FILMS]
    assert {eda.shape for eda in study.trials["eda"]} == {(6400,)}
    assert study.report["people_without_recording"] == []
    part = shutil.copytree(whole_mahnob, tmp_path / "part")
    shutil.rmtree(session_of(part, 7, 3))
    (found,) = problems_of(load_mahnob_hci, part)
    assert found.startswith("Found only 526 of 527 recordings of films")
    for trial in range(1, 21):
        shutil.rmtree(session_of(part, 7, trial), ignore_errors=True)
    assert_patterns(
        problems_of(load_mahnob_hci, part),
        ["participants 7 are missing: found 26 of 27 people", "507 of 527 recordings"],
    )
    assert load_mahnob_hci(part, allow_partial=True).report["people_without_recording"] == ["7"]


def test_mahnob_is_compared(whole_mahnob, tmp_path, capsys):
    code, printed, table = compare(
        "mahnob-hci", whole_mahnob, tmp_path, capsys, "--target", "arousal"
    )
    assert code == 0
    n_trials = sum(n for person, n in FILMS.items() if str(person) not in _mahnob_hci.DEVELOPMENT)
    said = f"mahnob-hci, arousal (by each person's own threshold): 14 evaluation people, {n_trials}"
    assert said in printed
    assert "trial-order" in set(table["pipeline"])


# SEED-VII: MATLAB files of version 5, by scipy

# As the publishers show it: in each session ten clips, and again ten for the same emotions.
TENS = [
    "happy neutral disgust sad anger anger sad disgust neutral happy",
    "anger sad fear neutral surprise surprise neutral fear sad anger",
    "happy surprise disgust fear anger anger fear disgust surprise happy",
    "disgust sad fear surprise happy happy surprise fear sad disgust",
]
ORDER = [emotion for ten in TENS for emotion in [*ten.split(), *ten.split()]]


def n_windows(clip):
    return 3 + clip % 4


def eeg_of(person, clip, kind, n=None):
    """Features (n_windows, 5, 62) that say person, clip, kind, window, band and electrode."""
    windows, bands, electrodes = np.ogrid[: n or n_windows(clip), :5, :62]
    start = 1000 * person + 10 * clip + {"de": 0, "de_LDS": 0.5, "psd": 0.25}[kind]
    return start + windows + bands / 8 + electrodes / 1024


def eye_of(person, clip, n=None):
    windows, features = np.ogrid[: n or n_windows(clip), :33]
    return 100.0 * person + clip + windows / 8 + features / 512


def intensity_of(person, clip, n=None):
    """Rises from window to window, by a thirty-second."""
    return (np.arange(n or n_windows(clip)) + person + clip % 3)[None, :] / 32


def seed_person(root, person, *, eeg=None, eye=None, intensity=None):
    """Write a person's three files; further arguments change variables, or drop them (None)."""
    clips = range(1, 81)
    kinds = ("psd", "de", "de_LDS")
    made = {
        "EEG_features": (
            {f"{kind}_{clip}": eeg_of(person, clip, kind) for clip in clips for kind in kinds},
            eeg,
        ),
        "EYE_features": ({str(clip): eye_of(person, clip) for clip in clips}, eye),
        "continuous_labels": ({str(c): intensity_of(person, c) for c in clips}, intensity),
    }
    for folder, (variables, changes) in made.items():
        variables |= changes or {}
        kept = {name: value for name, value in variables.items() if value is not None}
        (root / folder).mkdir(parents=True, exist_ok=True)
        savemat(root / folder / f"{person}.mat", kept)


def order_sheet(emotions=ORDER):
    rows = []
    for session in range(4):
        names = [one.capitalize() for one in emotions[20 * session : 20 * session + 20]]
        # The emotions are in the rows 2, 4, 6 and 8, behind a first column.
        rows += [[f"Session {session + 1}", *range(1, 21)], ["Emotion label", *names]]
    return spreadsheet({"Sheet1": rows})


def workbook(path, emotions=ORDER):
    return zipped(path, order_sheet(emotions))


@pytest.fixture(scope="module")
def written_seed(tmp_path_factory):
    root = tmp_path_factory.mktemp("seed") / "SEED-VII"
    for person in (2, 10):
        seed_person(root, person)
    workbook(root / "emotion_label_and_stimuli_order.xlsx")
    return root


@pytest.fixture
def seed(written_seed, tmp_path):
    return shutil.copytree(written_seed, tmp_path / "seed")


def load_seed(root, **settings):
    return load_seed_vii(root, **{"allow_partial": True, **settings})


def test_seed_has_features_emotions_and_intensities_as_written(written_seed):
    study = load_seed(written_seed, cache=False)
    assert len(study.trials) == len(study.ratings) == 160
    assert study.trials["subject"].unique().tolist() == ["2", "10"]
    assert study.trials["trial"].tolist() == [*range(1, 81)] * 2
    assert study.trials["session"].tolist()[:80] == [1] * 20 + [2] * 20 + [3] * 20 + [4] * 20
    assert "eda" not in study.trials
    row = study.trials.query("subject == '10' and stimulus == '23'").iloc[0]
    assert row["eeg_de"].shape == (310, n_windows(23)) == (310, 6)
    assert row["eeg_de"].dtype == row["eye"].dtype == np.float32
    # 1000 * 10 + 10 * 23 + 0.5, smoothed; one more each window.
    assert row["eeg_de"][0].tolist() == [10230.5 + window for window in range(6)]
    # The third band of the sixth electrode.
    assert row["eeg_de"][2 * 62 + 5, 1] == np.float32(10230.5 + 1 + 2 / 8 + 5 / 1024)
    assert study.channels["eeg_de"][2 * 62 + 5] == "alpha F7"
    assert study.channels["eeg_de"][309] == "gamma CB2"
    assert len(study.channels["eeg_de"]) == 310
    assert row["eye"].shape == (33, 6)
    assert row["eye"][32, 1] == np.float32(1023 + 1 / 8 + 32 / 512)
    assert row["intensity"].tolist() == [n / 32 for n in range(12, 18)]
    assert row["duration"] == 24.0
    assert study.sampling_rate == 0.25
    assert study.targets["emotion"].tolist() == ORDER * 2
    assert study.ratings["intensity"][0] == np.mean([3, 4, 5, 6]) / 32
    assert study.rating_range == (0, 1)


def test_seed_report_says_what_was_read(written_seed):
    report = load_seed(written_seed, cache=False).report
    assert (report["people"], report["clips"], report["trials"], report["trials_kept"]) == (
        *(2, 80),
        *(160, 160),
    )
    # 20 times 3, 4, 5 and 6 windows, of two people.
    assert (report["windows"], report["windows_kept"], report["windows_cut"]) == (720, 720, 0)
    assert report["values_not_finite"] == 0
    assert report["people_without_recording"] == [str(n) for n in range(1, 21) if n not in (2, 10)]
    assert any(
        "agree with emotion_label_and_stimuli_order.xlsx" in note for note in report["notes"]
    )


def test_signals_of_seed_are_those_asked_for(written_seed):
    study = load_seed(written_seed, signals=["eye"], cache=False)
    assert "eeg_de" not in study.trials
    assert list(study.channels) == list(study.units) == ["eye"]
    # What was kept of the one is not taken for the other.
    smoothed = load_seed(written_seed, signals=("eeg_de",))
    unsmoothed = load_seed(written_seed, signals=("eeg_de",), smoothed=False)
    assert smoothed.trials["eeg_de"][0][0, :2].tolist() == [2010.5, 2011.5]
    assert unsmoothed.trials["eeg_de"][0][0, :2].tolist() == [2010, 2011]
    assert "eye" not in unsmoothed.trials
    for signals, pattern in [(("eda",), "unknown signal 'eda'"), ((), "is empty")]:
        with pytest.raises(ValueError, match=pattern):
            load_seed(written_seed, signals=signals)


def test_windows_of_low_intensity_are_left_out(written_seed):
    # Person 2 reaches 9 / 32 at most: (5 + 2 + 2) / 32, in clips of six windows.
    study = load_seed(written_seed, min_intensity=8 / 32)
    assert all((intensity >= 0.25).all() for intensity in study.trials["intensity"])
    for row in study.trials.itertuples():
        own = intensity_of(int(row.subject), row.trial)[0] >= 0.25
        assert row.eeg_de.shape == (310, own.sum())
        expected = eye_of(int(row.subject), row.trial)[own].T
        np.testing.assert_array_equal(row.eye, expected.astype(np.float32))
    gone = study.report["left_out"]
    clips = [clip for clip in range(1, 81) if n_windows(clip) - 1 + 2 + clip % 3 < 8]
    assert gone["trial"].tolist() == clips
    assert set(gone["subject"]) == {"2"}
    assert set(gone["reason"]) == {"no window of intensity 0.25 or more"}
    assert gone["duration"][0] == 4 * n_windows(clips[0])
    assert len(study.trials) + len(gone) == study.report["trials"] == 160
    assert study.targets["emotion"].tolist() == [ORDER[n - 1] for n in study.trials["trial"]]
    kept = sum((intensity_of(p, c) >= 0.25).sum() for p in (2, 10) for c in range(1, 81))
    assert study.report["windows_kept"] == kept
    assert study.report["windows"] == 720
    # What was read is kept whole: another threshold, or none, gives everything.
    assert load_seed(written_seed).report["windows_kept"] == 720
    with pytest.raises(DatasetError, match="leaves no window"):
        load_seed(written_seed, min_intensity=0.9)
    for value in (-0.1, 1.1, "high"):
        with pytest.raises(ValueError, match="min_intensity"):
            load_seed(written_seed, min_intensity=value)


def test_seed_without_continuous_labels_has_no_intensity(seed):
    (seed / "continuous_labels" / "10.mat").unlink()
    study = load_seed(seed)
    assert study.report["people_without_intensity"] == ["10"]
    of_ten = study.trials["subject"] == "10"
    assert study.ratings["intensity"].isna().equals(of_ten)
    assert study.trials.loc[of_ten, "intensity"].iloc[0].shape == (n_windows(1),)
    (found,) = problems_of(load_seed_vii, seed, allow_partial=True, min_intensity=0.5)
    assert re.search(r"min_intensity=0\.5 needs continuous_labels.* 10\.", found)
    shutil.rmtree(seed / "continuous_labels")
    study = load_seed(seed)
    assert "intensity" not in study.trials
    assert study.ratings["intensity"].isna().all()


def test_files_that_differ_by_one_window_are_cut_to_the_shortest(seed):
    seed_person(
        seed,
        2,
        eye={"5": eye_of(2, 5, 3), "6": eye_of(2, 6, 6)},
        intensity={"7": intensity_of(2, 7, 7)},
    )
    study = load_seed(seed)
    # Clips 5, 6 and 7 have 4, 5 and 6 windows.
    shapes = [study.trials["eeg_de"][clip - 1].shape[1] for clip in (5, 6, 7)]
    assert shapes == [3, 5, 6]
    assert study.trials["eye"][5].shape == (33, 5)
    assert study.trials["intensity"][6].shape == (6,)
    assert study.report["windows_cut"] == 2 + 1 + 1
    assert study.trials["duration"].tolist()[4:7] == [12, 20, 24]
    seed_person(seed, 2, eye={"5": eye_of(2, 5, 2)}, intensity={"7": intensity_of(2, 7, 8)})
    assert_patterns(
        problems_of(load_seed_vii, seed, allow_partial=True),
        [
            "Person 2, clip 5: the files have different numbers of windows: .*'eye': 2",
            "Person 2, clip 7: the files have different .*'intensity': 8",
        ],
    )


def test_features_that_are_not_finite_are_counted(seed):
    broken = eye_of(2, 1)
    broken[1, 3:5] = [np.inf, np.nan]
    seed_person(seed, 2, eye={"1": broken})
    study = load_seed(seed)
    assert np.isnan(study.trials["eye"][0][3:5, 1]).all()
    assert np.isnan(study.trials["eye"][0]).sum() == 2
    assert study.report["values_not_finite"] == 2


def test_one_error_says_all_that_is_wrong_with_seed(seed):
    seed_person(
        seed, 2, eeg={"de_LDS_3": None}, eye={"80": np.ones((3, 31))}, intensity={"4": [[0.5, 1.5]]}
    )
    seed_person(seed, 10, eeg={"de_LDS_9": np.ones((3, 62, 5))}, intensity={"9": "high"})
    content = (seed / "EYE_features" / "10.mat").read_bytes()
    write(seed, {"EYE_features/10.mat": content[:-200], "EEG_features/21.mat": content})
    (seed / "more" / "EYE_features").mkdir(parents=True)
    shutil.copy(seed / "EYE_features" / "2.mat", seed / "more" / "EYE_features" / "2.mat")
    write(seed, {"EEG_features/5.mat": content})
    other = ORDER.copy()
    other[20:22] = "sad", "anger"
    workbook(seed / "emotion_label_and_stimuli_order.xlsx", other)
    assert_patterns(
        problems_of(load_seed_vii, seed),
        [
            r"EYE_features/2\.mat and more/EYE_features/2\.mat are the same file: keep one",
            r"EEG_features/21\.mat is not a file of SEED-VII, which has people 1 to 20",
            r"EYE_features/5\.mat is missing, although .*EEG_features/5\.mat exists",
            r"The people 1, 3, .*20 are missing: found 2 of 20",
            r"order\.xlsx has emotions that differ .* 2 clips.* clip 21: 'sad', not 'anger'.*Remo",
            r"EEG_features/2\.mat lacks the variables \['de_LDS_3'\]",
            r"EYE_features/2\.mat has 80 of shape \(3, 31\), but \(n_windows, 33\) is expected",
            r"continuous_labels/2\.mat has intensities outside 0 to 1 in 4: 0\.5 to 1\.5",
            r"EEG_features/10\.mat has de_LDS_9 of shape \(3, 62, 5\).*\(n_windows, 5, 62\)",
            r"EYE_features/10\.mat is truncated",
            r"continuous_labels/10\.mat has no numbers in 9",
        ],
    )


def test_without_spreadsheet_or_extra_the_published_order_stands(seed, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    study = load_seed(seed, signals=("eye",))
    assert any("edaemo[spreadsheets]" in note for note in study.report["notes"])
    (seed / "emotion_label_and_stimuli_order.xlsx").unlink()
    study = load_seed(seed, signals=("eye",))
    assert any("They were not compared with" in note for note in study.report["notes"])
    assert study.targets["emotion"].tolist() == ORDER * 2


# MuSe-CaR: comma-separated tables, by pandas

STEPS = {"3": 8, "12": 10, "40": 8, "7": 9}
PARTITION = [("3", "train"), ("7", "devel"), ("12", "train"), ("40", "test"), ("7", "devel")]


def steps_of(video):
    """Time stamps (ms), and the segment that each is in; segments are apart in time."""
    n = STEPS[video]
    segments = np.repeat([1, 2], [n // 2, n - n // 2])
    return 5000 + 250 * np.arange(n) + 1000 * (segments - 1), segments


def muse_features(video, n_features):
    times, segments = steps_of(video)
    values = int(video) + np.arange(len(times))[:, None] / 8 + np.arange(n_features) / 1024
    names = [f"f_{k}" for k in range(n_features)]
    table = pd.DataFrame(values, columns=names)
    table.insert(0, "timestamp", times)
    table.insert(1, "segment_id", segments)
    return table


def muse_labels(video, which):
    times, segments = steps_of(video)
    start = int(video) / 64 * (1 if which == "arousal" else -1)
    values = start + np.arange(len(times)) / 128
    return pd.DataFrame({"timestamp": times, "value": values, "segment_id": segments})


def muse_files(**changes):
    """The files of c1_muse_wild and its partition; changes: path → table, or None to drop it."""
    tables = {}
    for video in STEPS:
        for name, n_features in (("egemaps", 6), ("fasttext", 4)):
            place = f"c1_muse_wild/feature_segments/label_aligned/{name}/{video}.csv"
            tables[place] = muse_features(video, n_features)
        for which in ("arousal", "valence"):
            table = muse_labels(video, which)
            if video == "40":  # withheld
                table["value"] = np.nan if which == "arousal" else -0.3857
            tables[f"c1_muse_wild/label_segments/{which}/{video}.csv"] = table
    tables["metadata/partition.csv"] = pd.DataFrame(PARTITION, columns=["id", "partition"])
    # Of another sub-challenge: not read.
    tables["c3_muse_trust/label_segments/valence/3.csv"] = muse_labels("3", "arousal")
    tables["c3_muse_trust/feature_segments/label_aligned/egemaps/99.csv"] = muse_features("3", 6)
    tables |= changes
    return {
        name: table if isinstance(table, bytes) else table.to_csv(index=False).encode()
        for name, table in tables.items()
        if table is not None
    }


FEATURES = "c1_muse_wild/feature_segments/label_aligned"
SEGMENTS = "c1_muse_wild/label_segments"


@pytest.fixture
def muse(tmp_path):
    return write(tmp_path / "muse", muse_files())


def test_muse_has_features_labels_and_partition_as_written(muse):
    study = load_muse_car(muse, signals=("egemaps", "fasttext"))
    assert study.trials["subject"].tolist() == ["3", "12", "7", "40"]
    assert study.trials["stimulus"].equals(study.trials["subject"].rename("stimulus"))
    assert study.trials["partition"].tolist() == ["train", "train", "devel", "test"]
    assert set(study.trials["trial"]) == {0}
    assert "eda" not in study.trials
    row = study.trials.iloc[1]
    assert row["egemaps"].shape == (6, 10)
    assert row["fasttext"].shape == (4, 10)
    assert row["egemaps"].dtype == np.float32
    assert row["egemaps"][5, 2] == np.float32(12 + 2 / 8 + 5 / 1024)
    assert row["time"].tolist() == [5, 5.25, 5.5, 5.75, 6, 7.25, 7.5, 7.75, 8, 8.25]
    assert row["segment"].tolist() == [1] * 5 + [2] * 5
    assert row["arousal"].tolist() == [12 / 64 + k / 128 for k in range(10)]
    assert row["valence"].tolist() == [-12 / 64 + k / 128 for k in range(10)]
    assert study.ratings["arousal"][1] == 12 / 64 + 4.5 / 128
    assert study.targets["valence"][1] is row["valence"]
    assert study.sampling_rate == 4.0
    assert row["duration"] == 2.5
    assert study.rating_range == (-1, 1)
    assert study.channels["fasttext"] == ("f_0", "f_1", "f_2", "f_3")
    assert study.development == ("3", "12", "7")
    report = study.report
    assert report["partitions"] == {"train": 2, "devel": 1, "test": 1}
    assert (report["videos"], report["steps"], report["steps_dropped"]) == (4, 35, 0)


def test_muse_is_reproduced_beside_the_published_results(muse, tmp_path, capsys):
    arguments = ["--path", str(muse), "--epochs", "2", "--seeds", "2", "--out", str(tmp_path)]
    assert main(["reproduce", "muse", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "| Emotion | Partition | Baseline | Published | edaemo |" in printed
    assert "| Arousal | test | 0.2834 | 0.4726 | - |" in printed
    assert "| Valence | devel | 0.1506 | 0.4876 | " in printed
    assert "Arousal, devel, edaemo: devel: 1 videos; trained on 2 videos of train" in printed
    assert "Valence, test, edaemo: no labels" in printed
    rows = pd.read_csv(tmp_path / "muse-car" / "muse" / "table.csv")
    assert rows["ours"].notna().tolist() == [True, False, True, False]
    assert rows["ours"].dropna().abs().max() <= 1


def test_muse_goes_through_the_comparison(muse):
    study = load_muse_car(muse, signals=("egemaps", "fasttext"))
    settings = {"people": "all", "n_splits": 3, "n_jobs": 1, "max_epochs": 1}
    table = evaluate(["muse", "ridge"], study, "arousal", "subject", **settings)
    table = table.set_index("pipeline")
    assert (table["n_failed"] == 0).all()
    model = make_step_model(study, "muse").set_params(muse__max_epochs=1)
    labels = study.targets["arousal"]
    known = np.array([not np.isnan(series).all() for series in labels])
    fitted = model.fit(study.trials[known], labels[known])
    # All features of both sets, and the segment, as they are.
    assert fitted["muse"].blocks_ == {"egemaps": (6,), "fasttext": (4,), "segment": (1,)}
    steps = fitted["align"].transform(study.trials)
    assert_array_equal(steps["egemaps"][1], study.trials["egemaps"][1].T)
    assert_array_equal(steps["segment"][1][:, 0], study.trials["segment"][1])


def test_withheld_labels_of_the_test_videos_are_nan(muse):
    study = load_muse_car(muse)
    assert study.report["videos_without_labels"] == ["40"]
    assert study.ratings.isna().all(axis=1).tolist() == [False, False, False, True]
    for name in ("arousal", "valence"):
        assert np.isnan(study.trials[name][3]).all()
        assert study.trials[name][3].shape == (8,)
        (muse / SEGMENTS / name / "40.csv").unlink()
    again = load_muse_car(muse)
    assert again.ratings.equals(study.ratings)
    # Who has them has them.
    write(
        muse,
        {f"{SEGMENTS}/{n}/40.csv": muse_labels("40", n).to_csv() for n in ("arousal", "valence")},
    )
    assert load_muse_car(muse).report["videos_without_labels"] == []


def test_labels_that_never_change_are_withheld_in_the_test_partition_only(muse):
    for video in ("3", "7"):
        table = muse_labels(video, "arousal").assign(value=0.25)
        write(muse, {f"{SEGMENTS}/arousal/{video}.csv": table.to_csv(index=False)})
    study = load_muse_car(muse)
    assert study.trials["arousal"][0].tolist() == [0.25] * 8
    assert study.ratings["arousal"][2] == 0.25
    assert study.report["videos_without_labels"] == ["40"]


def test_columns_of_labels_may_be_in_any_order(muse):
    before = load_muse_car(muse)
    table = muse_labels("3", "arousal")[["timestamp", "segment_id", "value"]]
    write(muse, {f"{SEGMENTS}/arousal/3.csv": table.to_csv(index=False)})
    assert_same(load_muse_car(muse), before)


def test_another_partition_of_the_same_videos_is_read_anew(muse):
    load_muse_car(muse)
    table = pd.DataFrame(PARTITION, columns=["id", "partition"]).replace("devel", "train")
    write(muse, {"metadata/partition.csv": table.to_csv(index=False)})
    assert load_muse_car(muse).trials["partition"].tolist() == ["train"] * 3 + ["test"]


def test_steps_that_not_all_files_have_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setitem(STEPS, "3", 40)
    files = muse_files(**{f"{SEGMENTS}/arousal/3.csv": muse_labels("3", "arousal")[:-1]})
    files |= muse_files(**{f"{FEATURES}/egemaps/3.csv": muse_features("3", 6)[1:]}) | {
        f"{SEGMENTS}/arousal/3.csv": files[f"{SEGMENTS}/arousal/3.csv"]
    }
    study = load_muse_car(write(tmp_path / "muse", files))
    assert study.report["steps_dropped"] == 2
    assert study.trials["time"][0].shape == study.trials["valence"][0].shape == (38,)
    assert study.trials["time"][0][0] == 5.25
    assert study.trials["egemaps"][0][0].tolist() == [3 + k / 8 for k in range(1, 39)]
    assert study.trials["valence"][0][0] == -3 / 64 + 1 / 128


def test_features_of_muse_that_are_missing_are_counted(muse):
    table = muse_features("3", 6)
    table.loc[2, "f_1"] = np.nan
    write(muse, {f"{FEATURES}/egemaps/3.csv": table.to_csv(index=False)})
    study = load_muse_car(muse)
    assert np.isnan(study.trials["egemaps"][0]).sum() == 1
    assert np.isnan(study.trials["egemaps"][0][1, 2])
    assert study.report["values_not_finite"] == 1


def test_features_of_muse_are_those_asked_for(muse):
    assert "fasttext" not in load_muse_car(muse).trials
    for signals, pattern in [(("egemap",), "did you mean 'egemaps'"), ((), "is empty")]:
        with pytest.raises(ValueError, match=pattern):
            load_muse_car(muse, signals=signals)


def test_one_error_says_all_that_is_wrong_with_muse(muse):
    labels, features = muse_labels("3", "arousal"), muse_features("12", 6)
    twice = muse_features("7", 6)
    twice.loc[1, "timestamp"] = 5000
    loud = labels.assign(value=labels["value"] + 1)
    files = {
        f"{SEGMENTS}/arousal/3.csv": loud,
        f"{SEGMENTS}/valence/12.csv": muse_labels("12", "valence").rename(
            columns={"value": "valence"}
        ),
        f"{FEATURES}/egemaps/12.csv": features,
        f"{FEATURES}/egemaps/7.csv": twice,
        f"{FEATURES}/egemaps/40.csv": muse_features("40", 6)[:5],
        f"{FEATURES}/egemaps/50.csv": muse_features("40", 6),
        f"{FEATURES}/egemaps/60.csv": muse_features("40", 6),
        "copy/" + f"{FEATURES}/egemaps/7.csv": twice,
    }
    partition = [*PARTITION, ("60", "train"), ("3", "test"), ("61", "train"), ("x", "train")]
    files["metadata/partition.csv"] = pd.DataFrame(partition, columns=["id", "partition"])
    write(muse, {name: table.to_csv(index=False) for name, table in files.items()})
    assert_patterns(
        problems_of(load_muse_car, muse),
        [
            r"7\.csv and copy/.*7\.csv are the same file: keep one",
            r"partition\.csv lists video 3 in train and in test",
            r"partition\.csv has 'x' and 'train' in line 10",
            r"Video 50 is not in metadata/partition\.csv",
            r"1 of 6 videos of metadata/partition\.csv are missing: 61",
            r"Video 60 \(train\) lacks valence/60\.csv, arousal/60\.csv",
            r"arousal/3\.csv has 8 values missing or outside -1 to 1\. .*\(1\.04688\) is at 5000",
            r"valence/12\.csv has no column 'value', but \['valence'\]",
            r"egemaps/7\.csv has time stamps that repeat",
            r"Video 40: its files share only 5 of 8 steps .*'egemaps': 5",
        ],
    )


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("metadata/partition.csv", b"", "partition.csv is empty"),
        ("metadata/partition.csv", b"id,part\n3,train\n", r"lacks the columns \['partition'\]"),
        ("metadata/partition.csv", b"id,partition\n3,valid\n", "'3' and 'valid' in line 2"),
        (
            f"{FEATURES}/egemaps/3.csv",
            b"timestamp,segment_id,f\n5250,1,1\n5000,1,1\n",
            "has time stamps that repeat or are not in order",
        ),
        (
            f"{SEGMENTS}/arousal/3.csv",
            b"timestamp,value,segment_id\n5000,0.",
            "The file is truncated",
        ),
        (
            f"{SEGMENTS}/arousal/3.csv",
            b"time,value,segment_id\n5000,0.1,1\n",
            "must have the columns timestamp",
        ),
        (
            f"{FEATURES}/egemaps/3.csv",
            b"timestamp,segment_id,f\n5000,1,loud\n",
            "needs a number in line",
        ),
        (f"{FEATURES}/egemaps/3.csv", b"timestamp,segment_id,f\n5000,1,1\n", "fewer than two"),
        (
            f"{FEATURES}/egemaps/12.csv",
            muse_files()[f"{FEATURES}/fasttext/12.csv"],
            "different columns",
        ),
    ],
)
def test_bad_file_of_muse_is_named(name, content, pattern, muse):
    write(muse, {name: content})
    assert any(re.search(pattern, one) for one in problems_of(load_muse_car, muse))


def test_videos_that_are_not_there_are_an_error_unless_a_part_is_wanted(muse):
    for file in muse.rglob("12.csv"):
        file.unlink()
    (found,) = problems_of(load_muse_car, muse)
    assert "1 of 4 videos of metadata/partition.csv are missing: 12" in found
    study = load_muse_car(muse, allow_partial=True)
    assert study.trials["subject"].tolist() == ["3", "7", "40"]
    assert study.report["videos_without_files"] == ["12"]
    (muse / "metadata" / "partition.csv").unlink()
    found = problems_of(load_muse_car, muse, allow_partial=True)
    assert found == ["partition.csv, which lists the videos of train, devel and test, is missing."]


def test_videos_of_different_rates_are_an_error(muse):
    files = {f"{FEATURES}/egemaps/3.csv": muse_features("3", 6)}
    files |= {f"{SEGMENTS}/{n}/3.csv": muse_labels("3", n) for n in ("arousal", "valence")}
    slower = {name: table.assign(timestamp=table["timestamp"] * 2) for name, table in files.items()}
    write(muse, {name: table.to_csv(index=False) for name, table in slower.items()})
    (found,) = problems_of(load_muse_car, muse)
    assert "3: 0.5 s, 12: 0.25 s" in found


# What the three have in common


@pytest.mark.parametrize(
    ("load", "fixture", "match"),
    [
        (load_muse_car, "muse", "svm-eda is a classifier, but the targets are series"),
        (load_seed_vii, "seed", "svm-eda needs column eda: the study has .*eeg"),
    ],
)
def test_study_without_eda_is_refused_where_eda_is_compared(
    load, fixture, match, request, tmp_path
):
    study = load(request.getfixturevalue(fixture), allow_partial=True)
    with pytest.raises(EvaluationError, match=match):
        evaluate("svm-eda", study, people="all", store=tmp_path / "s")
    assert not (tmp_path / "s").exists()
    assert study.name in STUDIES
