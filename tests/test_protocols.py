"""The protocols as splitters: what is held out, balance, seeds, ids, routing, inner validation."""

import doctest
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedGroupKFold,
    cross_val_predict,
    cross_validate,
)

from edaemo.model_selection import (
    PROTOCOLS,
    CalibratedSubjectKFold,
    LeaveOneSubjectOut,
    PaperKFold,
    StimulusKFold,
    SubjectKFold,
    SubjectStimulusKFold,
    TrialKFold,
    WithinSubjectKFold,
    make_protocol,
)

IDS = ["subject", "stimulus"]
NAMES = [
    "subject",
    "subject-loso",
    "subject+stimulus",
    "stimulus",
    "within-subject",
    "trial",
    "paper",
]
SEEDED = [name for name in NAMES if name != "subject-loso"]


def make_study(seed=0, n_people=12, n_stimuli=9, crossed=0.8, repeated=0.1):
    """Make a table of who met what, in random order: not everybody everything, some twice."""
    rng = np.random.default_rng(seed)
    met = rng.random((n_people, n_stimuli)) < crossed
    met[:, :6] = True
    person, stimulus = np.nonzero(met)
    again = rng.random(len(person)) < repeated
    person, stimulus = np.append(person, person[again]), np.append(stimulus, stimulus[again])
    table = pd.DataFrame({"subject": person, "stimulus": stimulus})
    table["subject"] = [f"p{k}" for k in table["subject"]]
    likely = rng.uniform(0.2, 0.8, n_people)[person]
    table["label"] = (rng.random(len(table)) < likely).astype(int)
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


studies = st.builds(
    make_study,
    seed=st.integers(0, 10_000),
    n_people=st.integers(12, 16),
    n_stimuli=st.integers(8, 12),
    crossed=st.floats(0.3, 1),
)


def folds_of(name, table, n_splits=3, seed=0, y="label"):
    return list(make_protocol(name, n_splits, seed).split(table[IDS], table[y]))


def ids(table, rows, *columns):
    return set(table.iloc[rows][list(columns)].itertuples(index=False))


def crossing(table, training, test):
    """Return which kinds of id are on both sides."""
    return {kind for kind in IDS if ids(table, training, kind) & ids(table, test, kind)}


# --- what is held out


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(table=studies)
def test_every_trial_is_tested_once_and_never_trained_on_at_the_same_time(name, table):
    folds = folds_of(name, table)
    assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(table)))
    for training, test in folds:
        assert len(training)
        assert len(test)
        assert not set(training) & set(test)
        assert_array_equal(training, np.unique(training))
        assert_array_equal(test, np.unique(test))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(table=studies)
def test_only_what_the_name_announces_is_on_both_sides(name, table):
    for training, test in folds_of(name, table):
        assert crossing(table, training, test) <= PROTOCOLS[name].may_share


def test_what_each_protocol_shares():
    may_share = {name: set(protocol.may_share) for name, protocol in PROTOCOLS.items()}
    assert may_share == {
        "subject": {"stimulus"},
        "subject-loso": {"stimulus"},
        "subject+stimulus": set(),
        "stimulus": {"subject"},
        "within-subject": {"subject"},
        "trial": {"subject", "stimulus"},
        "paper": {"stimulus"},
        "subject-calibrated": {"subject", "stimulus"},
        "condition-held-out": {"stimulus"},
        "new-people": {"stimulus"},
    }
    warned = {name: protocol.warning for name, protocol in PROTOCOLS.items() if protocol.warning}
    assert warned == {
        "trial": "leaks subjects and stimuli",
        "subject-calibrated": "trains on the first k labelled trials of each test person",
    }


@pytest.mark.parametrize("name", ["subject", "subject-loso", "stimulus", "trial"])
def test_training_is_everything_else(name):
    table = make_study()
    for training, test in folds_of(name, table):
        assert len(training) + len(test) == len(table)


def test_leave_one_out_tests_one_person_at_a_time():
    table = make_study()
    folds = folds_of("subject-loso", table)
    assert [table["subject"][test].unique().tolist() for _, test in folds] == [
        [person] for person in sorted(table["subject"].unique())
    ]


