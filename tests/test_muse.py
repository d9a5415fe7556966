"""LSTM with self-attention over time: the network, its training, and what surrounds it."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from edaemo.estimators import (
    LateFusionRegressor,
    MuSeLSTMRegressor,
    NetworkSequenceRegressor,
)
from edaemo.networks import FusionLSTM, MuSeLSTM, Recurrent
from edaemo.persistence import export_onnx, load, save
from edaemo.training import Batch, Checkpoint, Concordance, Sequences, StepError

SMALL = {"width": 8, "n_heads": 2, "random_state": 0}


def n_parameters(module: nn.Module) -> int:
    return sum(values.numel() for values in module.parameters())


def make_trials(n: int = 12, seed: int = 0, lengths: tuple[int, int] = (20, 40)) -> tuple:
    """Trials of two feature sets; the label is a running mean of one feature of each."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(*lengths, size=n)
    voice = [rng.normal(size=(length, 3)) * [1, 5, 1] + [0, 20, 0] for length in steps]
    face = [rng.normal(size=(length, 2)) for length in steps]
    y = [
        3 + np.convolve(v[:, 0] + f[:, 1], np.ones(3) / 3)[: len(v)]
        for v, f in zip(voice, face, strict=True)
    ]
    table = pd.DataFrame({"subject": np.repeat([f"p{i}" for i in range(6)], n // 6)})
    for name, cells in (("voice", voice), ("face", face)):
        table[name] = pd.Series(cells, dtype=object)
    return table, y


class Still(torch.optim.SGD):
    """Leaves the weights as they are."""

    def step(self, closure=None):
        return None if closure is None else closure()


COLUMNS = {"columns": ["voice", "face"]}
CHECKPOINTED = {**SMALL, **COLUMNS, "max_epochs": 6, "validation_fraction": 0.4}
# Arguments: the checkpoint, n_seeds, and the file in whose fourth epoch the process is killed.
KILLED_FIT = """
import os, signal, sys
from edaemo.estimators import MuSeLSTMRegressor
from edaemo.training import Checkpoint
from tests.test_muse import CHECKPOINTED, make_trials
path, n_seeds, broken = sys.argv[1:]
write = Checkpoint.on_epoch_end
def killed(self, net, **kwargs):
    if self.path.name == broken and len(net.history) == 4:  # while the file is written
        os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
    write(self, net, **kwargs)
Checkpoint.on_epoch_end = killed
MuSeLSTMRegressor(**CHECKPOINTED, n_seeds=int(n_seeds), checkpoint=path).fit(*make_trials())
"""


class TestNetwork:
    @pytest.mark.parametrize(
        ("n_features", "expected"), [(24, 93_185), (300, 110_849), (324, 112_385), (389, 116_545)]
    )
    def test_size_is_that_of_the_released_code(self, n_features, expected):
        assert n_parameters(MuSeLSTM(n_features, 1)) == expected

    def test_size_of_the_fusion_is_that_of_the_released_code(self):
        assert n_parameters(FusionLSTM(5, 1)) == 10_049

    def test_no_projection_if_the_width_fits(self):
        assert n_parameters(MuSeLSTM(64, 1)) == 93_185 - 24 * 64

    @pytest.mark.parametrize("cell", ["lstm", "gru"])
    def test_recurrence_is_that_of_packed_sequences(self, cell):
        torch.manual_seed(0)
        ours = Recurrent(3, 4, cell=cell, n_layers=2)
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        torchs = kind(3, 4, num_layers=2, batch_first=True, bidirectional=True)
        weights = torchs.state_dict()
        for place in range(2):
            for side, suffix in ((ours.there, ""), (ours.back, "_reverse")):
                for name, value in side[place].named_parameters():
                    weights[f"{name[:-1]}{place}{suffix}"] = value
        torchs.load_state_dict(weights)
        lengths = torch.tensor([7, 2, 5])
        steps = torch.randn(3, 7, 3)
        mask = torch.arange(7) < lengths[:, None]
        packed = pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False)
        expected, _ = pad_packed_sequence(torchs(packed)[0], batch_first=True)
        assert_allclose(
            ours(steps, mask)[mask].detach(), expected[mask].detach(), rtol=1e-5, atol=1e-7
        )

    def test_attention_is_that_of_torch_without_padding(self):
        torch.manual_seed(0)
        ours = MuSeLSTM(8, 1, width=8, n_heads=2).attend[0]
        torchs = nn.MultiheadAttention(8, 2, batch_first=True)
        torchs.load_state_dict(
            {
                "in_proj_weight": ours.project.weight,
                "in_proj_bias": ours.project.bias,
                "out_proj.weight": ours.join.weight,
                "out_proj.bias": ours.join.bias,
            }
        )
        steps = torch.randn(2, 6, 8)
        mask = torch.arange(6) < torch.tensor([[6], [4]])
        found, _ = torchs(steps, steps, steps, key_padding_mask=~mask)
        expected = nn.functional.layer_norm(steps + found, (8,))
        assert_allclose(ours(steps, mask)[mask].detach(), expected[mask].detach(), atol=1e-6)

    @pytest.mark.parametrize("options", [{}, {"attention": False, "cell": "gru", "n_layers": 2}])
    def test_padding_changes_nothing(self, options):
        torch.manual_seed(0)
        net = MuSeLSTM(3, 2, width=8, n_heads=2, **options).eval()
        steps = torch.randn(2, 9, 3)
        mask = torch.arange(9) < torch.tensor([[9], [5]])
        garbage = torch.where(mask[:, :, None], steps, 100.0)
        alone = net(steps[1:, :5], torch.ones(1, 5, dtype=torch.bool))
        assert_allclose(net(garbage, mask)[1, :5].detach(), alone[0].detach(), atol=1e-6)

    def test_published_layers_are_optional(self):
        def sizes(**options):
            return n_parameters(MuSeLSTM(24, 1, **options))

        attention = 4 * (64 * 64 + 64) + 2 * 64
        assert sizes(attention=False) == 93_185 - attention
        assert sizes(n_attention_layers=2) == 93_185 + attention
        one_direction = 4 * 64 * (64 + 64 + 2)
        assert sizes(bidirectional=False) == 93_185 - one_direction - 64 * 64
        assert sizes(cell="gru") == 93_185 - 2 * one_direction // 4
        with pytest.raises(ValueError, match="n_heads=5 must divide the width 64"):
            sizes(n_heads=5)

    def test_first_output_is_the_last_bias(self):
        assert MuSeLSTM(3, 2, first_output=0.25).regress[-1].bias.tolist() == [0.25, 0.25]


def batch_of(y: np.ndarray, weight: list[float] | None = None) -> Batch:
    labels = torch.tensor(y, dtype=torch.float64)
    return Batch(
        {},
        labels.nan_to_num(),
        labelled=~labels.isnan(),
        weight=None if weight is None else torch.tensor(weight, dtype=torch.float64),
    )


def ccc(true, predicted) -> float:
    """Lin's coefficient, as he defines it, of numbers that are not NaN."""
    known = ~np.isnan(true)
    x, y = true[known], predicted[known]
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


class TestLosses:
    RNG = np.random.default_rng(0)
    Y, P = RNG.normal(size=(3, 6, 2)), RNG.normal(size=(3, 6, 2))
    Y[0, 4:] = np.nan
    Y[1, :, 1] = np.nan

    def test_concordance_per_sequence_and_target(self):
        found = Concordance()(torch.tensor(self.P), batch_of(self.Y, [1, 2, 3]))
        per_trial = [
            np.mean([1 - ccc(y[:, k], p[:, k]) for k in targets])
            for y, p, targets in zip(self.Y, self.P, [(0, 1), (0,), (0, 1)], strict=True)
        ]
        assert_allclose(found, np.average(per_trial, weights=[1, 2, 3]), rtol=1e-6)

    def test_concordance_of_all_steps(self):
        found = Concordance(per_sequence=False)(torch.tensor(self.P), batch_of(self.Y, [1, 2, 0]))
        repeated = np.concatenate([self.Y[0], self.Y[1], self.Y[1]])
        predicted = np.concatenate([self.P[0], self.P[1], self.P[1]])
        expected = np.mean([1 - ccc(repeated[:, k], predicted[:, k]) for k in range(2)])
        assert_allclose(found, expected, rtol=1e-6)

    @pytest.mark.parametrize(("power", "error"), [(1, np.abs), (2, np.square)])
    def test_errors(self, power, error):
        found = StepError(power)(torch.tensor(self.P[..., 0]), batch_of(self.Y[..., 0], [1, 2, 3]))
        per_trial = np.nanmean(error(self.P - self.Y)[..., 0], axis=1)
        assert_allclose(found, np.average(per_trial, weights=[1, 2, 3]))


class TestRegressor:
    def test_16_sequences_are_overfitted(self):
        rng = np.random.default_rng(0)
        X = [rng.normal(size=(30, 4)) for _ in range(16)]
        y = [rng.normal(size=30).cumsum() for _ in range(16)]
        model = MuSeLSTMRegressor(random_state=0, max_epochs=150, batch_size=16, loss="mse")
        assert model.fit(X, y).score(X, y) > 0.95

    def test_prediction_is_the_same_in_any_company(self):
        X, y = make_trials()
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, max_epochs=2).fit(X, y)
        together = model.predict(X)
        assert [len(series) for series in together] == [len(series) for series in y]
        for row in (0, 5):
            assert_array_equal(model.predict(X.iloc[[row]])[0], together[row])
        assert_array_equal(model.predict(X.iloc[::-1])[0], together[-1])

    def test_training_is_on_windows_and_prediction_on_whole_trials(self):
        X, y = make_trials(lengths=(25, 26))
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, window=10, hop=6, max_epochs=1)
        model.fit(X, y, validation=np.arange(len(y)) >= 6)
        # 25 steps: windows from 0, 6, 12 and 18; the last one is shorter.
        batches = model.net_.history[0]["batches"]
        assert sum(batch.get("train_batch_size", 0) for batch in batches) == 6 * 4
        assert model.net_.history[0, "batches", -1, "valid_batch_size"] == 6
        assert len(model.predict(X)[0]) == 25

    def test_longer_trials_are_predicted_in_windows_that_overlap(self):
        X, y = make_trials(lengths=(25, 26))
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, max_epochs=1).fit(X, y)
        trial = X.iloc[[0]]

        def part(start, stop):
            cut = {name: [trial[name].iloc[0][start:stop]] for name in ("voice", "face")}
            return model.predict(pd.DataFrame(cut))[0]

        expected = np.zeros(25)
        count = np.zeros(25)
        for start in (0, 5, 10, 15):
            expected[start : start + 10] += part(start, start + 10)
            count[start : start + 10] += 1
        model.set_params(max_steps=10)
        assert_allclose(model.predict(trial)[0], expected / count, rtol=1e-12)

    def test_feature_sets_are_standardised_from_training_trials(self):
        X, y = make_trials()
        training = np.arange(12) < 8
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, max_epochs=1)
        model.fit(X, y, validation=~training)
        steps = np.concatenate([*X["voice"][training]])
        assert_allclose(model.block_means_["voice"], steps.mean(axis=0), rtol=1e-5)
        assert_allclose(model.block_scales_["voice"], steps.std(axis=0), rtol=1e-5)
        assert_allclose(model.read(X)[0]["voice"].std(), 1, atol=0.5)

    def test_batches_are_standardised_and_padded_with_zeros(self):
        cells = [np.array([[1.0, 10], [3, 30]]), np.array([[5.0, 50]])]
        mean, scale = np.array([1, 10], np.float32), np.array([2, 20], np.float32)
        data = Sequences({"voice": cells, "face": cells}, scales={"voice": (mean, scale)})
        batch = data.batch(slice(None))
        assert batch.X["voice"].tolist() == [[[0, 0], [1, 1]], [[2, 2], [0, 0]]]
        assert batch.X["face"].tolist() == [[[1, 10], [3, 30]], [[5, 50], [0, 0]]]
        assert data[1][0]["voice"].tolist() == [[2, 2]]
        assert cells[1].tolist() == [[5, 50]]
        assert data.batch(torch.tensor([1])).X["voice"].tolist() == [[[2, 2]]]

    def test_standardised_features_do_not_depend_on_their_units(self):
        X, y = make_trials()
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, max_epochs=2)
        other = X.assign(voice=X["voice"].map(lambda cell: 4 * cell + 8))
        expected = np.concatenate([*clone(model).fit(X, y).predict(X)])
        found = np.concatenate([*clone(model).fit(other, y).predict(other)])
        assert_allclose(found, expected, atol=1e-4)

    def test_smoothing_is_a_moving_average_of_training_labels(self):
        X, y = make_trials(6)
        y[0][3] = np.nan
        settings = {**SMALL, **COLUMNS, "max_epochs": 2, "window": None, "scale_target": False}
        smoothed = [
            pd.Series(series).rolling(5, center=True, min_periods=1).mean().to_numpy(copy=True)
            for series in y
        ]
        smoothed[0][3] = np.nan
        model = MuSeLSTMRegressor(**settings, smoothing=5).fit(X, y)
        expected = MuSeLSTMRegressor(**settings).fit(X, smoothed)
        assert_allclose(
            model.net_.history[:, "train_loss"], expected.net_.history[:, "train_loss"], rtol=1e-4
        )

    def test_valence_and_arousal_together(self):
        X, y = make_trials(24)
        both = [np.column_stack([series, 100 - 40 * series]) for series in y]
        both[0][:, 1] = np.nan
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, max_epochs=80, batch_size=8, lr=0.02)
        model.fit(X, both)
        predicted = model.predict(X)
        assert predicted[0].shape == (len(y[0]), 2)
        assert model.n_targets_ == 2
        assert model.score(X, both) > 0.8
        assert np.corrcoef(predicted[3].T)[0, 1] < -0.9

    def test_segment_is_one_more_feature(self):
        X, y = make_trials()
        X["segment_id"] = [np.arange(len(series)) // 10 for series in y]
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, segment="segment_id", max_epochs=1)
        model.fit(X, y)
        assert model.n_features_in_ == 6
        assert model.blocks_["segment_id"] == (1,)
        before = model.predict(X)[0]
        X["segment_id"] = [20 * cell for cell in X["segment_id"]]
        assert not np.allclose(model.predict(X)[0], before)

    def test_best_seed_is_that_of_the_lowest_validation_loss(self):
        X, y = make_trials()
        settings = {**SMALL, **COLUMNS, "max_epochs": 3, "validation_fraction": 0.4}
        model = MuSeLSTMRegressor(**settings, n_seeds=3).fit(X, y)
        single = MuSeLSTMRegressor(**settings).fit(X, y)
        assert model.seed_losses_.shape == (3,)
        assert_array_equal(model.seed_losses_[:1], single.seed_losses_)
        assert len(set(model.seed_losses_)) == 3
        assert min(model.net_.history[:, "valid_loss"]) == model.seed_losses_.min()
        assert set(model.validation_subjects_) <= set(X["subject"])

    def test_recipe_is_published(self):
        X, y = make_trials(6)
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, recipe="published", max_epochs=1)
        net = model.fit(X, y).net_
        assert type(net.optimizer_) is torch.optim.Adam
        assert (net.lr, net.batch_size, net.optimizer_.defaults["weight_decay"]) == (5e-3, 1024, 0)
        assert (MuSeLSTMRegressor().window, MuSeLSTMRegressor().patience) == (200, 15)

    def test_learning_rate_is_halved_when_the_loss_stays(self):
        X, y = make_trials(6)
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, optimizer=Still, max_epochs=14).fit(X, y)
        # The first loss is the best; after more than 5 epochs that are not better, it is halved.
        expected = [5e-3] * 7 + [2.5e-3] * 6 + [1.25e-3]
        assert_allclose(model.net_.history[:, "event_lr"], expected)

    def test_early_stopping_by_people_checkpoint_and_file(self, tmp_path):
        X, y = make_trials()
        settings = {**SMALL, **COLUMNS, "max_epochs": 6, "validation_fraction": 0.4, "patience": 3}
        expected = MuSeLSTMRegressor(**settings).fit(X, y)
        assert 0 < len(expected.validation_subjects_) < 6
        again = MuSeLSTMRegressor(**settings, checkpoint=tmp_path / "c").fit(X, y)
        save(again, tmp_path / "m")
        found = load(tmp_path / "m")
        for one, two, three in zip(
            expected.predict(X), again.predict(X), found.predict(X), strict=True
        ):
            assert_array_equal(one, two)
            assert_array_equal(one, three)

    @pytest.mark.parametrize(
        ("n_seeds", "broken", "left"),
        # The file that the process was writing when it was killed, and the complete files.
        [(1, "c", {"c": 3}), (3, "c.1", {"c": 6, "c.1": 3})],
    )
    def test_killed_fit_ends_with_the_weights_of_an_unbroken_one(
        self, n_seeds, broken, left, tmp_path
    ):
        X, y = make_trials()
        unbroken = MuSeLSTMRegressor(**CHECKPOINTED, n_seeds=n_seeds).fit(X, y)
        place = tmp_path / "c"
        command = [sys.executable, "-c", KILLED_FIT, place, str(n_seeds), broken]
        done = subprocess.run(command, cwd=Path(__file__).parents[1])
        assert done.returncode == -signal.SIGKILL
        files = {path.name: path for path in tmp_path.iterdir() if path.name.startswith("c")}
        assert {name: len(Checkpoint(path).kept["history"]) for name, path in files.items()} == left
        resumed = MuSeLSTMRegressor(**CHECKPOINTED, n_seeds=n_seeds, checkpoint=place).fit(X, y)
        weights = resumed.net_.module_.state_dict()
        for name, value in unbroken.net_.module_.state_dict().items():
            assert_array_equal(weights[name], value, err_msg=name)
        assert_array_equal(resumed.seed_losses_, unbroken.seed_losses_)
        for name in ("train_loss", "valid_loss", "event_lr"):
            assert resumed.net_.history[:, name] == unbroken.net_.history[:, name]
        assert not any(path.exists() for path in files.values())

    @pytest.mark.parametrize("cell", ["lstm", "gru"])
    def test_onnx_takes_sequences_of_any_length(self, cell, tmp_path):
        onnxruntime = pytest.importorskip("onnxruntime")
        X, y = make_trials()
        both = [np.column_stack([series, -series]) for series in y]
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, cell=cell, max_epochs=2).fit(X, both)
        export_onnx(model, tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        for row in (0, 3):
            given = {name: X[name][row][None].astype(np.float32) for name in ("voice", "face")}
            (found,) = session.run(["prediction"], given)
            assert_allclose(found[0], model.predict(X.iloc[[row]])[0], atol=1e-5)

    @pytest.mark.parametrize("cell", ["lstm", "gru"])
    def test_stream_gives_the_prediction_of_the_whole(self, cell):
        X, y = make_trials()
        model = MuSeLSTMRegressor(
            **SMALL, **COLUMNS, cell=cell, n_layers=2, attention=False, bidirectional=False
        )
        model.set_params(max_epochs=2).fit(X, y)
        whole = model.predict(X.iloc[[0]])[0]
        parts, state = [], None
        for start, stop in ((0, 1), (1, 8), (8, len(whole))):
            cut = {name: [X[name][0][start:stop]] for name in ("voice", "face")}
            part, state = model.predict_stream(pd.DataFrame(cut), state)
            parts.append(part)
        assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="one trial, got 12"):
            model.predict_stream(X)

    @pytest.mark.parametrize("options", [{"attention": False}, {"bidirectional": False}])
    def test_stream_is_refused_if_later_steps_are_needed(self, options):
        X, y = make_trials()
        model = MuSeLSTMRegressor(**SMALL, **COLUMNS, max_epochs=1, **options).fit(X, y)
        with pytest.raises(ValueError, match="attention or two directions cannot predict a stream"):
            model.predict_stream(X.iloc[[0]])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"smoothing": 4}, "smoothing must be an odd number of steps, got 4"),
            ({"hop": 20, "window": 10}, "hop=20 is above window=10"),
            ({"hop": 20, "window": None}, "hop=20 requires window"),
            ({"n_seeds": 2}, "n_seeds=2 keeps the network with the lowest validation loss"),
            ({"segment": "clip"}, "needs column clip"),
            ({"n_heads": 3}, "n_heads=3 must divide"),
            ({"loss": "ccc2"}, "'loss' parameter"),
        ],
    )
    def test_parameters_that_make_no_sense(self, options, message):
        X, y = make_trials()
        with pytest.raises(ValueError, match=message):
            MuSeLSTMRegressor(**SMALL | COLUMNS | options).fit(X, y)

    def test_trials_with_other_numbers_of_targets(self):
        X, y = make_trials()
        y[3] = np.column_stack([y[3], y[3]])
        with pytest.raises(ValueError, match=r"row 3 .*all trials must have the same number of t"):
            MuSeLSTMRegressor(**SMALL, **COLUMNS).fit(X, y)


