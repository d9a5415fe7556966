"""What training and test share, counted; and which of it a protocol's name does not announce."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from edaemo.evaluation._audit import audit, leaks
from edaemo.model_selection import PROTOCOLS, SubjectKFold, TrialKFold, make_protocol

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
    assert ("1 subject on" in "".join(told)) == (name == "within-subject")


def test_leaks_in_words():
    X = table(viewing_group=GROUP, eda=recordings(0, 1, 2, 1, 4, 5))
    counted = audit([FOLD, ([0, 1], [4]), ([0, 1], [1, 2])], X, Y)
    assert leaks(counted, {"stimulus"}) == [
        "fold 0: 1 subject, 1 viewing group, 1 identical recording on both sides",
        "fold 2: 1 trial, 1 subject, 1 identical recording on both sides",
    ]
    # Where people cross, those they watched with do; identical recordings are never may_share.
    assert leaks(counted, TrialKFold.may_share) == [
        "fold 0: 1 identical recording on both sides",
        "fold 2: 1 trial, 1 identical recording on both sides",
    ]
    assert leaks(counted, [])[1] == "fold 1: 1 stimulus on both sides"
    assert leaks(audit([FOLD], X[["subject"]], Y), iter(["stimulus"])) == [
        "fold 0: 1 subject on both sides"
    ]


def test_an_empty_side_is_counted_and_no_error():
    (row,) = audit([([0, 1], [])], table(eda=recordings(*range(6))), Y).to_dict("records")
    assert (row["n_test"], row["subjects_shared"], row["recordings_shared"]) == (0, 0, 0)
    assert np.isnan(row["share_test_low"])


def test_a_hundred_folds_of_a_large_study_take_seconds():
    rng = np.random.default_rng(0)
    n = 7962
    X = pd.DataFrame({"subject": rng.integers(0, 457, n), "stimulus": rng.integers(0, 794, n)})
    X["eda"] = list(rng.normal(size=(n, 1500)))
    y = rng.integers(0, 2, n)
    folds = [fold for _ in range(10) for fold in KFold(10).split(X)]
    start = time.process_time()
    assert len(audit(folds, X, y)) == 100
    assert time.process_time() - start < 10  # four seconds on a machine at rest