def test_a_block_trains_on_other_people_with_other_stimuli():
    table = make_study(crossed=1, repeated=0)
    folds = folds_of("subject+stimulus", table, n_splits=3)
    assert len(folds) == 9
    for training, test in folds:
        # Fully crossed, a block is 4 of 12 people with 3 of 9 stimuli.
        people, stimuli = ids(table, test, "subject"), ids(table, test, "stimulus")
        assert (len(people), len(stimuli), len(test)) == (4, 3, 12)
        other = [
            row
            for row, trial in table.iterrows()
            if (trial["subject"],) not in people and (trial["stimulus"],) not in stimuli
        ]
        assert_array_equal(training, other)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_without_test_trials_are_left_out_and_not_counted(seed):
    # Six people with one trial each leave at least three of nine blocks without any.
    table = pd.DataFrame({"subject": range(6), "stimulus": [0, 1, 2] * 2})
    y, protocol = [0, 1] * 3, SubjectStimulusKFold(3, random_state=seed)
    search = GridSearchCV(Recorder(), {}, cv=protocol, error_score="raise").fit(table, y)
    folds = list(protocol.split(table, y))
    assert search.n_splits_ == protocol.get_n_splits(table, y) == len(folds) <= 6
    assert sorted(row for _, test in folds for row in test) == list(range(6))


def test_a_block_without_training_trials_is_an_error():
    table = pd.DataFrame({"subject": list("aab"), "stimulus": [1, 2, 1]})
    with pytest.raises(
        ValueError, match=r"1 people with 1 stimuli leave no training trials .*SubjectKFold"
    ):
        list(SubjectStimulusKFold(2).split(table))


@settings(max_examples=15, deadline=None)
@given(table=studies)
def test_within_a_person_whole_stimuli_are_held_out(table):
    folds = folds_of("within-subject", table, n_splits=4)
    assert len(folds) == 4 * table["subject"].nunique()
    for training, test in folds:
        (person,) = ids(table, test, "subject")
        own = np.flatnonzero(table["subject"] == person[0])
        assert_array_equal(np.union1d(training, test), own)
        assert not ids(table, training, "stimulus") & ids(table, test, "stimulus")


def test_within_a_person_trials_are_held_out_where_stimuli_are_unknown():
    table = make_study(crossed=1, repeated=0)
    folds = list(WithinSubjectKFold(5).split(table[["subject"]], table["label"]))
    assert len(folds) == 5 * 12
    assert {len(test) for _, test in folds} == {1, 2}
    by_person = np.reshape([table["label"][test].sum() for _, test in folds], (12, 5))
    assert (np.ptp(by_person, axis=1) <= 1).all()  # stratified: high ones differ by one at most


def test_paper_has_eight_folds_to_train_one_to_validate_one_to_test():
    table = make_study(n_people=30)
    protocol = PaperKFold()
    assert protocol.get_n_splits() == 10
    folds = list(protocol.split(table, table["label"]))
    threes = list(protocol.split_with_validation(table, table["label"]))
    people = [[ids(table, rows, "subject") for rows in three] for three in threes]
    assert [tuple(map(len, three)) for three in people] == [(24, 3, 3)] * 10
    for (training, test), three, (of_training, of_validation, of_test) in zip(
        folds, threes, people, strict=True
    ):
        assert_array_equal(training, three[0])
        assert_array_equal(test, three[2])
        assert not of_training & of_validation
        assert not of_validation & of_test
    # Each fold validates once, and it is the next one's test.
    assert [three[1] for three in people] == [three[2] for three in people[1:] + people[:1]]


# --- viewing groups


def components(pairs):
    """Join sets of people until none has a member in common with another."""
    sets = []
    for pair in pairs:
        linked = [one for one in sets if one & pair]
        sets = [one for one in sets if not one & pair] + [pair.union(*linked)]
    return sets