class Memory(RegressorMixin, BaseEstimator):
    """Knows the labels of its training trials by heart, and answers others with noise."""

    def fit(self, X, y):
        self.known_ = dict(zip(X["name"], y, strict=True))
        return self

    def predict(self, X):
        return [
            self.known_[name]
            if name in self.known_
            else np.random.default_rng([7, seed]).normal(size=len(hint))
            for seed, (name, hint) in enumerate(zip(X["name"], X["hint"], strict=True))
        ]


class Hint(RegressorMixin, BaseEstimator):
    """Returns the column ``hint``."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return list(X["hint"])


def make_hints(people: range, seed: int) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Labels are noise; ``hint`` is the label with as much noise again."""
    rng = np.random.default_rng(seed)
    rows = [(f"p{person}", f"p{person}-{trial}") for person in people for trial in range(3)]
    X = pd.DataFrame(rows, columns=["subject", "name"])
    y = [rng.normal(size=20) for _ in rows]
    X["hint"] = pd.Series([series + rng.normal(size=20) for series in y])
    return X, y


class TestLateFusion:
    FINAL = {"max_epochs": 40, "lr": 0.02, "random_state": 0}  # noqa: RUF012

    def test_a_model_that_knows_its_training_trials_gets_no_weight(self):
        X, y = make_hints(range(12), 0)
        new, expected = make_hints(range(12, 24), 1)
        models = {"memory": Memory(), "hint": Hint()}
        second = NetworkSequenceRegressor(FusionLSTM, standardize=True, **self.FINAL)
        fused = LateFusionRegressor(models, final_estimator=second).fit(X, y)
        # The same second level on in-sample predictions relies on the memory.
        in_sample = [
            np.column_stack(pair)
            for pair in zip(Memory().fit(X, y).predict(X), X["hint"], strict=True)
        ]
        naive = clone(second).fit(in_sample, y)
        assert naive.score(in_sample, y) > 0.95
        answers = [
            np.column_stack(pair)
            for pair in zip(fused.estimators_["memory"].predict(new), new["hint"], strict=True)
        ]
        # The best that a hint with as much noise as signal allows is sqrt(1/2) = 0.71.
        assert 0.5 < fused.score(new, expected) < 0.75
        assert naive.score(answers, expected) < 0.2

    def test_predictions_come_from_models_of_other_people(self):
        X, y = make_hints(range(6), 0)
        fused = LateFusionRegressor({"memory": Memory()}, n_splits=3, random_state=0)
        fused.set_params(final_estimator=NetworkSequenceRegressor(FusionLSTM, max_epochs=1))
        fused.fit(X, y)
        for series, predicted in zip(y, fused.out_of_fold_, strict=True):
            assert predicted.shape == (20, 1)
            assert not np.isclose(predicted[:, 0], series).any()

    def test_file_names_and_two_targets(self, tmp_path):
        X, y = make_trials()
        both = [np.column_stack([series, -series]) for series in y]
        models = {
            name: MuSeLSTMRegressor(**SMALL, columns=[name], max_epochs=2)
            for name in ("voice", "face")
        }
        model = LateFusionRegressor(models, random_state=0, n_splits=2)
        model.set_params(voice__max_epochs=1).fit(X, both)
        assert model.get_params()["voice__max_epochs"] == 1
        assert len(model.estimators_["voice"].net_.history) == 1
        assert model.final_estimator_.n_features_in_ == 4
        assert n_parameters(model.final_estimator_.net_.module_) == n_parameters(FusionLSTM(4, 2))
        predicted = model.predict(X)
        assert [series.shape for series in predicted] == [series.shape for series in both]
        save(model, tmp_path / "m")
        for one, two in zip(load(tmp_path / "m").predict(X), predicted, strict=True):
            assert_array_equal(one, two)

    def test_one_person_or_no_model_is_an_error(self):
        X, y = make_hints(range(1), 0)
        with pytest.raises(ValueError, match="need two people or more"):
            LateFusionRegressor({"hint": Hint()}).fit(X, y)
        with pytest.raises(ValueError, match="estimators is empty"):
            LateFusionRegressor({}).fit(X, y)
        with pytest.raises(ValueError, match=r"estimators\['hint'\] must be a sequence regressor"):
            LateFusionRegressor({"hint": 3}).fit(X, y)
        with pytest.raises(ValueError, match="subject"):
            LateFusionRegressor({"hint": Hint()}).fit(X.drop(columns="subject"), y)
