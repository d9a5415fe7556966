"""One rule for ids: 1 and "1", "p0" and "p0 " are different, and a warning names them."""

import warnings

import numpy as np
import pandas as pd
import pytest

from edaemo import SubjectThresholdRelabeler
from edaemo._ids import near_ids, warn_of_near_ids
from edaemo.benchmark import audit
from edaemo.estimators import SubjectPriorClassifier
from edaemo.model_selection import SubjectKFold, make_protocol
from edaemo.preprocessing import SubjectStandardizer
from edaemo.statistics import (
    classification_summary,
    compare_pipelines,
    permutation_test,
    summarise_predictions,
)

PAIRS = [(1, "1"), ("p0", "p0 "), ("P01", "p1")]


def people(first, second):
    """Two people with six trials each, their labels and ratings."""
    subject = np.array([first, second] * 6, dtype=object)
    label = np.array([0, 0, 1, 1] * 3)
    ratings = pd.DataFrame({"valence": np.arange(12.0) ** 2, "arousal": np.arange(12.0)})
    ratings.loc[1::2] += 5
    return subject, label, ratings


def count_in_statistics(subject, label, _):
    trials = pd.DataFrame({"subject": subject, "label": label, "row": range(12)})
    parts = [
        trials.assign(pipeline=name, predicted=values)
        for name, values in {"a": label, "b": 1 - label}.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    compared, summary = compare_pipelines(table), summarise_predictions(table)
    assert set(summary["n_people"]) == {2}
    return set(compared["n_people"])


def count_in_summary(subject, label, _):
    return set(classification_summary(label, label, subject=subject)["n_people"])


def count_in_permutation(subject, label, _):
    # Within each of two people 6 of 20 orders have all labels right; as one person 1 of 924 has.
    many = permutation_test(label, label, subject=subject, n_permutations=400, random_state=0)
    return {2 if 0.001 < many.p_value < 0.02 else 1}


def count_in_protocol(subject, label, _):
    return {len(list(SubjectKFold(2).split(np.eye(12), label, subject=subject)))}


def count_in_folds(subject, label, _):
    sides = [np.flatnonzero(subject == person) for person in (subject[0], subject[1])]
    tested = [test for _, test in SubjectKFold(2).split(np.eye(12), label, groups=subject)]
    assert sorted(map(tuple, tested)) == sorted(map(tuple, sides))
    return {len(list(make_protocol("subject-loso").split(np.eye(12), label, subject=subject)))}


def count_in_relabeler(subject, _, ratings):
    return {len(SubjectThresholdRelabeler().fit(ratings, subject=subject).thresholds_)}


def count_in_standardizer(subject, _, ratings):
    scaled = SubjectStandardizer().fit_transform(ratings.to_numpy(), subject=subject)
    both = [scaled[subject == person].mean(axis=0) for person in (subject[0], subject[1])]
    return {2 if np.allclose(both, 0, atol=1e-6) else 1}


def count_in_prior(subject, label, _):
    X = pd.DataFrame({"subject": subject, "trial": range(12)})
    label = np.where(np.arange(12) % 2, 1, 0)  # each person has one label
    predicted = SubjectPriorClassifier().fit(X, label).predict(X)
    return {2 if (predicted == label).all() else 1}


def count_in_audit(subject, label, _):
    folds = [(range(12), range(12))]
    return set(audit(folds, np.eye(12), label, subject=subject)["n_subjects_test"])


COUNTS = [
    count_in_statistics,
    count_in_summary,
    count_in_permutation,
    count_in_protocol,
    count_in_folds,
    count_in_relabeler,
    count_in_standardizer,
    count_in_prior,
    count_in_audit,
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("count", COUNTS, ids=lambda count: count.__name__)
def test_near_ids_are_two_people_everywhere_and_named(count, first, second):
    with pytest.warns(UserWarning) as noted:
        assert count(*people(first, second)) == {2}
    named = [str(note.message) for note in noted if "nearly equal" in str(note.message)]
    assert named
    assert all(repr(first) in text and repr(second) in text for text in named)


def test_ids_of_numpy_are_named_as_they_are_written():
    with pytest.warns(UserWarning, match="count as different: 1 and '1'"):
        warn_of_near_ids("subject", [np.int64(1), np.str_("1")])


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: count.__name__)
def test_different_ids_are_not_warned_of(count):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count(*people("p1", "p2")) == {2}


def test_near_ids_by_hand():
    assert near_ids([1, "1", 2]) == [[1, "1"]]
    assert near_ids(["p0", "p0 ", "P0", "p00", "p1", "p10"]) == [["p0", "p0 ", "P0", "p00"]]
    assert near_ids([1, 1.0, np.int64(1)]) == []  # equal
    assert near_ids(["1.0", "1"]) == [["1.0", "1"]]
    assert near_ids(["p1-1", "p11", "1.5", "15", None, np.nan, pd.NA, ""]) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("\ufeffp1", "p1"),  # the mark at the beginning of a file
        ("p1\u200b", "p1"),
        ("p1\t", "p1"),
        ("Zo\u00eb", "Zoe\u0308"),  # as file systems of macOS write it
        ("\uff301", "p1"),
        (b"p1", "p1"),  # as HDF5 holds it
        ("sub-01", "SUB_1"),
    ],
    ids=ascii,
)
def test_ids_that_look_the_same_are_near(first, second):
    assert near_ids([first, "z", second]) == [[first, second]]
