"""Features of a pre-trained encoder."""

import pickle
import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from edaemo import load, save
from edaemo.features import EncoderFeatureExtractor
from edaemo.persistence import FileError
from edaemo.preprocessing import EDADecomposer

RNG = np.random.default_rng(0)


def encode(windows):
    """Return all samples of a window."""
    return windows.reshape(len(windows), -1)


def make_encoder(n_channels: int) -> nn.Module:
    """Make a small convolutional encoder with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv1d(n_channels, 8, 5, padding=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(2),
            nn.Flatten(),
            nn.Linear(16, 6),
        ).eval()


def export(encoder: nn.Module, path, shape: tuple[int, ...], *, fixed: bool = False) -> None:
    """Write an encoder to an ONNX file, as its authors would."""
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own internals
        program = torch.onnx.export(
            encoder.eval(),
            (torch.zeros(shape),),
            dynamo=True,
            dynamic_shapes=None if fixed else ({0: batch},),
            verbose=False,
        )
    program.save(str(path), external_data=False)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    export(make_encoder(2), path, (3, 2, 20))
    return path


def table(*lengths: int) -> pd.DataFrame:
    """Return trials of these numbers of samples, at 4 Hz."""
    rng = np.random.default_rng(1)
    cells = [2 + np.cumsum(rng.normal(size=n)) / 50 for n in lengths]
    names = ["a", "b", "c", "d"][: len(cells)]
    return pd.DataFrame({"subject": names, "trial": 0, "eda": pd.Series(cells, dtype=object)})


def extractor(encoder, **parameters) -> EncoderFeatureExtractor:
    return EncoderFeatureExtractor(encoder, 4, **{"encoder_rate": 4, "window": 5, **parameters})


# --- the encoder


def test_an_onnx_file_gives_what_torch_gives_on_windows_cut_by_hand(onnx_file):
    trials = table(50, 20)
    model = extractor(onnx_file, channels=("phasic", "tonic"), method="median")
    features = model.fit_transform(trials)
    parts = EDADecomposer(4, method="median", components=("phasic", "tonic")).fit_transform(trials)
    long, short = (torch.tensor(np.array(cell), dtype=torch.float32) for cell in parts["eda"])
    encoder = make_encoder(2)
    with torch.no_grad():
        windows = torch.stack([long[:, 0:20], long[:, 20:40], long[:, 30:50]])
        expected = [encoder(windows).mean(dim=0), encoder(short[None])[0]]
    assert_allclose(features, torch.stack(expected), atol=1e-5)
    assert list(features.columns) == [f"eda_encoded{k}" for k in range(6)]
    assert list(features.index.get_level_values("subject")) == ["a", "b"]


def test_a_file_with_a_fixed_number_of_windows_gives_the_same(onnx_file, tmp_path):
    export(make_encoder(2), tmp_path / "fixed.onnx", (4, 2, 20), fixed=True)
    trials = table(50, 20, 33)
    about = {"channels": ("original", "tonic"), "method": "median"}
    fixed = extractor(tmp_path / "fixed.onnx", **about).fit_transform(trials)
    assert_allclose(fixed, extractor(onnx_file, **about).fit_transform(trials), atol=1e-6)


def test_an_encoder_of_one_channel_may_take_rows(tmp_path):
    encoder = nn.Sequential(nn.Linear(20, 3))
    export(encoder, tmp_path / "rows.onnx", (2, 20))
    X = RNG.normal(size=(5, 20)).astype(np.float32)
    with torch.no_grad():
        expected = encoder(torch.tensor(X))
    features = extractor(tmp_path / "rows.onnx").fit_transform(X)
    assert_allclose(features, expected, atol=1e-6)


def test_windows_go_to_the_encoder_in_batches():
    sizes = []

    def count(windows):
        sizes.append(windows.shape)
        return windows.mean(axis=(1, 2), keepdims=True)

    model = extractor(count, batch_size=3).fit(table(100, 40, 21))
    sizes.clear()
    model.transform(table(100, 40, 21))  # 5, 2 and 2 windows
    assert sizes == [(3, 1, 20)] * 3


# --- what the encoder receives


@pytest.mark.parametrize(("rate", "n"), [(50, 2000), (1000, 40_000), (2.5, 100)])
def test_recordings_are_resampled_to_the_rate_of_the_encoder(rate, n):
    time, wanted = np.arange(n) / rate, np.arange(160) / 4

    def wave(t):
        return 5 + 0.02 * t + np.sin(2 * np.pi * 0.1 * t)

    model = EncoderFeatureExtractor(encode, rate, encoder_rate=4, window=40)
    received = model.fit_transform(wave(time)[None])[0]
    assert received.shape == (160,)
    inner = slice(20, 140)  # a filter of resampling reaches beyond the ends
    assert_allclose(received[inner], wave(wanted)[inner], atol=0.01)
    assert np.abs(received - wave(wanted)).max() < 0.3


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("edge", [1, 2, 3, 3, 3]), ("reflect", [1, 2, 3, 3, 2]), ("zero", [1, 2, 3, 0, 0])],
)
def test_short_trials_are_continued_at_their_end(padding, expected):
    model = EncoderFeatureExtractor(encode, 1, encoder_rate=1, window=5, padding=padding)
    assert_array_equal(model.fit_transform([[1.0, 2.0, 3.0]]), [expected])


def test_windows_may_overlap_and_the_last_one_ends_with_the_trial():
    model = EncoderFeatureExtractor(encode, 1, encoder_rate=1, window=4, hop=3)
    windows = np.array([[0, 1, 2, 3], [3, 4, 5, 6], [4, 5, 6, 7]])
    assert_allclose(model.fit_transform([np.arange(8.0)]), [windows.mean(axis=0)])


def test_the_scale_is_that_of_the_trial_or_of_the_window():
    X = np.array([[0.0, 1.0, 2.0, 3.0, 7.0, 7.0]])
    about = {"encoder_rate": 1, "window": 3, "hop": 3}
    of_trial = EncoderFeatureExtractor(encode, 1, scale="trial", **about).fit_transform(X)
    z = (X - X.mean()) / X.std()
    assert_allclose(of_trial, (z[:, :3] + z[:, 3:]) / 2, atol=1e-6)
    of_window = EncoderFeatureExtractor(encode, 1, scale="window", **about).fit_transform(X)
    first = (X[:, :3] - 1) / X[:, :3].std()
    second = (X[:, 3:] - X[:, 3:].mean()) / X[:, 3:].std()
    assert_allclose(of_window, (first + second) / 2, atol=1e-6)
    flat = EncoderFeatureExtractor(encode, 1, scale="window", **about).fit_transform(X * 0 + 5)
    assert_array_equal(flat, np.zeros((1, 3)))


@pytest.mark.parametrize("context", [0.0, 4.75, 5.0, 5.03])
def test_windows_begin_at_the_onset_and_the_context_is_resampled_with_the_trial(context):
    """5.03 s are 251.5 samples of 50 Hz: 252, and 20.16 samples of 4 Hz."""
    rate, n_context = 50, round(context * 50)
    time = (np.arange(n_context + 2000) - n_context) / rate

    def wave(t):
        return 5 + 0.02 * t + np.sin(2 * np.pi * 0.1 * t + 1)

    model = EncoderFeatureExtractor(encode, rate, encoder_rate=4, window=40, context=context)
    received = model.fit_transform(wave(time)[None])[0]
    assert received.shape == (160,)
    reached = 0 if context else 20  # a filter of resampling reaches beyond the start
    assert_allclose(received[reached:140], wave(np.arange(160) / 4)[reached:140], atol=0.01)


def test_components_of_a_trial_after_a_context_are_those_of_the_decomposer():
    trials = table(60, 52)
    trials["eda"].iloc[0][:3] = np.nan  # the context of this trial is shorter
    about = {"method": "median", "context": 5.0}
    model = extractor(encode, channels=("phasic", "tonic"), window=8, **about)
    received = model.fit_transform(trials).to_numpy()
    parts = EDADecomposer(4, components=("phasic", "tonic"), **about).fit_transform(trials)["eda"]
    expected = [
        (np.stack([parts[0][:, :32], parts[0][:, 8:]]).mean(axis=0)).ravel(),
        parts[1].ravel(),
    ]
    assert_allclose(received, expected, atol=1e-5)


def test_scale_does_not_depend_on_the_context():
    trial = np.arange(20.0)
    X = [np.concatenate([np.full(8, level), trial]) for level in (0.0, 100.0)]
    model = extractor(encode, scale="trial", context=2.0)
    expected = (trial - trial.mean()) / trial.std()
    assert_allclose(model.fit_transform(np.array(X)), [expected, expected], atol=1e-6)


def test_a_trial_that_is_no_longer_than_its_context_is_named():
    trials = table(50, 20)
    with pytest.raises(ValueError, match=r"subject b.* 20 samples, .* 5 s has 20: no sample"):
        extractor(encode, context=5.0).fit(trials)


# --- cache and files


def test_features_come_from_the_cache_and_a_changed_file_does_not(onnx_file, tmp_path, monkeypatch):
    trials = table(50, 20)
    about = {"channels": ("original", "phasic"), "method": "median"}
    model = extractor(onnx_file, memory=str(tmp_path / "cache"), **about).fit(trials)
    expected = extractor(onnx_file, **about).fit_transform(trials)
    assert_allclose(model.transform(trials), expected, atol=1e-6)

    def refuse(*arguments, **named):
        raise AssertionError("the encoder runs again")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", refuse)
    assert_allclose(model.transform(trials), expected, atol=1e-6)
    encoder = make_encoder(2)
    with torch.no_grad():
        encoder[-1].bias += 1
    export(encoder, tmp_path / "changed.onnx", (3, 2, 20))
    changed = extractor(tmp_path / "changed.onnx", memory=str(tmp_path / "cache"), **about)
    with pytest.raises(AssertionError, match="the encoder runs again"):
        changed.fit(trials)


def test_a_saved_or_pickled_extractor_does_not_need_the_file(onnx_file, tmp_path):
    path = tmp_path / "copy.onnx"
    path.write_bytes(onnx_file.read_bytes())
    trials = table(50, 20)
    model = extractor(str(path), channels=("original", "phasic"), method="median").fit(trials)
    expected = model.transform(trials)
    save(model, tmp_path / "model.edaemo")
    path.unlink()
    for copy in (load(tmp_path / "model.edaemo"), pickle.loads(pickle.dumps(model))):
        assert_array_equal(copy.transform(trials), expected)
    with pytest.raises(FileError, match="encoder is <function encode"):
        save(extractor(encode).fit(trials), tmp_path / "callable.edaemo")


# --- errors


def test_errors_name_the_file_the_trial_and_the_parameter(onnx_file, tmp_path):
    trials = table(50, 20)
    with pytest.raises(ValueError, match=r"encoder.onnx: .*1 channels and 20 samples"):
        extractor(onnx_file).fit(trials)
    with pytest.raises(ValueError, match=r"encoder.onnx: .*2 channels and 24 samples"):
        extractor(onnx_file, channels=("original", "original"), window=6).fit(trials)
    (tmp_path / "text.onnx").write_text("no weights")
    with pytest.raises(ValueError, match=r"text.onnx: onnxruntime cannot open the file"):
        extractor(tmp_path / "text.onnx").fit(trials)
    with pytest.raises(FileNotFoundError, match="absent"):
        extractor(tmp_path / "absent.onnx").fit(trials)
    with pytest.raises(ValueError, match="memory= needs an ONNX file"):
        extractor(encode, memory=str(tmp_path)).fit(trials)
    with pytest.raises(ValueError, match=r"channels=.*in the order"):
        extractor(encode, channels=("mixed",)).fit(trials)
    with pytest.raises(ValueError, match="has no driver"):
        extractor(encode, channels=("driver",), method="median").fit(trials)
    with pytest.raises(ValueError, match="one row for each window"):
        extractor(lambda windows: windows.mean()).fit(trials)
    with pytest.raises(ValueError, match=r"row 1 \(subject b, trial 0\): .*NaN or infinity"):
        extractor(lambda w: np.where(w[:, 0] < trials["eda"][1].min() + 1e-5, np.nan, 1.0)
                  ).fit_transform(trials)  # fmt: skip