@pytest.mark.parametrize("name", ["subject", "subject-loso", "subject+stimulus"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_who_watched_together_stays_together(name, seed):
    rng = np.random.default_rng(seed)
    table = make_study(seed, n_people=14)
    group = rng.choice(["g1", "g2", "g3", None, None, None], 14)[table["subject"].factorize()[0]]
    # Long videos are watched together, short ones alone; some change their group.
    group[rng.random(len(table)) < 0.5] = None
    moved = rng.integers(0, len(table), 2)
    group[moved] = "g4"
    table["viewing_group"] = group
    together = [
        {("person", row.subject), ("group", row.viewing_group)}
        if isinstance(row.viewing_group, str)
        else {("person", row.subject)}
        for row in table.itertuples()
    ]
    joined = [{name for kind, name in one if kind == "person"} for one in components(together)]
    for training, test in make_protocol(name, 2).split(table, table["label"]):
        inside = set(table["subject"][training])
        for one in joined:
            assert not (inside & one and set(table["subject"][test]) & one)
    if name == "subject-loso":
        assert LeaveOneSubjectOut().get_n_splits(table) == len(joined)


def test_people_joined_through_others_count_once():
    table = pd.DataFrame({"subject": list("aabbccd")})
    # a-b by g1, b-c by g2: one group of three; d was alone.
    group = ["g1", None, "g1", "g2", np.nan, "g2", None]
    for given_as in (
        {"X": table, "viewing_group": group},
        {"X": table.assign(viewing_group=group)},
        {"X": table.assign(viewing_group=group).set_index(["subject", "viewing_group"])},
        {"X": np.zeros(7), "groups": table.assign(viewing_group=group)},
    ):
        folds = list(SubjectKFold(2).split(**given_as))
        assert sorted(test.tolist() for _, test in folds) == [[0, 1, 2, 3, 4, 5], [6]]
        with pytest.raises(ValueError, match="there are 2 groups of people who watched together"):
            SubjectKFold(3).split(**given_as)
    assert LeaveOneSubjectOut().get_n_splits(table) == 4


def test_nobody_watched_together():
    table = make_study()
    alone = np.full(len(table), None)
    for (_, test), (_, as_before) in zip(
        SubjectKFold().split(table, table["label"], viewing_group=alone),
        SubjectKFold().split(table, table["label"]),
        strict=True,
    ):
        assert_array_equal(test, as_before)


# --- balance and seeds


@settings(max_examples=40, deadline=None)
@given(table=studies, n_splits=st.integers(2, 5), seed=st.integers(0, 99))
def test_numbers_of_units_differ_by_one_at_most(table, n_splits, seed):
    for name, unit in [("subject", "subject"), ("stimulus", "stimulus")]:
        folds = folds_of(name, table, n_splits, seed)
        assert np.ptp([table[unit][test].nunique() for _, test in folds]) <= 1
    folds = folds_of("trial", table, n_splits, seed)
    assert np.ptp([len(test) for _, test in folds]) <= 1
    assert np.ptp([table["label"][test].sum() for _, test in folds]) <= 1


def balance(folds, people, labels):
    """Measure how unlike the folds are: share of class 1, trials, people."""
    share = [abs(labels[test].mean() - labels.mean()) for _, test in folds]
    trials = [len(test) for _, test in folds]
    return (
        np.mean(share),
        np.std(trials) / np.mean(trials),
        np.ptp([len(np.unique(people[test])) for _, test in folds]),
    )


def test_folds_are_at_least_as_alike_as_those_of_stratified_group_k_fold():
    ours, theirs = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        people = np.repeat(np.arange(40), rng.geometric(1 / 15, 40) + 2)
        labels = (rng.random(len(people)) < rng.beta(1.5, 1.5, 40)[people]).astype(int)
        X = np.zeros(len(people))
        mine = SubjectKFold(5, random_state=seed).split(X, labels, people)
        other = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(X, labels, people)
        ours.append(balance(list(mine), people, labels))
        theirs.append(balance(list(other), people, labels))
    assert (np.mean(ours, axis=0) < np.mean(theirs, axis=0)).all()
    assert np.max(ours, axis=0)[2] == 0


def test_a_near_perfect_balance_is_found():
    # Four pairs of people with 1..4 trials each: two folds of ten trials, five of each label, is
    # the best there is; a deal at random may give three and seven.
    people = np.repeat(np.arange(8), [1, 2, 3, 4] * 2)
    labels = (people >= 4).astype(int)
    for seed in range(10):
        for _, test in SubjectKFold(2, random_state=seed).split(people, labels, people):
            assert len(np.unique(people[test])) == 4
            assert (np.abs(np.bincount(labels[test]) - 5) <= 1).all()


@pytest.mark.parametrize(
    "y",
    [
        None,
        np.linspace(1, 9, 90),
        np.arange(90),
        np.random.default_rng(0).uniform(1, 9, (90, 2)),
        pd.DataFrame({"valence": np.arange(90.0), "arousal": 1.5}),
    ],
    ids=["none", "continuous", "many values", "two axes", "ratings"],
)
def test_without_labels_the_numbers_of_trials_are_balanced(y):
    rng = np.random.default_rng(0)
    people = rng.permutation(np.repeat(np.arange(12), [2, 4, 6, 8, 10, 15] * 2))
    folds = [test for _, test in SubjectKFold(3).split(np.zeros(90), y, people)]
    assert [len(np.unique(people[test])) for test in folds] == [4, 4, 4]
    assert np.ptp([len(test) for test in folds]) <= 2


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pd.Categorical, pd.DataFrame])
@pytest.mark.parametrize("values", [[0, 1], ["low", "high"], [False, True], [0.0, 1.0]])
def test_labels_of_any_type_are_balanced_alike(make, values):
    table = make_study()
    y = [values[label] for label in table["label"]]
    high = {values[1]}
    for _, test in SubjectKFold(3).split(table, make(y)):
        assert abs(np.mean([y[row] in high for row in test]) - table["label"].mean()) < 0.05


