"""Ratings that stay numbers: regressors under the same protocols, audit, store and tests."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import pearsonr, wilcoxon
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.svm import SVC
from sklearn.utils import Bunch

from edaemo.benchmark import (
    REGRESSORS,
    STUDIES,
    EvaluationError,
    ResultStore,
    StimulusMeanRegressor,
    SubjectMeanRegressor,
    compare_pipelines,
    evaluate,
    load_predictions,
    make_ridge_baseline,
    make_svr_baseline,
    newest_keys,
    permutation_tests,
    register_pipeline,
    regression_summary,
    summarise_predictions,
    write_report,
)
from edaemo.cli import main
from edaemo.datasets import make_music_listening
from edaemo.features import EDAFeatureExtractor
from edaemo.statistics._tables import format_table

REFERENCES = ["mean", "trial-order", "stimulus-mean"]


@pytest.fixture(scope="module")
def study() -> Bunch:
    """A study whose rating `known` is linear in one EDA feature, and `song` one of the song."""
    study = make_music_listening(10, 12, 12, sampling_rate=4, duration=15, random_state=0)
    feature = EDAFeatureExtractor(sampling_rate=4).fit_transform(study.trials).iloc[:, 0]
    feature = feature.to_numpy()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.3, len(feature))
    study.targets["known"] = pd.Series(5 + (feature - feature.mean()) / feature.std() + noise)
    study.targets["song"] = study.trials["stimulus"].map(hash_song)
    study.targets["mood"] = pd.Series(np.where(noise > 0, "sad", "happy"))
    return study


def hash_song(name: object) -> float:
    """Give a rating that all people share for a song."""
    return float(sum(map(ord, str(name))) % 7)


def run(study: Bunch, store: object, target: str, pipelines: object = "ridge-eda", **settings):
    settings = {"thresholds": "none", "people": "all", "n_splits": 5, "n_jobs": 1} | settings
    return evaluate(pipelines, study, target, store=store, **settings)


@pytest.fixture(scope="module")
def evaluated(study, tmp_path_factory) -> tuple[object, pd.DataFrame]:
    path = tmp_path_factory.mktemp("rated") / "results.sqlite"
    pipelines = ["ridge-eda", "svr-eda", "svr-music"]
    return path, run(study, path, ["known", "song"], pipelines, n_repeats=2)


def concordance(y: np.ndarray, said: np.ndarray) -> float:
    """Lin's coefficient from Pearson's: r times what shift and scale leave of it."""
    ratio = said.std() / y.std()
    shift = (said.mean() - y.mean()) / np.sqrt(said.std() * y.std())
    return pearsonr(y, said)[0] * 2 / (ratio + 1 / ratio + shift**2)


def concordance_of_parts(parts: list[pd.DataFrame]) -> float:
    """Return the coefficient of several parts, each with its own means, weighted by its spread."""
    arrays = [part.to_numpy(float).T for part in parts]
    spread = [y.var() + said.var() + (y.mean() - said.mean()) ** 2 for y, said in arrays]
    return np.average([concordance(y, said) for y, said in arrays], weights=spread)


class TestTable:
    def test_a_rating_that_is_linear_in_a_feature_is_found(self, evaluated):
        table = evaluated[1].query("target == 'known'").set_index("pipeline")
        assert list(table.index) == [*REFERENCES, "ridge-eda", "svr-eda", "svr-music"]
        assert (table.loc[["ridge-eda", "svr-eda"], "concordance_correlation"] > 0.7).all()
        assert table.loc["svr-music", "concordance_correlation_by_person"] < 0.2
        assert list(table.index[table["reads_eda"].fillna(False)]) == ["ridge-eda", "svr-eda"]
        assert not table.loc["svr-music", "music_helps"]
        assert (table["n_failed"] == 0).all()
        assert (table["threshold"] == "none").all()
        assert "accuracy" not in table

    def test_a_rating_of_the_song_is_known_to_its_mean(self, evaluated):
        table = evaluated[1].query("target == 'song'").set_index("pipeline")
        assert_allclose(table.loc["stimulus-mean", "concordance_correlation"], 1)
        assert_allclose(table.loc["stimulus-mean", "rmse"], 0, atol=1e-6)
        assert table.loc["svr-music", "concordance_correlation_by_person"] > 0.4
        assert table.loc["svr-music", "p_above_mean"] < 0.05
        assert not table["reads_eda"].fillna(False).any()

    def test_where_nothing_is_to_be_found_all_are_at_chance(self, study, tmp_path):
        """Ten ratings that were drawn: what is right by luck on one of them is not on all."""
        rng = np.random.default_rng(0)
        drawn = {f"drawn{i}": pd.Series(rng.normal(5, 1, 120)) for i in range(10)}
        table = run(Bunch(**{**study, "targets": drawn}), tmp_path / "s", None, None, n_splits=2)
        by_pipeline = table.groupby("pipeline")["concordance_correlation_by_person"]
        usual = {name for name, entry in REGRESSORS.items() if not entry.on_request}
        assert set(by_pipeline.groups) == usual - {"subject-mean", "duration"}
        # Four standard errors of the mean of ten.
        assert (by_pipeline.mean().abs() < 4 * by_pipeline.std() / np.sqrt(10) + 1e-12).all()
        assert by_pipeline.mean().abs().max() < 0.1
        assert_allclose(by_pipeline.mean()["mean"], 0, atol=1e-12)
        assert table["reads_eda"].sum() <= 3  # of 60 claims, at 0.05 for all of a rating

    def test_scores_are_those_of_the_predictions(self, evaluated):
        path, table = evaluated
        row = table.query("target == 'known' and pipeline == 'ridge-eda'").iloc[0]
        with ResultStore(path) as store:
            folds, trials = store.folds(), store.predictions()
        own = trials.merge(folds.query("target == 'known' and pipeline == 'ridge-eda'"), on="key")
        assert len(own) == 240
        pooled = own["label"].to_numpy(float), own["predicted"].to_numpy(float)
        frame = pd.DataFrame(dict(zip("ab", pooled, strict=True)))
        means = frame.groupby(own["key"]).transform("mean")
        a, b = (frame - means).to_numpy().T
        shift = ((means["a"] - means["b"]) ** 2).sum()
        expected = 2 * np.sum(a * b) / (np.sum(a**2) + np.sum(b**2) + shift)
        assert_allclose(row["concordance_correlation"], expected)
        assert_allclose(row["pearson"], pearsonr(a, b)[0])
        assert_allclose(row["rmse"], root_mean_squared_error(*pooled))
        # Each person is tested once in each of two repeats, with 12 trials.
        each = [
            concordance_of_parts([of[["label", "predicted"]] for _, of in one.groupby("key")])
            for _, one in own.groupby("subject")
        ]
        assert_allclose(row["concordance_correlation_by_person"], np.mean(each))
        # The mean of the training people has no concordance with anybody.
        p = wilcoxon(each, alternative="greater").pvalue
        others = table.query("target == 'known' and p_above_mean.notna()")["p_above_mean"]
        assert min(others) == pytest.approx(p * 3)  # the smallest of three, by Holm
        assert all(status == "done" for status in folds["status"])

    def test_it_is_laid_out_for_a_terminal(self, evaluated):
        text = format_table(evaluated[1].query("target == 'known'"))
        assert "known (as rated): 10 people" in text
        assert "| CCC " in text and "p: reads EDA" in text and "p: music helps" in text
        assert "Reads EDA (above every row without EDA over people" in text
        assert "majority" not in text and "nan" not in text


class TestStored:
    def test_what_is_stored_is_summarised_as_the_table_is(self, evaluated):
        path, table = evaluated
        predictions = load_predictions(path)
        told = summarise_predictions(predictions).set_index(["target", "pipeline", "score"])
        for _, row in table.iterrows():
            own = predictions.query("target == @row.target and pipeline == @row.pipeline")
            fold = own["repeat"].astype(str) + "/" + own["fold"].astype(str)
            alone = regression_summary(
                own["label"],
                own["predicted"],
                subject=own["subject"],
                fold=fold,
                repeat=own["repeat"],
            )
            for score in ("concordance_correlation", "pearson", "rmse"):
                for column, of in (("pooled", ""), ("over_people", "_by_person")):
                    names = [score + of + end for end in ("", "_low", "_high")]
                    expected = alone.loc[score, [column + end for end in ("", "_low", "_high")]]
                    assert_allclose(row[names].astype(float), expected.astype(float))
                    found = told.loc[(row["target"], row["pipeline"], score), column]
                    assert_allclose(found, expected.iloc[0])

    def test_ratings_and_classes_of_one_study_lie_in_one_store(self, study, tmp_path):
        path = tmp_path / "results.sqlite"
        settings = {"people": "all", "n_splits": 2, "n_jobs": 1, "max_epochs": 1, "store": path}
        both = evaluate(None, study, "known", thresholds=["subject", "none"], **settings)
        assert set(both["threshold"].dropna()) == {"none"}  # no threshold applies to this one
        predictions = load_predictions(path, keys=newest_keys(path))
        rated = predictions["threshold"] == "none"
        assert set(predictions.loc[~rated, "label"]) == {0, 1}
        assert predictions.loc[rated, "label"].nunique() > 50
        scores = summarise_predictions(predictions)
        assert set(scores[scores["threshold"] == "none"]["score"]) == {
            "concordance_correlation",
            "pearson",
            "rmse",
        }
        again = evaluate(None, study, "known", thresholds=["subject", "none"], **settings)
        pd.testing.assert_frame_equal(both, again)

    def test_tests_of_stored_predictions_take_ratings(self, evaluated):
        known = load_predictions(evaluated[0]).query("target == 'known'")
        score = "concordance_correlation"
        p = permutation_tests(known, score=score, n_permutations=199).set_index("pipeline")
        assert p.loc["ridge-eda", "p_value"] == 1 / 200
        assert p.loc["mean", "p_value"] == 1
        pairs = compare_pipelines(known, score=score).set_index(["a", "b"])
        assert pairs.loc[("mean", "ridge-eda"), "difference"] < -0.5
        with pytest.raises(ValueError, match="label must be 0 or 1"):
            compare_pipelines(known)

    def test_a_report_shows_them(self, evaluated, tmp_path):
        page, markdown, _ = write_report(evaluated[0], tmp_path)
        text = markdown.read_text()
        assert "Scores: generated, known as rated, subject." in text
        assert "| Pipeline | CCC | Mean over people | Pearson |" in text
        assert "Confusion" not in page.read_text()
        command = next(line for line in text.splitlines() if "edaemo compare" in line)
        assert "--threshold none" in command and "ridge-eda" in command


@pytest.mark.parametrize(
    ("make", "key"), [(StimulusMeanRegressor, "stimulus"), (SubjectMeanRegressor, "subject")]
)
def test_mean_of_the_same_else_of_all(make, key):
    X = pd.DataFrame({key: ["a", "a", "b"]})
    model = make().fit(X, [1.0, 2.0, 6.0])
    assert_allclose(model.predict(pd.DataFrame({key: ["b", "c", "a"]})), [6, 3, 1.5])
    with pytest.raises(ValueError, match=f"{key} is missing for row 1"):
        make().fit(pd.DataFrame({key: ["a", None]}), [1.0, 2.0])


@pytest.mark.parametrize("make", [make_svr_baseline, make_ridge_baseline])
def test_the_unit_of_a_rating_does_not_matter(make):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 5)))
    y = X[0] + rng.normal(size=60)
    said = make(eda="passthrough").fit(X, y).predict(X)
    other = make(eda="passthrough").fit(X, 100 * y - 7).predict(X)
    assert_allclose(other, 100 * said - 7, rtol=1e-5, atol=1e-3)


class TestRefusals:
    @pytest.mark.parametrize(
        ("target", "settings", "match"),
        [
            (
                "mood",
                {},
                r"target 'mood' holds classes \(.*\), but thresholds='none' requires",
            ),
            ("known", {"pipelines": "svm-eda"}, "svm-eda is a classifier, .* such as svr-music"),
            ("known", {"pipelines": {"mine": SVC()}}, "mine is a classifier"),
            (
                "known",
                {"pipelines": {"mine": LinearRegression()}, "thresholds": "subject"},
                "mine is a regressor, but the targets are classes",
            ),
            (
                "known",
                {"pipelines": "ridge-eda", "thresholds": "subject"},
                "ridge-eda is a regressor",
            ),
            ("known", {"pipelines": "ridgeeda"}, "Unknown pipeline 'ridgeeda': did you mean"),
        ],
    )
    def test_what_does_not_fit_is_said_before_anything_is_computed(
        self, study, tmp_path, target, settings, match
    ):
        with pytest.raises(EvaluationError, match=match):
            run(study, tmp_path / "s", target, **settings)
        assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize(
        ("ratings", "match"),
        [
            ([np.nan] + [3.0] * 119, r"the rating of row 0 \(subject .*\) is missing"),
            ([3.0] * 120, "all ratings are 3"),
        ],
    )
    def test_ratings_that_cannot_be_learned(self, study, tmp_path, ratings, match):
        changed = Bunch(**{**study, "targets": {"given": pd.Series(ratings)}})
        with pytest.raises(EvaluationError, match=match):
            run(changed, tmp_path / "s", "given", missing_ratings="raise")

    def test_predictions_that_are_no_numbers_fail_the_fold(self, study, tmp_path):
        table = run(study, tmp_path / "s", "known", {"odd": Odd()}).set_index("pipeline")
        assert table.loc["odd", "n_failed"] == 5
        assert "Use a regressor." in table.loc["odd", "error"]
        assert np.isnan(table.loc["odd", "concordance_correlation"])
        assert table.loc["mean", "n_failed"] == 0


class Odd(BaseEstimator):
    """What says nothing of its kind, and predicts no numbers."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), np.nan)


def test_a_regressor_of_ones_own_goes_by_name(study, tmp_path):
    register_pipeline("my-line", LinearRegression(), input="features", task="regression")
    try:
        table = run(study, tmp_path / "s", "known", "my-line", n_splits=2)
        assert list(table["pipeline"]) == [*REFERENCES, "my-line"]
    finally:
        del REGRESSORS["my-line"]


def test_the_command_writes_a_table(tmp_path, capsys, monkeypatch, study):
    monkeypatch.setitem(STUDIES, "mine", lambda path: study)
    arguments = ["compare", "mine", "--target", "known", "--threshold", "none", "--folds", "2"]
    arguments += ["--pipelines", "ridge-eda", "--people", "all", "--jobs", "1"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "known (as rated)" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "generated/known-as-rated/subject/table.csv")
    assert list(table["pipeline"]) == [*REFERENCES, "ridge-eda"]
