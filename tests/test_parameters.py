"""A parameter that passes validation works: equal values of other types give the same results."""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from outside_network import Line
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.estimators import (
    AIMSTFClassifier,
    CNNClassifier,
    ConformalByPerson,
    MAETClassifier,
    MuSeLSTMRegressor,
    NetworkClassifier,
    NetworkRegressor,
    PersonalClassifier,
    SubjectPriorClassifier,
)
from edaemo.features import EDAFeatureExtractor, EncoderFeatureExtractor, MiniRocket
from edaemo.fusion import BlockUnion, StepAligner
from edaemo.model_selection import make_protocol
from edaemo.networks import FeatureCNN
from edaemo.preprocessing import EDADecomposer, SubjectStandardizer

RNG = np.random.default_rng(0)
N = 24
ROWS = RNG.normal(size=(N, 24)).astype(np.float32)
Y = np.tile([0, 1], N // 2)
SUBJECT = np.repeat([f"p{k}" for k in range(6)], 4)
WALKS = 5 + 0.05 * RNG.normal(size=(N, 120)).cumsum(axis=1)
MUSIC = pd.DataFrame(RNG.normal(size=(2, 3)), index=["s", "t"], columns=["a", "b", "c"])
TRIALS = pd.DataFrame(
    {"subject": SUBJECT, "stimulus": np.tile(["s", "t"], N // 2), "trial": range(N)}
).assign(eda=list(WALKS), eye=list(RNG.normal(size=(N, 2, 5))))
RATINGS = pd.DataFrame(RNG.normal(size=(N, 2)), columns=["valence", "arousal"])

TRAINING = {
    "max_epochs": 2,
    "batch_size": 8,
    "lr": 0.0078125,
    "optimizer": torch.optim.SGD,
    "optimizer_params": {"momentum": 0.5, "nesterov": False},
    "lr_scheduler": "cosine",
    "validation_fraction": 0.25,
    "patience": 2,
    "device": "cpu",
    "n_threads": 1,
    "compile": False,
    "deterministic": False,
    "random_state": 3,
    "verbose": 0,
}
NETWORK = TRAINING | {"gradient_clip": 1.0, "weight_decay": 0.01}
SHAPES = {"n_chans": 2, "n_times": 10, "n_music_features": 4}
AUGMENTATION = {"time_shift": 0.1, "scaling": 0.1, "noise": 0.1, "channel_drop": 0.2}
CVXEDA = {"tau0": 2.0, "tau1": 0.7, "delta_knot": 10.0, "alpha": 0.0008, "gamma": 0.01}


def encode(windows: np.ndarray) -> np.ndarray:
    """Stand in for a pre-trained encoder."""
    return windows[:, :, ::3].reshape(len(windows), -1)


# Estimators with a value for each parameter that has several types, and how their results are made.
CASES = {
    "RTCANClassifier": RTCANClassifier(
        architecture="paper",
        form="large-corpus",
        sca=True,
        sca_res=True,
        rnta=True,
        depth=1,
        channels=(4, 4, 4, 4),
        n_clips=2,
        reduction=2,
        last_relu=True,
        recipe="default",
        init="normal",
        class_weight={0: 1.0, 1: 2.0},
        label_smoothing=0.1,
        dropout=0.1,
        augmentation=AUGMENTATION,
        **SHAPES,
        **{name: value for name, value in NETWORK.items() if name != "weight_decay"},
    ),
    "CNNClassifier": CNNClassifier(n_filters=4, **TRAINING),
    "MAETClassifier": MAETClassifier(
        {"eda": (2, 8), "music": 8},
        embed_dim=8,
        depth=1,
        n_heads=2,
        n_views=2,
        patch_size=4,
        mixffn_start_layer_index=0,
        n_prompts=1,
        dropout=0.1,
        modality_dropout=0.25,
        reversal="first",
        recipe="default",
        domain_loss=True,
        class_weight={0: 1.0, 1: 2.0},
        label_smoothing=0.1,
        **NETWORK,
    ),
    "AIMSTFClassifier": AIMSTFClassifier(
        {"eda": (2, 8), "music": 8},
        architecture="mended",
        n_filters=8,
        depth=1,
        n_heads=2,
        embed_dim=8,
        dropout=0.1,
        attention_dropout=0.1,
        modality_dropout=0.25,
        alpha=0.1,
        beta=0.1,
        gamma=0.1,
        n_moments=3,
        recipe="default",
        class_weight={0: 1.0, 1: 2.0},
        label_smoothing=0.1,
        **NETWORK,
    ),
    "NetworkClassifier": NetworkClassifier(
        FeatureCNN,
        module_params={"n_filters": 4},
        class_weight="balanced",
        label_smoothing=0.1,
        **NETWORK,
    ),
    "NetworkRegressor": NetworkRegressor(Line, scale_target=True, **NETWORK),
    "MuSeLSTMRegressor": MuSeLSTMRegressor(
        width=8,
        attention=True,
        n_attention_layers=1,
        n_heads=2,
        cell="lstm",
        bidirectional=True,
        n_layers=2,
        attention_dropout=0.125,
        recurrent_dropout=0.125,
        first_output=0.5,
        standardize=True,
        scale_target=True,
        loss="ccc",
        smoothing=3,
        window=6,
        hop=4,
        max_steps=8,
        n_seeds=2,
        dropout=0.1,
        **NETWORK,
    ),
    "CvxEDATransformer": CvxEDATransformer(
        sampling_rate=4,
        n_times=50,
        components=("original", "phasic", "tonic"),
        trim_seconds=1.0,
        n_jobs=1,
        **CVXEDA,
    ),
    "EDADecomposer": EDADecomposer(sampling_rate=4, components=("tonic", "phasic")),
    "EDAFeatureExtractor": EDAFeatureExtractor(sampling_rate=4.0),
    "EncoderFeatureExtractor": EncoderFeatureExtractor(
        encode,
        4.0,
        encoder_rate=2.0,
        window=5.0,
        channels=("original", "tonic"),
        method="median",
        hop=2.5,
        padding="reflect",
        scale="window",
        batch_size=2,
    ),
    "MiniRocket": MiniRocket(n_features=168, max_dilations=4, n_chans=2, random_state=0),
    "MusicFeatureUnion": MusicFeatureUnion(eda="drop", music=MUSIC),
    "BlockUnion": BlockUnion({"eye": "passthrough"}, music=MUSIC, standardize_music=False),
    "StepAligner": StepAligner(
        2,
        sampling_rate=4,
        signals=("eda",),
        first_label=1,
        delay=2,
        windows=(1, 4.0),
        statistics=("mean", "sd"),
        scale_trials=True,
    ),
    "SubjectStandardizer": SubjectStandardizer(unseen="global", min_trials=3, calibrate_on=3),
    "SubjectThresholdRelabeler": SubjectThresholdRelabeler(target="valence", threshold=0.25),
    "SubjectPriorClassifier": SubjectPriorClassifier(),
    "PersonalClassifier": PersonalClassifier(
        LogisticRegression(),
        k=2,
        prior_sd=(0.5, 2.0),
        weight=(1, 2),
        class_weight="balanced",
        n_splits=2,
        random_state=3,
    ),
    "ConformalByPerson": ConformalByPerson(
        LogisticRegression(),
        coverage=0.5,
        person_share=0.5,
        calibration_fraction=0.5,
        random_state=3,
    ),
}


def results(estimator: BaseEstimator) -> np.ndarray:
    """Fit a copy and return its predictions, labels or transformed trials as one array."""
    fitted = clone(estimator)
    name = type(estimator).__name__
    if name == "SubjectThresholdRelabeler":
        return fitted.fit_relabel(RATINGS, subject=SUBJECT)
    if name == "MuSeLSTMRegressor":
        sequences = ROWS.reshape(N, 12, 2)
        fitted.fit(sequences, sequences[:, :, 0], subject=SUBJECT)
        return np.stack(fitted.predict(sequences))
    if hasattr(fitted, "predict"):
        X = TRIALS.drop(columns=["eda", "eye"]) if "Prior" in name else ROWS
        known = {} if "Prior" in name else {"subject": SUBJECT}
        fitted.fit(X, Y, **known)
        if name == "ConformalByPerson":
            return fitted.predict_set(X)
        predict = getattr(fitted, "predict_proba", fitted.predict)
        return predict(X, **known) if name == "PersonalClassifier" else predict(X)
    if name == "SubjectStandardizer":
        return fitted.fit(ROWS, subject=SUBJECT).transform(ROWS, subject=SUBJECT)
    if name == "MiniRocket":
        return fitted.fit_transform(ROWS)
    trials = TRIALS.drop(columns="eye") if name != "BlockUnion" else TRIALS.drop(columns="eda")
    transformed = fitted.fit_transform(trials)
    if "eda" in transformed:
        return np.stack([np.asarray(cell) for cell in transformed["eda"]])
    return transformed.to_numpy()


def equivalents(value: object) -> Iterator[Any]:
    """Yield values of other types that are equal to a value."""
    if isinstance(value, bool):
        yield np.bool_(value)
    elif isinstance(value, int):
        yield from (np.int64(value), np.uint8(value))
    elif isinstance(value, float):
        yield np.float64(value)
        if float(np.float32(value)) == value:
            yield np.float32(value)
    elif isinstance(value, str):
        yield np.str_(value)
    elif isinstance(value, tuple):
        yield from (list(value), np.array(value), tuple(np.array(value)), pd.Series(value))
    elif isinstance(value, dict):
        yield {key: next(equivalents(part), part) for key, part in value.items()}


# Without parameters of several types, or with the parameters of a class above; openSMILE is needed.
OTHERS = {
    *("StimulusPriorClassifier", "StimulusMeanRegressor", "SubjectMeanRegressor"),
    *(
        "LateFusionRegressor",
        "SeriesMeanRegressor",
        "StepwiseRegressor",
        "NetworkSequenceRegressor",
        "NetworkEstimator",
    ),
    "MusicFeatureExtractor",
}


def test_every_estimator_has_a_case():
    rooms = ("edaemo", *(f"edaemo.{room}" for room in ("estimators", "features", "fusion")))
    named = {
        name
        for room in (*rooms, "edaemo.preprocessing")
        for name in importlib.import_module(room).__all__
        if isinstance(found := getattr(importlib.import_module(room), name), type)
        and issubclass(found, BaseEstimator)
    }
    assert named == {*CASES, *OTHERS}


VARIANTS = [
    pytest.param(name, parameter, other, id=f"{name}-{parameter}-{type(other).__name__}{position}")
    for name, estimator in CASES.items()
    for parameter, value in estimator.get_params(deep=False).items()
    for position, other in enumerate(equivalents(value))
]
EXPECTED: dict[str, np.ndarray] = {}


@pytest.mark.filterwarnings("ignore:.*subjects have centres:UserWarning")
@pytest.mark.parametrize(("name", "parameter", "other"), VARIANTS)
def test_equal_values_of_other_types_give_the_same_results(name, parameter, other):
    if name not in EXPECTED:
        EXPECTED[name] = results(CASES[name])
    changed = clone(CASES[name]).set_params(**{parameter: other})
    np.testing.assert_array_equal(results(changed), EXPECTED[name])


@pytest.mark.parametrize("name", ["subject", "subject-loso", "stimulus", "within-subject", "trial"])
def test_protocols_take_numbers_of_numpy(name):
    plain = list(make_protocol(name, 2, 1).split(TRIALS, Y))
    for kind in (np.int64, np.uint8):
        folds = list(make_protocol(name, kind(2), kind(1)).split(TRIALS, Y))
        assert [test.tolist() for _, test in folds] == [test.tolist() for _, test in plain]