@pytest.mark.parametrize("name", SEEDED)
def test_seeds_give_the_same_and_other_folds(name):
    table = make_study(n_people=30, n_stimuli=30, crossed=0.3)
    tests = [[tuple(test) for _, test in folds_of(name, table, seed=seed)] for seed in (0, 0, 1, 2)]
    assert tests[0] == tests[1]
    assert len({frozenset(one) for one in tests}) == 3


@pytest.mark.parametrize("name", [name for name in NAMES if name != "trial"])
def test_the_order_of_the_rows_does_not_matter(name):
    table = make_study(5)
    shuffled = table.sample(frac=1, random_state=1)
    before = {frozenset(test) for _, test in folds_of(name, table)}
    folds = folds_of(name, shuffled.reset_index(drop=True))
    assert {frozenset(shuffled.index[test]) for _, test in folds} == before


# --- whose trial it is


def test_metadata_go_before_groups_and_groups_before_the_table():
    one, two, three = [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]
    X = pd.DataFrame({"subject": three, "a": 0.0})

    def pairs(*args, **kwargs):
        return sorted(test.tolist() for _, test in SubjectKFold(2).split(*args, **kwargs))

    assert pairs(X, None, two, subject=one) == [[0, 1], [2, 3]]
    assert pairs(X, None, two) == [[0, 2], [1, 3]]
    assert pairs(X, None, pd.DataFrame({"subject": two})) == [[0, 2], [1, 3]]
    assert pairs(X) == [[0, 3], [1, 2]]
    assert pairs(X.set_index("subject")) == [[0, 3], [1, 2]]
    # One kind of id may come from here, the other from there.
    both = SubjectStimulusKFold(2)
    folds = both.split(X, None, pd.DataFrame({"stimulus": two}), subject=one)
    assert sorted(test.tolist() for _, test in folds) == [[0], [1], [2], [3]]


@pytest.mark.parametrize("name", NAMES)
def test_ids_come_to_the_same_wherever_they_are(name):
    table = make_study()
    protocol, y = make_protocol(name, 3), table["label"].to_numpy()
    zeros = np.zeros((len(table), 2))
    rows = [test.tolist() for _, test in protocol.split(table, y)]
    for X, kwargs in [
        (table.set_index(IDS), {}),
        (table.set_index([*IDS, "label"]).assign(a=1.0), {}),
        (zeros, {"groups": table[IDS]}),
        (zeros, {"groups": table[IDS].to_numpy()}),
        (zeros, {"subject": table["subject"], "stimulus": table["stimulus"]}),
        (zeros.tolist(), {"subject": table["subject"].tolist(), "stimulus": table["stimulus"]}),
        (csr_array(zeros), {"groups": table.set_index(IDS)}),
    ]:
        assert [test.tolist() for _, test in protocol.split(X, y, **kwargs)] == rows
        assert protocol.get_n_splits(X, y, **kwargs) == len(rows)


@pytest.mark.filterwarnings("ignore:Some ids of subject are nearly equal")
@pytest.mark.parametrize(
    "people",
    [
        [1, 2, 3, 4],
        ["a", "b", "c", "d"],
        [1, "1", 2.5, "b"],
        pd.Categorical(["a", "b", "c", "d"]),
        pd.array(["a", "b", "c", "d"], dtype="string"),
        pd.array([1, 2, 3, 4], dtype="Int64"),
        pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]),
    ],
    ids=["int", "str", "mixed", "categorical", "string", "Int64", "dates"],
)
def test_ids_of_any_type(people):
    subject = np.repeat(np.arange(4), 3)
    given = [people[k] for k in subject]
    for kwargs in ({"subject": given}, {"groups": given}, {"subject": pd.Series(given)}):
        folds = list(SubjectKFold(4).split(np.zeros(12), **kwargs))
        assert sorted(test.tolist() for _, test in folds) == np.arange(12).reshape(4, 3).tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["y", "groups", "subject", "stimulus", "viewing_group"])
def test_lengths_are_checked(name, what):
    table = make_study()
    arguments = {"subject": table["subject"], "stimulus": table["stimulus"]}
    arguments[what] = np.zeros(5)
    with pytest.raises(ValueError, match=rf"{what} must hold one value .* {len(table)} trials"):
        make_protocol(name).split(table, **arguments)


