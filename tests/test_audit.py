"""What training and test share, counted; and which of it a protocol's name does not announce."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_array
from scipy.stats import t as student
from sklearn import config_context
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from edaemo._ids import near_ids
from edaemo.evaluation._audit import audit, leaks
from edaemo.evaluation._nuisances import describe_nuisances, measure_nuisances
from edaemo.model_selection import PROTOCOLS, SubjectKFold, TrialKFold, make_protocol
from edaemo.preprocessing import find_copies

# Six trials of four people, of which "d" hears what "c" heard; b and c watched together.
SUBJECT = ["a", "a", "b", "b", "c", "d"]
STIMULUS = ["s", "t", "s", "u", "t", "t"]
GROUP = [None, None, "g", None, "g", None]
Y = ["low", "high", "low", "low", "high", "high"]
FOLD = ([0, 1, 2], [3, 4])  # row 5 is left out


def recordings(*seeds):
    return [np.random.default_rng(seed).normal(size=20) for seed in seeds]


def table(**columns):
    return pd.DataFrame({"subject": SUBJECT, "stimulus": STIMULUS, **columns})


def test_counts_by_hand():
    X = table(viewing_group=GROUP, eda=recordings(0, 1, 2, 1, 4, 5))
    (row,) = audit([FOLD], X, Y).to_dict("records")
    assert row == {
        "fold": 0,
        "n_training": 3,
        "n_test": 2,
        "n_left_out": 1,
        "trials_shared": 0,
        "subjects_shared": 1,  # b
        "stimuli_shared": 1,  # t
        "viewing_groups_shared": 1,
        "recordings_shared": 1,  # that of rows 1 and 3
        "near_copies_shared": 0,
        "windows_shared": None,
        "near_subjects_shared": 0,
        "near_stimuli_shared": 0,
        "n_subjects_test": 2,
        "n_stimuli_test": 2,
        "n_classes_training": 2,
        "n_classes_test": 2,
        "share_training_high": 1 / 3,
        "share_test_high": 1 / 2,
        "share_training_low": 2 / 3,
        "share_test_low": 1 / 2,
    }


def test_ids_as_metadata_come_to_the_same_and_win():
    X = table(viewing_group=GROUP, eda=recordings(0, 1, 2, 1, 4, 5))
    expected = audit([FOLD], X, Y)
    given = {"subject": SUBJECT, "stimulus": STIMULUS, "viewing_group": GROUP}
    assert_frame_equal(audit([FOLD], X["eda"], Y, **given), expected)
    assert_frame_equal(audit([FOLD], X.assign(subject=0), Y, subject=SUBJECT), expected)
    assert_frame_equal(audit([FOLD], X.set_index(["subject", "stimulus"]), Y), expected)
    masks = [(np.isin(np.arange(6), FOLD[0]), np.isin(np.arange(6), FOLD[1]))]
    assert_frame_equal(audit(masks, X, Y), expected)


def test_what_is_not_known_is_missing_and_not_zero():
    unknown = audit([FOLD], np.arange(6.0), np.linspace(0, 1, 6)).loc[0]
    for name in ("subjects", "stimuli", "viewing_groups", "recordings"):
        assert unknown[f"{name}_shared"] is pd.NA
    for name in ("n_subjects_test", "n_stimuli_test", "n_classes_training", "n_classes_test"):
        assert unknown[name] is pd.NA
    assert not [name for name in unknown.index if name.startswith("share_")]
    assert leaks(unknown.to_frame().T, may_share=()) == []
    ratings = pd.DataFrame({"valence": range(6), "arousal": range(6)})
    assert audit([FOLD], table(), ratings).loc[0, "n_classes_test"] is pd.NA
    assert audit([FOLD], table(), None).loc[0, "n_classes_test"] is pd.NA


@pytest.mark.parametrize(("n_values", "n_classes"), [(20, 20), (21, pd.NA)])
def test_many_different_values_are_no_classes(n_values, n_classes):
    counted = audit([(range(21), range(21, 42))], np.eye(42), np.arange(42) % n_values).loc[0]
    found = counted["n_classes_test"]
    assert (found is pd.NA) if n_classes is pd.NA else found == n_classes


def test_missing_ids_are_not_shared():
    counted = audit([([0, 1], [2, 3])], np.eye(4), None, subject=[None, "a", np.nan, "b"]).loc[0]
    assert counted["subjects_shared"] == 0
    assert counted["n_subjects_test"] == 1
    nobody = audit([([0], [1])], np.eye(2), None, viewing_group=[None, None]).loc[0]
    assert nobody["viewing_groups_shared"] == 0


@pytest.mark.parametrize(
    ("X", "shared"),
    [
        # Test rows 3, 4, 5; 3 and 4 are copies of 0, 5 of nothing in training.
        (np.array([[1, 2], [3, 4], [5, 6], [1, 2], [1, 2], [7, 8]]), 2),
        (pd.DataFrame({"a": [1, 3, 5, 1, 1, 7], "b": [2.0, 4, 6, 2, 2, 8]}), 2),
        (np.array([[1, 2], [3, 4], [5, 6], [1, 2 + 1e-12], [2, 1], [7, 8]]), 0),
        # Constant ones carry nothing, and so does a single number.
        (np.array([[3, 3], [1, 2], [0, 0], [3, 3], [0, 0], [1, 2]]), 1),
        (np.array([[1], [2], [3], [1], [2], [3]]), 0),
        (np.array([[1, np.nan], [2, 3], [4, 5], [1, np.nan], [2, 3], [np.nan] * 2]), 1),
        (np.eye(6)[[0, 1, 2, 0, 1, 2]].reshape(6, 2, 3), 3),
        (pd.Series(recordings(0, 1, 2, 0, 4, 5)), 1),
        (table(eda=recordings(0, 1, 2, 0, 1, 5)), 2),
        (table(eda=[[1.0, 2.0], [1, 2, 2], np.float32([3, 4]), [1, 2], [1, 2, 2, 2], [3, 4]]), 2),
        (table(eda=[np.zeros(5)] * 6), 0),
        (table(eda=[np.eye(3)[:, ::-1]] * 3 + [np.eye(3)] * 2 + [np.eye(3)[:, ::-1]]), 1),
        (table(), pd.NA),
        (table(session_time=range(6)), pd.NA),
        (pd.DataFrame({"subject": range(6), "trial": [1, 2, 3] * 2, "age": 30}), pd.NA),
        (pd.DataFrame({"a": [1] * 6, "b": ["x"] * 6}), pd.NA),
        (csr_array(np.eye(6)), pd.NA),
        (["a"] * 6, pd.NA),
    ],
    ids=[
        "array",
        "frame",
        "almost the same",
        "constant rows",
        "single numbers",
        "missing numbers",
        "three dimensions",
        "series of signals",
        "trials",
        "lists and lengths",
        "flat signals",
        "components",
        "no eda",
        "numbers beside ids",
        "ids alone are numbers",
        "text",
        "sparse",
        "list of text",
    ],
)
def test_identical_recordings(X, shared):
    found = audit([([0, 1, 2], [3, 4, 5])], X, None).loc[0, "recordings_shared"]
    assert (found is pd.NA) if shared is pd.NA else found == shared


def test_a_recording_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="row 2: its EDA is not a 1-D signal"):
        audit([FOLD], table(eda=[*recordings(0, 1), None, *recordings(3, 4, 5)]), Y)


def test_lengths_are_checked():
    with pytest.raises(ValueError, match="subject must hold one id for each of the 6 trials"):
        audit([FOLD], table(), Y, subject=[1, 2])
    with pytest.raises(ValueError, match="y must have one label for each of the 6 trials, got 2"):
        audit([FOLD], table(), [0, 1])


def test_splitters_of_scikit_learn():
    X = np.eye(6)
    assert audit(GroupKFold(2), X, Y, subject=SUBJECT)["subjects_shared"].sum() == 0
    assert audit(KFold(3), X, Y, subject=SUBJECT)["subjects_shared"].tolist() == [0, 0, 0]
    assert audit(KFold(2), X, Y, subject=SUBJECT)["subjects_shared"].tolist() == [1, 1]
    by_class = audit(StratifiedKFold(3), X, Y)
    assert by_class["share_test_high"].tolist() == [0.5, 0.5, 0.5]
    with config_context(enable_metadata_routing=True):
        aliased = GroupKFold(2).set_split_request(groups="subject")
    assert audit(aliased, table(), Y)["subjects_shared"].sum() == 0
    folds = audit(iter(list(KFold(2).split(X))), X, Y)
    assert folds["n_test"].tolist() == [3, 3]


def test_protocols_get_the_ids_given():
    X = np.random.default_rng(0).normal(size=(6, 3))
    kept = audit(SubjectKFold(2), X, None, subject=SUBJECT, viewing_group=GROUP)
    assert kept["viewing_groups_shared"].tolist() == [0, 0]
    assert kept["subjects_shared"].tolist() == [0, 0]
    assert kept["stimuli_shared"].isna().all()


@st.composite
def studies(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n = 150
    frame = pd.DataFrame({"subject": rng.integers(0, 12, n), "stimulus": rng.integers(0, 8, n)})
    frame = pd.concat(
        [frame, pd.DataFrame(np.indices((12, 8)).reshape(2, -1).T, columns=frame.columns)]
    )
    frame["viewing_group"] = np.where(frame["subject"] < 4, frame["subject"] // 2, np.nan)
    frame["version"] = frame["subject"] // 6
    frame["development"] = frame["subject"] % 4 < 2
    frame["eda"] = list(rng.normal(size=(len(frame), 4)))
    return frame.reset_index(drop=True), rng.integers(0, 2, len(frame))


@pytest.mark.parametrize("name", list(PROTOCOLS))
@settings(max_examples=5, deadline=None)
@given(study=studies())
def test_protocols_leak_what_they_announce_and_nothing_else(name, study):
    protocol = make_protocol(name, 2)
    if name == "paper":
        study[0].pop("viewing_group")
    counted = audit(protocol, *study)
    assert leaks(counted, protocol.may_share) == []
    told = leaks(counted, may_share=())
    assert bool(told) == bool(protocol.may_share)
    for kind, many in [("subject", "subjects"), ("stimulus", "stimuli")]:
        assert (f" {many}" in "".join(told)) == (
            kind in protocol.may_share and name != "within-subject"
        )
    assert ("1 subject in" in "".join(told)) == (name == "within-subject")


def test_leaks_in_words():
    X = table(viewing_group=GROUP, eda=recordings(0, 1, 2, 1, 4, 5))
    counted = audit([FOLD, ([0, 1], [4]), ([0, 1], [1, 2])], X, Y)
    assert leaks(counted, {"stimulus"}) == [
        "fold 0: 1 subject, 1 viewing group, 1 identical recording in both training and test",
        "fold 2: 1 trial, 1 subject, 1 identical recording in both training and test",
    ]
    # Where people cross, those they watched with do; identical recordings are never may_share.
    assert leaks(counted, TrialKFold.may_share) == [
        "fold 0: 1 identical recording in both training and test",
        "fold 2: 1 trial, 1 identical recording in both training and test",
    ]
    assert leaks(counted, [])[1] == "fold 1: 1 stimulus in both training and test"
    assert leaks(audit([FOLD], X[["subject"]], Y), iter(["stimulus"])) == [
        "fold 0: 1 subject in both training and test"
    ]


def test_an_empty_side_is_counted_and_no_error():
    (row,) = audit([([0, 1], [])], table(eda=recordings(*range(6))), Y).to_dict("records")
    assert (row["n_test"], row["subjects_shared"], row["recordings_shared"]) == (0, 0, 0)
    assert np.isnan(row["share_test_low"])


def test_a_hundred_folds_of_a_large_study_are_audited():
    rng = np.random.default_rng(0)
    n = 7962
    X = pd.DataFrame({"subject": rng.integers(0, 457, n), "stimulus": rng.integers(0, 794, n)})
    X["eda"] = list(rng.normal(size=(n, 1500)))
    y = rng.integers(0, 2, n)
    folds = [fold for _ in range(10) for fold in KFold(10).split(X)]
    assert len(audit(folds, X, y)) == 100


def walks(n, n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    return list(5 + 0.01 * rng.normal(size=(n, n_samples)).cumsum(axis=1))


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        (lambda x: x + 1e-9 * np.random.default_rng(1).normal(size=len(x)), 1),
        (lambda x: 2 * x + 1, 1),
        (lambda x: np.append(x[1:], 7.0), 1),
        (lambda x: x[::2], 1),
        (lambda x: x.copy(), 0),  # identical, which is counted elsewhere
        (lambda x: np.full(200, 2.0), 0),
    ],
    ids=["noise", "gain", "shift", "decimated", "identical", "flat"],
)
def test_copies_that_are_not_identical(change, shared):
    eda = walks(6)
    eda[3] = change(eda[0])
    counted = audit([([0, 1, 2], [3, 4, 5])], table(eda=eda), Y)
    assert counted.loc[0, "near_copies_shared"] == shared
    assert bool(leaks(counted, {"subject", "stimulus"})) == (
        shared or np.array_equal(eda[3], eda[0])
    )
    if shared:
        verdict = counted.attrs["verdict"]
        assert "1 copied or overlapping recording in 1 of 1 folds" in verdict
    assert audit([([0], [3])], table(eda=eda), Y, copies=find_copies(eda)).loc[
        0, "near_copies_shared"
    ] == (shared)


def test_a_copy_of_an_identical_copy_counts():
    eda = walks(6)
    eda[3], eda[4] = eda[0].copy(), 2 * eda[0]
    counted = audit([([3], [4]), ([0], [4]), ([0], [3])], table(eda=eda), Y)
    assert counted["near_copies_shared"].tolist() == [1, 1, 0]
    assert counted["recordings_shared"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("overlap", [0.5, 0.25])
def test_overlapping_windows_under_shuffled_folds(overlap):
    """The common leak: each test window whose neighbour trains is counted, and no other."""
    hop = round(200 * (1 - overlap))
    rows = [
        {
            "subject": p,
            "eda": trial[k * hop : k * hop + 200],
            "start": k * hop,
            "stop": k * hop + 200,
        }
        for p, trial in enumerate(walks(10, 1000))
        for k in range(4)
    ]
    X = pd.DataFrame(rows).assign(recording="r")
    folds = list(KFold(5, shuffle=True, random_state=0).split(X))
    counted = audit(folds, X, None)
    neighbours = [
        sum(
            any(other in training and other // 4 == row // 4 for other in (row - 1, row + 1))
            for row in test
        )
        for training, test in [(set(training), test) for training, test in folds]
    ]
    assert min(neighbours) > 0
    assert counted["near_copies_shared"].tolist() == neighbours
    assert counted["windows_shared"].tolist() == neighbours
    assert counted["recordings_shared"].sum() == counted["trials_shared"].sum() == 0
    assert "overlapping window" in counted.attrs["verdict"]
    by_person = audit(GroupKFold(5), X, None)
    assert by_person[["near_copies_shared", "windows_shared"]].to_numpy().sum() == 0


def test_windows_overlap_in_time_and_in_one_recording():
    X = pd.DataFrame(
        {
            "subject": ["a", "a", "a", "b", "a", "a", None],
            "recording": ["r", "r", "r", "r", "q", None, "r"],
            "start": [0.0, 10.0, 9.9, 0.0, 0.0, 0.0, 0.0],
            "stop": [10.0, 20.0, 30.0, 10.0, 10.0, 10.0, 9.0],
        }
    )

    def shared(training, test, X=X):
        return audit([(training, test)], X, None).loc[0, "windows_shared"]

    assert shared([0], [1]) == 0  # they touch
    assert shared([0], [2]) == shared([2], [0]) == 1
    assert shared([0, 1], [2]) == 1
    assert shared([0, 1], [3, 4, 5, 6]) == 0  # another person, recording, no recording
    assert shared([0], [0]) == 1
    assert shared([1], [0, 2]) == 1
    long = pd.DataFrame({"recording": 1, "start": [0, 1, 2, 50], "stop": [100, 2, 3, 51]})
    assert shared([0, 1, 2], [3], long) == 1  # the earliest one lasts the longest
    assert audit([([0], [1])], X.drop(columns="stop"), None).loc[0, "windows_shared"] is pd.NA
    with pytest.raises(ValueError, match=r"row 1 \(subject a\): its window stops at 5.0, before"):
        audit([([0], [1])], X.assign(stop=[10.0, 5.0, 30, 10, 10, 10, 9]), None)


@pytest.mark.parametrize(
    ("first", "second"), [("p0", "p0 "), (1, "1"), ("P01", "p1"), ("1.0", 1), ("a b", "ab")]
)
def test_a_person_under_two_ids_is_named(first, second):
    X = pd.DataFrame({"subject": [first, "z", second, "y"]})
    with pytest.warns(UserWarning, match=re.escape(f"{first!r} and {second!r}")):
        counted = audit([([0, 1], [2, 3]), ([0, 2], [1, 3])], X, None)
    assert counted["near_subjects_shared"].tolist() == [1, 0]
    assert counted["subjects_shared"].tolist() == [0, 0]  # the ids count as they are
    assert "1 subject in 1 of 2 folds may be under two ids" in counted.attrs["verdict"]


def test_different_ids_are_not_near():
    ids = ["p1", "p10", "p100", "p1-2", "p12", "1.5", 15, 1.5, None, np.nan, ("a", 1), ("a", "1")]
    assert near_ids(ids) == [["1.5", 1.5]]


def test_one_song_under_two_ids_is_named(tmp_path):
    stimulus = ["s", "t", "u", "v"]
    features = np.random.default_rng(0).normal(size=(4, 5))
    features[3] = features[0]
    music = pd.DataFrame(features, index=stimulus)
    X = pd.DataFrame({"stimulus": stimulus})
    folds = [([0, 1], [2, 3]), ([0, 3], [1, 2])]
    with pytest.warns(UserWarning, match="the same music under several ids: 's' and 'v'"):
        counted = audit(folds, X, None, music=music)
    assert counted["near_stimuli_shared"].tolist() == [1, 0]
    # Another file format, or a second computation, changes the last digits.
    rounded = music.copy()
    rounded.loc["v"] = music.loc["s"].to_numpy(dtype=np.float32)
    rounded.loc[["s", "v"], 4] = np.nan
    with pytest.warns(UserWarning, match="the same music under several ids: 's' and 'v'"):
        counted = audit(folds, X, None, music=rounded)
    assert counted["near_stimuli_shared"].tolist() == [1, 0]
    other = music.copy()
    other.loc["v"] = music.loc["s"] * 1.001
    assert audit(folds, X, None, music=other)["near_stimuli_shared"].sum() == 0
    paths = {name: tmp_path / name for name in stimulus}
    for name, path in paths.items():
        path.write_bytes(b"same" if name in "su" else name.encode())
    with pytest.warns(UserWarning, match="the same music under several ids: 's' and 'u'"):
        counted = audit(folds, X, None, music=paths)
    assert counted["near_stimuli_shared"].tolist() == [1, 1]
    # Two values, such as tags of a genre, do not tell songs apart.
    assert audit(folds, X, None, music=(music > 0) * 1)["near_stimuli_shared"].sum() == 0


def nuisance_study(seed=0):
    """Forty trials of eight people: the labels are random, and so are all other columns."""
    rng = np.random.default_rng(seed)
    n = 40
    y = rng.permutation(np.repeat([0, 1], n // 2))
    eda = [np.round(s, 3) for s in walks(n, 60, seed)]
    X = pd.DataFrame({"subject": np.repeat(np.arange(8), 5), "trial": np.tile(np.arange(5), 8)})
    return X.assign(eda=eda), y


def told(X, y, **given):
    counted = audit([(range(30), range(30, 40))], X, y, **given)
    return {row["nuisance"]: row for row in counted.attrs["nuisances"]}, counted.attrs["verdict"]


@pytest.mark.parametrize(
    ("nuisance", "change"),
    [
        (
            "length",
            lambda X, y: X.assign(eda=[e[: 50 + 10 * k] for e, k in zip(X["eda"], y, strict=True)]),
        ),
        (
            "quantisation step",
            lambda X, y: X.assign(
                eda=[
                    np.round(e / (0.01 - 0.005 * k)) * (0.01 - 0.005 * k)
                    for e, k in zip(X["eda"], y, strict=True)
                ]
            ),
        ),
        ("sampling rate", lambda X, y: X.assign(sampling_rate=np.where(y, 4, 8))),
        ("device", lambda X, y: X.assign(device=np.where(y, "E4", "Biopac"))),
        ("trial order", lambda X, y: X.assign(trial=10 * y + X["trial"])),
        ("session_time", lambda X, y: X.assign(session_time=100.0 * y + X["trial"])),
        ("start", lambda X, y: X.assign(start=100.0 * y + X["trial"])),
        (
            "missing samples",
            lambda X, y: X.assign(
                eda=[np.r_[[np.nan] * k, e[k:]] for e, k in zip(X["eda"], y, strict=True)]
            ),
        ),
    ],
)
def test_a_label_that_follows_from_a_nuisance(nuisance, change):
    X, y = nuisance_study()
    rows, verdict = told(change(X, y), y)
    assert rows[nuisance]["auc"] == rows[nuisance]["auc_low"] == rows[nuisance]["auc_high"] == 1
    assert f"the label can be predicted without the signal, from {nuisance}" in verdict
    assert "(AUC 1.00 [1.00, 1.00])" in verdict
    rows, verdict = told(change(X, np.random.default_rng(5).permutation(y)), y)
    assert rows[nuisance]["auc"] < 0.75


@pytest.mark.parametrize("places", [[1, 3], [0, 4], [2]], ids=str)
def test_an_order_without_a_trend_is_named(places):
    """A condition in every second block tells the label to whoever counts the trials."""
    X, _ = nuisance_study()
    X = X.assign(device=["E4", "Biopac"] * 20, duration=np.arange(40.0) % 7)
    y = X["trial"].isin(places).to_numpy().astype(int)
    rows, verdict = told(X, y)
    row = rows["trial order"]
    assert (row["value"], row["auc"], row["auc_low"]) == ("in any shape", 1, 1)
    assert "without the signal, from trial order in any shape (AUC 1.00 [1.00, 1.00])" in verdict
    assert rows["duration"]["value"] is None


def test_larger_changes_are_not_a_quantisation_step():
    """The smallest difference of samples that are not quantised is larger in a larger signal."""
    X, y = nuisance_study()
    larger = [e * (1 + 9 * k) for e, k in zip(walks(40, 60), y, strict=True)]
    rows, verdict = told(X.assign(eda=larger), y)
    assert "quantisation step" not in rows
    assert "without the signal" not in verdict
    rounded = [np.round(e, 3) for e in larger]
    assert "quantisation step" not in told(X.assign(eda=rounded), y)[0]  # all have one step
    mixed = [r if k else e for r, e, k in zip(rounded, larger, y, strict=True)]
    assert told(X.assign(eda=mixed), y)[0]["quantisation step"]["auc"] == 1


def test_a_sampling_rate_may_be_given():
    X, y = nuisance_study()
    rows, _ = told(X, y, sampling_rate=np.where(y, 4.0, 8.0))
    assert rows["sampling rate"]["auc"] == 1
    assert "sampling rate" not in told(X, y, sampling_rate=4.0)[0]
    assert "length" not in told(X, y)[0]  # all are equal


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_area_is_that_of_scikit_learn_and_all_intervals_cover(n_classes):
    """Under random labels of 12 people with an effect of the person, near 95 % cover 0.5."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(12), 10)
    covered = 0
    for _ in range(200):
        values = rng.normal(size=12)[person] + rng.normal(size=120)
        score = rng.normal(size=12)[person] + rng.normal(size=120)
        label = pd.qcut(score, n_classes, labels=False)
        X = pd.DataFrame({"subject": person, "session_time": values, "start": rng.random(120)})
        rows = measure_nuisances(X, label, range(n_classes), person).set_index("nuisance")
        row = rows.loc["session_time"]
        area = roc_auc_score(label == row["label"], values)
        assert row["auc"] == pytest.approx(max(area, 1 - area))
        covered += (rows["auc_low"] <= 0.5).all()
    assert 0.90 <= covered / 200 <= 0.995


