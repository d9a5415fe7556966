"""What needs no EDA."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.utils import Bunch

from edaemo import SubjectThresholdRelabeler
from edaemo.benchmark import (
    StimulusPriorClassifier,
    SubjectPriorClassifier,
    make_duration_baseline,
    make_trial_order_baseline,
)
from edaemo.datasets import load_induced_stress

pytestmark = pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")

PRIORS = pytest.mark.parametrize(
    ("make", "key"), [(StimulusPriorClassifier, "stimulus"), (SubjectPriorClassifier, "subject")]
)


@pytest.fixture
def y(few: Bunch) -> np.ndarray:
    return SubjectThresholdRelabeler().fit_relabel(few.ratings, subject=few.subject)


@PRIORS
class TestPriors:
    def test_probability_is_the_share_of_the_label_among_training_trials_of_the_same(
        self, make, key
    ):
        model = make().fit(pd.DataFrame({key: list("aaabbc")}), [1, 1, 0, 0, 0, 1])
        new = pd.DataFrame({key: list("abcz")})
        assert_allclose(model.predict_proba(new)[:, 1], [2 / 3, 0, 1, 3 / 6])
        # z was never met and the classes are even in training: the first class
        assert_array_equal(model.predict(new), [1, 0, 1, 0])
        assert_allclose(model.prior_.loc["a", 1], 2 / 3)

    def test_tie_goes_to_the_class_more_frequent_in_training(self, make, key):
        model = make().fit(pd.DataFrame({key: list("aabb")}), ["no", "yes", "yes", "yes"])
        assert list(model.predict(pd.DataFrame({key: ["a", "z"]}))) == ["yes", "yes"]

    def test_every_other_column_is_as_good_as_absent(self, few: Bunch, y, make, key):
        model = make().fit(few.trials, y)
        other = few.trials.assign(
            **few.trials[[c for c in few.trials.columns if c != key]]
            .sample(frac=1, random_state=0)
            .reset_index(drop=True)
        )
        assert_array_equal(make().fit(other, y).predict_proba(other), model.predict_proba(other))
        by_index = few.trials.set_index(key)[["trial"]]
        expected = model.predict_proba(few.trials)
        assert_array_equal(make().fit(by_index, y).predict_proba(by_index), expected)

    def test_missing_one_is_named(self, make, key):
        with pytest.raises(ValueError, match=f"{key} is missing for row 1"):
            make().fit(pd.DataFrame({key: ["a", None, "b"]}), [0, 1, 1])


def test_subject_prior_is_the_majority_where_whole_people_are_held_out(few: Bunch, y):
    for training, test in GroupKFold(3).split(few.trials, y, few.subject):
        model = SubjectPriorClassifier().fit(few.trials.iloc[training], y[training])
        shares = np.bincount(y[training]) / len(training)
        assert_allclose(model.predict_proba(few.trials.iloc[test]), [shares] * len(test))


@pytest.mark.parametrize(
    ("make", "column"), [(make_trial_order_baseline, "trial"), (make_duration_baseline, "duration")]
)
def test_tree_knows_its_column_and_nothing_else(few: Bunch, y, make, column):
    expected = make().fit(few.trials, y).predict(few.trials)
    others = [name for name in few.trials.columns if name != column]
    shuffled = few.trials.assign(
        **few.trials[others].sample(frac=1, random_state=0).reset_index(drop=True)
    )
    model = make().fit(shuffled, y)
    assert_array_equal(model.predict(shuffled), expected)
    assert len(np.unique(expected)) == 2
    by_value = pd.Series(expected).groupby(few.trials[column].to_numpy()).nunique()
    assert (by_value == 1).all()


def test_duration_tells_rest_from_task():
    """Rests last 163 s and longer, and only 19 of 162 tasks do: a threshold alone gives 0.94."""
    study = load_induced_stress()
    task = study.targets["task"]
    folds = {"cv": GroupKFold(5), "groups": study.trials["subject"]}
    predicted = cross_val_predict(make_duration_baseline(), study.trials, task, **folds)
    assert balanced_accuracy_score(task, predicted) > 0.85