def test_a_missing_id_is_named():
    table = make_study(repeated=0)
    table.loc[7, "subject"] = None
    with pytest.raises(ValueError, match=r"subject is missing for row 7 \(.*stimulus \d"):
        SubjectKFold().split(table)
    with pytest.raises(ValueError, match="stimulus is missing for row 1:"):
        StimulusKFold().split(np.zeros(3), stimulus=[1, np.nan, 2])
    # An id that is not needed may be missing.
    StimulusKFold(2).split(table)
    TrialKFold(2).split(table)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("subject", "subject"),
        ("subject-loso", "subject"),
        ("subject+stimulus", "subject"),
        ("stimulus", "stimulus"),
        ("within-subject", "subject"),
        ("paper", "subject"),
    ],
)
def test_an_unknown_id_that_is_needed_is_an_error(name, kind):
    with pytest.raises(ValueError, match=f"needs to know the {kind} .* pass {kind}="):
        make_protocol(name).split(np.zeros((20, 2)))
    with pytest.raises(ValueError, match="must have one of the columns"):
        make_protocol(name).split(np.zeros(3), groups=pd.DataFrame({"person": [1, 2, 3]}))
    with pytest.raises(ValueError, match="array of shape"):
        make_protocol(name).split(np.zeros(3), groups=np.zeros((3, 3)))


def test_both_ids_are_asked_for():
    subject = np.repeat(range(4), 4)
    with pytest.raises(ValueError, match="needs to know the stimulus"):
        SubjectStimulusKFold(2).split(np.zeros(16), subject=subject)
    with pytest.raises(ValueError, match="DataFrame with columns 'subject' and 'stimulus'"):
        SubjectStimulusKFold(2).split(np.zeros(16), groups=subject)


def test_trial_needs_no_ids():
    assert len(list(TrialKFold(4).split(np.zeros(9), groups=np.zeros(9)))) == 4
    assert len(list(TrialKFold(4).split(np.zeros(9)))) == 4


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        (SubjectKFold(7), "n_splits=7, but there are 6 people: use at most 6"),
        (PaperKFold(), "n_splits=10, but there are 6 people: use at most 6"),
        (SubjectStimulusKFold(7), "n_splits=7, but there are 6 people"),
        (SubjectStimulusKFold(6), "n_splits=6, but there are 5 stimuli"),
        (StimulusKFold(6), "n_splits=6, but there are 5 stimuli: use at most 5"),
        (WithinSubjectKFold(6), "n_splits=6, but subject p0 has 5 stimuli: use at most 5"),
        (TrialKFold(31), "n_splits=31, but there are 30 trials: use at most 30"),
    ],
)
def test_fewer_units_than_folds(protocol, says):
    table = make_study(n_people=6, n_stimuli=5, repeated=0)
    with pytest.raises(ValueError, match=says):
        protocol.split(table)


def test_one_person_cannot_be_held_out():
    with pytest.raises(ValueError, match="at least 2 people, got 1"):
        LeaveOneSubjectOut().split(np.zeros(4), groups=[1, 1, 1, 1])
    with pytest.raises(ValueError, match="nothing can be held out"):
        SubjectKFold(2).split(np.zeros(4), groups=[1, 1, 1, 1])


@pytest.mark.parametrize("name", [name for name in SEEDED if name != "paper"])
@pytest.mark.parametrize("n_splits", [1, 0, -3, 2.5, "5", None, True])
def test_wrong_numbers_of_folds_are_refused(name, n_splits):
    with pytest.raises(ValueError, match=r"n_splits must .*at least 2"):
        make_protocol(name, n_splits)


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", [None, -1, 0.5, np.random.RandomState(0)])
def test_seeds_that_give_other_folds_at_every_call_are_refused(name, seed):
    with pytest.raises(ValueError, match=r"random_state must .*the same folds"):
        make_protocol(name, random_state=seed)


def test_the_number_of_folds_needs_the_trials_where_it_depends_on_them():
    for name in ("subject-loso", "subject+stimulus", "within-subject"):
        with pytest.raises(ValueError, match="depends on the trials: pass X"):
            make_protocol(name).get_n_splits()
    for name in ("subject", "stimulus", "trial"):
        assert make_protocol(name, 4).get_n_splits() == 4


# --- inside scikit-learn