@pytest.mark.parametrize(
    ("n_people", "n_trials", "n_classes"), [(10, 8, 3), (8, 5, 2), (12, 10, 5)]
)
def test_random_labels_are_rarely_said_to_be_predicted(n_people, n_trials, n_classes):
    """The largest of many areas is not taken for a finding: at most 5 % of studies, and error."""
    n, found = n_people * n_trials, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X = pd.DataFrame({"subject": np.repeat(np.arange(n_people), n_trials)})
        X = X.assign(
            trial=np.tile(np.arange(n_trials), n_people),
            duration=rng.normal(20, 1, size=n),
            device=rng.choice(["E4", "Biopac"], n),
            start=rng.random(n),
        )
        codes = rng.integers(n_classes, size=n)
        table = measure_nuisances(X, codes, range(n_classes), X["subject"].to_numpy())
        found += bool(describe_nuisances(table))
    assert found <= 11


def test_independent_trials_have_the_variance_of_delong():
    """For one trial per person: DeLong's variance from placements, as in DeLong et al. (1988)."""
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], [15, 25])
    values = rng.normal(size=40) + 0.8 * label
    row = measure_nuisances(pd.DataFrame({"session_time": values}), label, [0, 1]).iloc[0]
    wins = values[label == 1][:, None] > values[label == 0]
    variance = wins.mean(axis=1).var(ddof=1) / 25 + wins.mean(axis=0).var(ddof=1) / 15
    assert row["auc"] == pytest.approx(wins.mean())
    half = student.ppf(0.975, 14) * np.sqrt(variance)
    assert row["auc_high"] - row["auc"] == pytest.approx(min(half, 1 - wins.mean()))
    assert row["auc"] - row["auc_low"] == pytest.approx(half)


