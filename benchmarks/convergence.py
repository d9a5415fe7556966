"""Check that bfloat16 and compiled training converge like single precision.

RTCAN is trained on subjects of a generated study, with several seeds and three settings: single
precision, bfloat16 and compiled. The loss on held-out subjects is recorded after every epoch. A
setting passes if the mean over seeds of its loss is, at each epoch, within one standard deviation
over seeds of the mean for single precision. The standard deviation is pooled over all epochs (the
root of the mean variance), because a few seeds can agree by chance at one epoch.

    python benchmarks/convergence.py --first 200 --seeds 24
"""

from __future__ import annotations

import argparse

import numpy as np

from edaemo import CvxEDATransformer, MusicFeatureUnion, RTCANClassifier, SubjectThresholdRelabeler
from edaemo.datasets import make_music_listening

WAYS = {"single precision": {}, "bf16": {"amp": "bf16"}, "compiled": {"compile": True}}
SEED, PEOPLE, N_TRAINING, EPOCHS = 2024, 48, 32, 20


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    arguments = parser.parse_args()
    n_seeds = arguments.seeds
    study = make_music_listening(PEOPLE, 60, 16, sampling_rate=8, duration=40.0, random_state=SEED)
    trials = study.trials
    y = SubjectThresholdRelabeler(target="arousal").fit_relabel(
        study.ratings, subject=trials["subject"]
    )
    aside = trials["subject"].isin(np.unique(trials["subject"])[N_TRAINING:]).to_numpy()
    eda = CvxEDATransformer(sampling_rate=8, n_times=320)
    X = MusicFeatureUnion(eda=eda, music=study.music).fit(trials[~aside]).transform(trials)
    curves = {way: [] for way in WAYS}
    for seed in range(arguments.first, arguments.first + n_seeds):
        for way, settings in WAYS.items():
            model = RTCANClassifier(
                max_epochs=EPOCHS, patience=EPOCHS, random_state=seed, **settings
            ).fit(X, y, validation=aside)
            curves[way].append(model.net_.history[:, "valid_loss"])
            print(f"seed {seed}, {way}: {curves[way][-1][-1]:.4f}", flush=True)
    plain = np.array(curves["single precision"])
    print(
        f"\n{(~aside).sum()} training and {aside.sum()} validation trials, {EPOCHS} epochs, "
        f"{n_seeds} seeds; validation loss, mean and standard deviation over seeds.\n"
    )
    print("| | epoch 1 | 5 | 10 | 20 | furthest, in standard deviations | |")
    print("|---|---|---|---|---|---|---|")
    for way, losses in curves.items():
        curve = np.array(losses)
        away = np.abs(curve.mean(0) - plain.mean(0)) / np.sqrt(plain.var(0, ddof=1).mean())
        shown = [
            f"{curve[:, epoch - 1].mean():.3f} ± {curve[:, epoch - 1].std(ddof=1):.3f}"
            for epoch in (1, 5, 10, 20)
        ]
        passed = "" if way == "single precision" else "passes" if away.max() <= 1 else "FAILS"
        print(f"| {way} | {' | '.join(shown)} | {away.max():.2f} | {passed} |")


if __name__ == "__main__":
    main()