class Recorder(ClassifierMixin, BaseEstimator):
    """Remember the people and stimuli of the training rows; score 1 for each kind never met."""

    def __init__(self, power=0):
        self.power = power

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = self._ids(X)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def score(self, X, y):
        """Return 2 if subjects crossed, plus 1 if stimuli did."""
        subjects, stimuli = (bool(a & b) for a, b in zip(self.seen_, self._ids(X), strict=True))
        return 2 * subjects + stimuli

    @staticmethod
    def _ids(X):
        if isinstance(X, pd.DataFrame) and "subject" in X.index.names:
            return [set(X.index.get_level_values(kind)) for kind in IDS]
        return [set(column) for column in np.asarray(X)[:, :2].T]


CROSSED = {  # what the Recorder scores
    "subject": 1,
    "subject-loso": 1,
    "subject+stimulus": 0,
    "stimulus": 2,
    "within-subject": 2,
    "trial": 3,
    "paper": 1,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("given_as", "nested"),
    [
        ("metadata", False),
        ("columns", False),
        ("index", False),
        ("groups", False),
        ("metadata", True),
        ("columns", True),
        ("index", True),  # scikit-learn hands no groups to an inner search
    ],
)
def test_cross_validate_and_nested_search(name, given_as, nested):
    # Everybody met everything, twice, so that what may cross does.
    table = make_study(n_people=20, crossed=1, repeated=1)
    table["subject"] = table["subject"].str[1:].astype(int)
    y, params = table.pop("label").to_numpy(), {}
    estimator, cv = Recorder(), make_protocol(name, 4)
    if nested:
        inner = SubjectKFold(2) if name == "paper" else make_protocol(name, 2)
        estimator = GridSearchCV(estimator, {"power": [0, 1]}, cv=inner, error_score="raise")
    X = {"columns": table, "index": table.set_index(IDS).assign(a=0.0)}.get(
        given_as, table.to_numpy()
    )
    if given_as == "metadata":
        params = {"params": {kind: table[kind] for kind in IDS}}
    elif given_as == "groups":
        params = {"groups": table[IDS]}
    with config_context(enable_metadata_routing=given_as == "metadata"):
        got = cross_validate(
            estimator,
            X,
            y,
            cv=cv,
            error_score="raise",
            return_estimator=True,
            return_indices=True,
            **params,
        )
    for test, (_, expected) in zip(got["indices"]["test"], cv.split(table, y), strict=True):
        assert_array_equal(test, expected)
    assert set(got["test_score"]) == {CROSSED[name]}
    if nested:
        for search in got["estimator"]:
            assert search.cv_results_["mean_test_score"].tolist() == [CROSSED[name]] * 2


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_grid_search_and_cross_val_predict_over_arrays(name, routing):
    table = make_study(n_people=20)
    X, y = np.zeros((len(table), 2)), table["label"]
    given = {kind: table[kind] for kind in IDS}
    with config_context(enable_metadata_routing=routing):
        search = GridSearchCV(Recorder(), {}, cv=make_protocol(name, 3), error_score="raise")
        search.fit(X, y, **(given if routing else {"groups": table[IDS]}))
        predicted = cross_val_predict(
            Recorder(),
            X,
            y,
            cv=make_protocol(name, 3),
            **({"params": given} if routing else {"groups": table[IDS]}),
        )
    assert search.n_splits_ == len(folds_of(name, table))
    assert predicted.tolist() == [0] * len(table)


def test_groups_and_other_names_can_be_routed():
    table = make_study()
    X, y = table[["stimulus"]].to_numpy(), table["label"]
    with config_context(enable_metadata_routing=True):
        for cv, given in [
            (SubjectKFold(3), {"groups": table["subject"]}),
            (SubjectKFold(3).set_split_request(subject="person"), {"person": table["subject"]}),
        ]:
            got = cross_validate(
                Recorder(), np.c_[X, X], y, cv=cv, params=given, return_indices=True
            )["indices"]["test"]
            assert [test.tolist() for test in got] == [
                test.tolist() for _, test in folds_of("subject", table)
            ]


def test_viewing_groups_are_routed():
    table = make_study(n_people=8)
    given = {"subject": table["subject"], "viewing_group": table["subject"].isin(["p1", "p6"])}
    given["viewing_group"] = given["viewing_group"].map({True: "g", False: None})
    with config_context(enable_metadata_routing=True):
        got = cross_validate(
            Recorder(),
            table[["stimulus", "label"]].to_numpy(),
            table["label"],
            cv=LeaveOneSubjectOut(),
            params=given,
            return_indices=True,
        )["indices"]["test"]
    tested = [set(table["subject"][test]) for test in got]
    assert len(tested) == 7
    assert {"p1", "p6"} in tested