def test_the_best_class_and_value_are_named():
    X = pd.DataFrame({"device": list("aaabbbcccc")})
    y = ["x", "x", "x", "y", "z", "y", "z", "y", "z", "y"]
    rows, _ = told_of_ten(X, y)
    assert (rows[0]["value"], rows[0]["label"], rows[0]["auc"]) == ("a", "x", 1.0)


def told_of_ten(X, y):
    counted = audit([(range(5), range(5, 10))], X, y)
    return counted.attrs["nuisances"], counted.attrs["verdict"]


def test_groups():
    X = np.random.default_rng(0).normal(size=(6, 3))
    by_groups = audit(GroupKFold(2), X, Y, groups=SUBJECT)
    assert_frame_equal(by_groups, audit(GroupKFold(2), X, Y, subject=SUBJECT))
    assert by_groups["subjects_shared"].tolist() == [0, 0]
    # The splitter gets the groups; the subjects stay those of the table.
    held_out = audit(GroupKFold(2), table(), Y, groups=[0, 1, 0, 1, 0, 1])
    assert held_out["subjects_shared"].tolist() == [2, 2]
    both = pd.DataFrame({"subject": SUBJECT, "stimulus": STIMULUS})
    assert audit(SubjectKFold(2), X, Y, groups=both)["stimuli_shared"].notna().all()
    by_both = audit(GroupKFold(2), X, Y, groups=both)
    assert by_both["subjects_shared"].tolist() == [0, 0]
    assert by_both["stimuli_shared"].notna().all()
    by_stimulus = audit(make_protocol("stimulus", 2), X, Y, groups=STIMULUS)
    assert by_stimulus["stimuli_shared"].tolist() == [0, 0]
    assert by_stimulus["subjects_shared"].isna().all()


def test_the_verdict_is_one_sentence():
    clean = audit(SubjectKFold(2), table(eda=walks(6)), Y)
    assert clean.attrs["verdict"] == (
        "No leak found among trials, subjects, identical recordings, copied or overlapping "
        "recordings (15 pairs of recordings compared), shared by design: stimuli, unknown: "
        "viewing groups, overlapping windows."
    )
    leaking = audit([FOLD, ([0], [1])], table(), Y)
    assert leaking.attrs["verdict"] == (
        "Leak, in both training and test: 1 subject in 2 of 2 folds, 1 stimulus in 1 of 2 folds."
    )
