"""The recommended pipeline, the rows that are evaluated with it, and designs of studies."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import wilcoxon
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from edaemo.benchmark import PIPELINES, EvaluationError, audit, evaluate, load_predictions
from edaemo.datasets import Study
from edaemo.estimators import (
    make_level_baseline,
    make_recommended,
    make_trial_order_baseline,
    make_trial_order_reversed,
)
from edaemo.estimators._baselines import OppositeClassifier
from edaemo.features import EDAFeatureExtractor
from edaemo.model_selection import PROTOCOLS, make_protocol
from edaemo.statistics import describe_claims, format_table
from edaemo.statistics._claims import find_detectable, find_needed

RATE = 4.0
CONTEXT = 5.0


def make_study(n_people=12, n_trials=8, effect=0.4, seed=0, **fields) -> Study:
    """Make a study in which the level rises with the label, by `effect` of 1 µS in the log.

    The first half of the people has the label 1 in the first half of the session, the others in
    the second half.
    """
    rng = np.random.default_rng(seed)
    rows = []
    time = np.arange(-CONTEXT, 20, 1 / RATE)
    for person in range(n_people):
        own = rng.normal(1, 0.7)
        for trial in range(n_trials):
            label = (trial < n_trials // 2) == (person < n_people // 2)
            level = np.exp(own + effect * label + 0.1 * rng.standard_normal())
            waves = 0.02 * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * time + rng.uniform(0, 6))
            rows.append(
                {
                    "subject": f"p{person:02d}",
                    "stimulus": f"s{(trial + person) % 4}",
                    "trial": trial,
                    "eda": level + waves,
                    "version": "first" if person < n_people // 2 else "last",
                    "label": "high" if label else "low",
                }
            )
    trials = pd.DataFrame(rows)
    target = trials.pop("label")
    given = {"name": "levels", "ratings": pd.DataFrame(index=trials.index), "music": None}
    return Study(
        trials=trials,
        targets={"condition": target},
        sampling_rate=RATE,
        context=CONTEXT,
        **{**given, **fields},
    )


def run(study, pipelines, tmp_path, protocol="subject", **options):
    options = {"n_splits": 3, "n_jobs": 1, "progress": False, **options}
    return evaluate(pipelines, study, "condition", protocol, store=tmp_path / "s", **options)


# The recommended pipeline


def by_person(features: pd.DataFrame) -> np.ndarray:
    people = features.astype(float).groupby(level="subject")
    values = (features - people.transform("mean")) / people.transform("std", ddof=0)
    return np.nan_to_num(values.to_numpy())  # a constant column becomes 0


def test_recommended_is_a_logistic_regression_on_compact_features_by_person():
    study = make_study()
    y = study.targets["condition"].to_numpy()
    rows = EDAFeatureExtractor(RATE, preset="compact", context=CONTEXT).transform(study.trials)
    training = study.trials["subject"].to_numpy() < "p08"
    values = by_person(rows)
    mean, std = values[training].mean(axis=0), values[training].std(axis=0)
    std[std == 0] = 1
    logistic = LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000)
    logistic.fit((values[training] - mean) / std, y[training])
    expected = logistic.predict_proba((values[~training] - mean) / std)
    model = make_recommended(RATE, context=CONTEXT).fit(study.trials[training], y[training])
    assert_allclose(model.predict_proba(study.trials[~training]), expected, atol=2e-3)
    of_features = make_recommended().fit(rows[training], y[training])
    assert_array_equal(of_features.predict(rows[~training]), model.predict(study.trials[~training]))


def test_level_baseline_uses_the_level_alone():
    study = make_study()
    y = study.targets["condition"].to_numpy()
    rows = EDAFeatureExtractor(RATE, preset="compact", context=CONTEXT).transform(study.trials)
    model = make_level_baseline().fit(rows, y)
    others = rows.columns != "eda_log_level"
    assert_array_equal(
        model.predict(rows.assign(**dict.fromkeys(rows.columns[others], 0))), model.predict(rows)
    )
    above = by_person(rows)[:, rows.columns.get_loc("eda_log_level")] > 0
    assert_array_equal(model.predict(rows) == "high", above)


def test_a_level_effect_is_found_by_both_and_not_by_the_128_features(tmp_path):
    table = run(make_study(effect=1.0), ["recommended", "svm-eda"], tmp_path)
    table = table.set_index("pipeline")
    scores = table["balanced_accuracy_by_person"]
    assert scores[["recommended", "level-person"]].min() > 0.95
    assert scores["svm-eda"] < 0.8
    assert table.loc[["recommended", "level-person"], "transductive"].all()
    assert (table.loc[["recommended", "level-person"], "uses"] == "eda").all()
    assert "level-person" in table.loc["recommended", "family"]


def test_evaluate_removes_the_seconds_before_the_onset(tmp_path):
    study = make_study(seed=1)
    study.trials["eda"] = [
        np.r_[np.full(20, 1.0 + (label == "high")), eda[20:]]
        for eda, label in zip(study.trials["eda"], study.targets["condition"], strict=True)
    ]
    kept = Study(**{**study, "context": 0.0})
    score = {}
    for name, data in {"removed": study, "part of the trial": kept}.items():
        folder = tmp_path / name
        folder.mkdir()
        table = run(data, "level-person", folder).set_index("pipeline")
        score[name] = table.loc["level-person", "balanced_accuracy_by_person"]
    assert score["removed"] != score["part of the trial"]
    assert len({str(score[name]) for name in score}) == 2


# Designs


def test_condition_held_out_trains_on_people_with_the_other_version():
    study = make_study()
    folds = list(make_protocol("condition-held-out").split(study.trials))
    assert len(folds) == 2
    for training, test in folds:
        versions = [set(study.trials["version"].iloc[rows]) for rows in (training, test)]
        assert versions[0].isdisjoint(versions[1])
        assert len(training) == len(test) == 48
    both = study.trials.assign(version=["a", "b"] * 48)
    with pytest.raises(ValueError, match="All people have trials of the same version"):
        make_protocol("condition-held-out").split(both)
    with pytest.raises(ValueError, match="All trials have the same version"):
        make_protocol("condition-held-out").split(study.trials.assign(version="a"))
    with pytest.raises(ValueError, match="needs to know the version"):
        make_protocol("condition-held-out").split(study.trials.drop(columns="version"))


def test_order_that_tells_the_label_fails_if_the_condition_is_held_out(tmp_path):
    study = make_study()
    table = run(study, "recommended", tmp_path, "condition-held-out").set_index("pipeline")
    scores = table["balanced_accuracy_by_person"]
    assert scores["trial-order"] == 0  # the other order is its opposite
    assert scores["trial-order-reversed"] == 1
    assert scores["recommended"] > 0.8
    assert not table.loc["recommended", "reads_eda"]  # the reversed order is above it
    assert table.loc["recommended", "nearest_reads_eda"] == "trial-order-reversed"


def test_opposite_of_two_classes_is_the_other_one():
    X, y = np.arange(10.0)[:, None], np.repeat(["a", "b"], 5)
    opposite = OppositeClassifier(DecisionTreeClassifier()).fit(X, y)
    assert_array_equal(opposite.predict(X), np.repeat(["b", "a"], 5))
    trials = make_study().trials[:48]  # all of one version
    labels = trials["trial"] < 4
    straight = make_trial_order_baseline().fit(trials, labels).predict(trials)
    reversed_ = make_trial_order_reversed().fit(trials, labels).predict(trials)
    assert_array_equal(straight, labels)
    assert_array_equal(reversed_, ~labels)


def order_of(trials, labels):
    return audit(make_protocol("subject", 2), trials, labels).attrs["order"]


def test_order_is_reported_with_and_without_a_line():
    trials = make_study(n_people=40).trials.drop(columns="eda")
    early = trials["trial"].to_numpy() < 4
    assert order_of(trials, early).startswith(
        "the trial order predicts the label with AUC 1.00 (linear), 1.00 (any shape"
    )
    assert order_of(trials.assign(trial=0), early) == ""  # the order is not known
    middle = trials["trial"].isin([2, 3, 4, 5]).to_numpy()
    assert "AUC 0.50 (linear), 1.00 (any shape, from other people)" in order_of(trials, middle)
    by_version = early == (trials["version"] == "first").to_numpy()
    text = order_of(trials, by_version)
    assert text.endswith("; people by version: first 20, last 20.")
    linear, shape = (float(part.split()[0]) for part in text.split("AUC ")[1].split(", ")[:2])
    assert linear == 0.5
    assert shape < 0.5  # orders are balanced: a half of the people is the reverse of the other


# People who were scored before


def make_scored(**fields):
    people = tuple(f"p{k:02d}" for k in (0, 1, 2, 3, 6, 7, 8, 9))
    once = (("condition", "new-people", "recommended"),)
    return make_study(development=people, scored_once=once, **fields)


def test_new_people_trains_on_development_people_and_tests_the_others(tmp_path):
    study = make_scored(effect=1.0)
    table = run(study, "recommended", tmp_path, "new-people")
    assert table["n_people"].unique() == 4
    assert table["n_trials"].unique() == 32
    assert table["n_training"].unique() == 64
    assert table["n_folds"].unique() == 1
    assert table["people"].unique() == "evaluation"
    y, trials = study.targets["condition"], study.trials
    test = ~trials["subject"].isin(study.development)
    model = make_recommended(RATE, context=CONTEXT).fit(trials[~test], y[~test])
    by_hand = np.mean(model.predict(trials[test]) == y[test])  # both classes are equally frequent
    found = table.set_index("pipeline").loc["recommended", "accuracy"]
    assert found == pytest.approx(by_hand)
    for people in ("development", "all"):
        with pytest.raises(EvaluationError, match="set people='evaluation'"):
            run(study, "recommended", tmp_path, "new-people", people=people)
    with pytest.raises(ValueError, match="no development people"):
        run(make_study(), "recommended", tmp_path, "new-people")


def test_only_what_was_fixed_first_has_a_verdict(tmp_path):
    study = make_scored(effect=1.0)
    table = run(study, ["recommended", "svm-eda"], tmp_path, "new-people").set_index("pipeline")
    assert table["second_look"].to_dict() == {
        **{name: False for name in table.index if table.loc[name, "reference"]},
        "recommended": False,
        "level-person": True,
        "svm-eda": True,
    }
    assert table["family"].unique() == "recommended"
    assert table.loc["recommended", "n_claims"] == 1
    assert table.loc[["svm-eda", "level-person"], "reads_eda"].isna().all()
    assert table.loc["svm-eda", "balanced_accuracy_by_person"] > 0  # the score is shown
    assert describe_claims(table.loc["svm-eda"]) == "second look, no verdict"
    text = " ".join(format_table(table.reset_index()).split())
    assert "| svm-eda ‡" in text and "| recommended * |" in text
    assert "‡ Second look" in text
    other = run(study, "recommended", tmp_path, "subject", n_splits=2).set_index("pipeline")
    assert other.loc["recommended", "second_look"]
    assert "No verdict" in format_table(other.reset_index())
    developed = run(study, "recommended", tmp_path, people="development")
    assert not developed["second_look"].any()


def test_seeds_of_one_split_do_not_widen_intervals(tmp_path):
    study, ends = make_scored(effect=1.0), ["f1", "f1_low", "f1_high"]
    once = run(study, "recommended", tmp_path, "new-people").set_index("pipeline")
    twice = run(study, "recommended", tmp_path, "new-people", n_repeats=2).set_index("pipeline")
    assert not once["widened"].any() and not twice["widened"].any()
    assert_allclose(twice.loc["recommended", ends], once.loc["recommended", ends])
    text = " ".join(format_table(twice.reset_index()).split())
    assert "over people; it includes the spread over 2 repeats." in text
    folds = run(study, "recommended", tmp_path, "subject", n_splits=2)
    assert folds["widened"].all()
    assert "widened because" in " ".join(format_table(folds).split())


def test_names_are_registered():
    assert {"recommended", "level-person", "trial-order-reversed"} <= {*PIPELINES}
    assert {"condition-held-out", "new-people"} <= {*PROTOCOLS}


def test_scores_by_version_stand_beside_the_mean(tmp_path):
    table = run(make_study(), "recommended", tmp_path, "condition-held-out").set_index("pipeline")
    predictions = load_predictions(tmp_path / "s")
    own = predictions[predictions["pipeline"] == "recommended"]
    right = (own["label"] == own["predicted"]).groupby(own["subject"]).mean()
    first, last = right[right.index < "p06"].mean(), right[right.index >= "p06"].mean()
    row = table.loc["recommended"]
    assert row["by_version"] == f"first {first:.3f} (6 people), last {last:.3f} (6 people)"
    assert row["over_versions"] == pytest.approx((first + last) / 2)
    assert f"mean over versions {row['over_versions']:.3f}" in format_table(table.reset_index())


@pytest.mark.parametrize("effect", [0.3, 0.5, 1.0])
def test_people_needed_have_the_power(effect):
    """Simulated: Wilcoxon's test finds the gain in about 80 % of studies of this size."""
    gains = effect + np.array([-1.0, 1.0]) * np.sqrt(0.5)  # standard deviation 1
    needed = int(find_needed(gains))
    rng = np.random.default_rng(0)
    draws = rng.normal(effect, 1, (2000, needed))
    found = wilcoxon(draws, alternative="greater", axis=1).pvalue < 0.05
    assert 0.77 < found.mean() < 0.88  # more for few people, since p is discrete
    assert find_detectable(draws[0] / draws[0].std(ddof=1)) == pytest.approx(effect, rel=0.1)


def test_people_needed_are_unknown_without_a_gain():
    assert find_needed(np.array([-1.0, 0.5])) == np.inf
    assert find_needed(np.array([1e-9, 1.0, -1.0])) == np.inf
    assert np.isnan(find_needed(np.ones(5)))