@pytest.mark.parametrize("name", NAMES)
def test_repr_clone_and_pickle(name):
    table = make_study()
    protocol = make_protocol(name, 4, 7)
    search = clone(GridSearchCV(Recorder(), {}, cv=protocol))
    for copy in (search.cv, pickle.loads(pickle.dumps(protocol))):
        assert repr(copy) == repr(protocol)
        assert [test.tolist() for _, test in copy.split(table)] == [
            test.tolist() for _, test in protocol.split(table)
        ]
    assert repr(SubjectKFold(3)) == "SubjectKFold(n_splits=3, random_state=0)"
    assert repr(PaperKFold()) == "PaperKFold(random_state=0)"
    assert repr(LeaveOneSubjectOut()) == "LeaveOneSubjectOut()"


# --- people with labelled trials


def calibrated_table(n_people=6, n_trials=8):
    """Rows in no order; ``trial`` counts the trials of a person from 10."""
    index = pd.MultiIndex.from_product([range(n_people), range(10, 10 + n_trials)])
    table = index.to_frame(index=False, name=["subject", "trial"])
    return table.sample(frac=1, random_state=0).reset_index(drop=True)


def test_the_first_trials_of_a_test_person_are_in_training_and_never_tested():
    table = calibrated_table()
    tested = []
    for training, test in CalibratedSubjectKFold(3, k=2).split(table):
        people = table["subject"][test].unique()
        theirs = table[table["subject"].isin(people)]
        assert set(theirs.index[theirs["trial"] >= 12]) == set(test)
        assert set(theirs.index[theirs["trial"] < 12]) == set(training) & set(theirs.index)
        assert len(training) + len(test) == len(table)
        tested += [*test]
    assert sorted(tested) == list(np.flatnonzero(table["trial"] >= 12))


def test_the_same_trials_are_tested_for_every_number_of_labelled_trials():
    table = calibrated_table()
    folds = {k: list(CalibratedSubjectKFold(3, k=k, first_tested=5).split(table)) for k in (0, 5)}
    for (without, test), (with_labels, same) in zip(*folds.values(), strict=True):
        assert_array_equal(test, same)
        assert (table["trial"][test] >= 15).all()
        added = table.loc[np.setdiff1d(with_labels, without)]
        assert set(added["subject"]) == set(table["subject"][test])
        assert set(added["trial"]) == set(range(10, 15))
        assert not set(without) - set(with_labels)


def test_without_labelled_trials_whole_people_are_held_out():
    table = calibrated_table()
    for fold, expected in zip(
        CalibratedSubjectKFold(3, k=0).split(table), SubjectKFold(3).split(table), strict=True
    ):
        for rows, same in zip(fold, expected, strict=True):
            assert_array_equal(rows, same)


def test_people_who_watched_together_have_first_trials_of_their_own():
    table = calibrated_table().assign(viewing_group=lambda t: t["subject"] // 2)
    for training, test in CalibratedSubjectKFold(3, k=2).split(table):
        assert table["subject"][test].nunique() == 2
        assert len(set(table["viewing_group"][test])) == 1
        assert (table.loc[test].groupby("subject").size() == 6).all()
        known = table.loc[training][table["subject"][training].isin(table["subject"][test])]
        assert [sorted(trials) for _, trials in known.groupby("subject")["trial"]] == [[10, 11]] * 2


def test_people_with_few_trials_are_always_in_training():
    table = calibrated_table()
    table = table[(table["subject"] < 5) | (table["trial"] < 12)].reset_index(drop=True)
    for training, test in CalibratedSubjectKFold(2, k=2).split(table):
        assert 5 not in set(table["subject"][test])
        assert (table["subject"][training] == 5).sum() == 2
    with pytest.raises(ValueError, match="No subject has more than 8 trials"):
        list(CalibratedSubjectKFold(2, k=8).split(table))
    with pytest.raises(ValueError, match="first_tested must be an integer of at least k=3"):
        CalibratedSubjectKFold(2, k=3, first_tested=2)


# --- inner validation


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(table=studies, n_inner=st.integers(2, 3))
def test_validation_is_held_out_of_training_as_the_test_is(name, table, n_inner):
    protocol, may_share = make_protocol(name, 2), PROTOCOLS[name].may_share
    folds = folds_of(name, table, 2)
    threes = list(protocol.split_with_validation(table, table["label"], n_inner=n_inner))
    again = list(protocol.split_with_validation(table, table["label"], n_inner=n_inner))
    assert len(threes) == len(folds)
    for (outer, expected), three, repeated in zip(folds, threes, again, strict=True):
        training, validation, test = three
        assert_array_equal(test, expected)
        assert len(training)
        assert len(validation)
        for one, other in [(training, validation), (training, test), (validation, test)]:
            assert not set(one) & set(other)
            assert crossing(table, one, other) <= may_share
        if name != "paper":
            assert set(training) | set(validation) <= set(outer)
        for rows, same in zip(three, repeated, strict=True):
            assert_array_equal(rows, same)


def test_sizes_of_training_validation_and_test():
    table = make_study(n_people=20, n_stimuli=12, crossed=1, repeated=0)

    def parts(name):
        protocol = make_protocol(name, 4)
        return protocol.split_with_validation(table, table["label"], n_inner=5)

    for three in parts("subject"):  # 15 people are left by the test, and a fifth of them validates
        assert [table["subject"][rows].nunique() for rows in three] == [12, 3, 5]
    for three in parts("subject+stimulus"):  # and so with 9 stimuli
        assert [table["subject"][rows].nunique() for rows in three] == [12, 3, 5]
        assert [table["stimulus"][rows].nunique() for rows in three] == [7, 2, 3]
        assert list(map(len, three)) == [12 * 7, 3 * 2, 5 * 3]
    for three in parts("trial"):
        assert list(map(len, three)) == [144, 36, 60]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "paper"])
def test_validation_is_the_first_fold_of_the_inner_protocol(name):
    table = make_study(n_people=15, n_stimuli=12)
    protocol = make_protocol(name, 3, 1)
    folds, threes = (
        split(table, table["label"])
        for split in (
            protocol.split,
            lambda *data: protocol.split_with_validation(*data, n_inner=3),
        )
    )
    for (rows, _), (training, validation, _) in zip(folds, threes, strict=True):
        inner = protocol.inner(3).split(table.iloc[rows], table["label"].iloc[rows])
        expected = next(iter(inner))
        assert_array_equal(training, rows[expected[0]])
        assert_array_equal(validation, rows[expected[1]])


@pytest.mark.parametrize("name", NAMES)
def test_inner_holds_out_the_same_kind_of_unit(name):
    table = make_study(n_people=20, crossed=1, repeated=1)
    inner = make_protocol(name, 4, 3).inner(2)
    assert inner.n_splits == 2
    training, _ = folds_of(name, table, 4)[0]
    for fit, validation in inner.split(table.iloc[training], table["label"].iloc[training]):
        part = table.iloc[training]
        assert crossing(part, fit, validation) == PROTOCOLS[name].may_share
    if name != "subject-loso":
        assert inner.random_state == 3


def test_viewing_groups_stay_together_in_validation():
    table = make_study(n_people=16, crossed=1)
    table["viewing_group"] = table["subject"].map(lambda p: f"g{int(p[1:]) // 2}")
    for rows in SubjectKFold(4).split_with_validation(table, table["label"], n_inner=3):
        groups = [set(table["viewing_group"][part]) for part in rows]
        assert [len(group) for group in groups] == [4, 2, 2]
        assert not groups[0] & groups[1]


def test_too_few_units_for_validation_are_an_error():
    table = make_study(n_people=6)
    with pytest.raises(
        ValueError, match=r"fold 0 .* n_inner=5. n_splits=5, but there are 3 people"
    ):
        SubjectKFold(2).split_with_validation(table, table["label"], n_inner=5)


# --- by name


def test_protocols_by_name():
    added = ["subject-calibrated", "condition-held-out", "new-people"]
    assert list(PROTOCOLS) == [*NAMES, *added]
    assert {name: repr(make_protocol(name, 3, 4)) for name in NAMES} == {
        "subject": "SubjectKFold(n_splits=3, random_state=4)",
        "subject-loso": "LeaveOneSubjectOut()",
        "subject+stimulus": "SubjectStimulusKFold(n_splits=3, random_state=4)",
        "stimulus": "StimulusKFold(n_splits=3, random_state=4)",
        "within-subject": "WithinSubjectKFold(n_splits=3, random_state=4)",
        "trial": "TrialKFold(n_splits=3, random_state=4)",
        "paper": "PaperKFold(random_state=4)",
    }


def test_unknown_names_are_told_the_near_ones():
    with pytest.raises(ValueError, match=r"Unknown protocol 'subjects': did you mean 'subject'"):
        make_protocol("subjects")
    with pytest.raises(ValueError, match=r"Unknown protocol 'loocv': there are \['subject', "):
        make_protocol("loocv")
    with pytest.raises(ValueError, match="Unknown protocol 5"):
        make_protocol(5)


def test_code_in_the_page_about_protocols_runs():
    page = Path(__file__).parents[1] / "docs" / "protocols.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted > 20
    assert not result.failed
