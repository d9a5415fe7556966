"""Measure how much each group of columns matters in an SVM, the CNN and RTCAN.

Each pipeline is trained on half of the people of a generated study (60 people, 20 songs, 20 trials
of 24 s at 8 Hz) and scored on the other half (arousal, by each person's own threshold). There are
`--seeds` studies; the seed of a study is also that of its networks. Cells have the mean over
studies (standard deviation). In each study, every group is shuffled ten times.

    python benchmarks/feature_groups.py
"""

from __future__ import annotations

import argparse
import warnings

import pandas as pd
from generated_null import lay_out

from edaemo import CvxEDATransformer, SubjectThresholdRelabeler
from edaemo.benchmark import make_cnn_baseline, make_rtcan, make_svm_baseline
from edaemo.datasets import make_music_listening
from edaemo.features import EDAFeatureExtractor
from edaemo.inspection import feature_group_importance

RATE = 8


def find_importance(seed: int) -> pd.DataFrame:
    """Return the score of each pipeline of one study, and its decrease for each group."""
    study = make_music_listening(60, 20, 20, sampling_rate=RATE, duration=24, random_state=seed)
    people = study.trials["subject"]
    y = SubjectThresholdRelabeler(target="arousal").fit_relabel(study.ratings, subject=people)
    features = EDAFeatureExtractor(RATE).fit_transform(study.trials)
    channels = CvxEDATransformer(RATE, n_times=128).fit_transform(study.trials)
    train = people.isin(sorted(people.unique())[:30]).to_numpy()
    parts = []
    for name, X, pipeline in [
        ("svm-eda-music", features, make_svm_baseline(eda="passthrough", music=study.music)),
        ("cnn-eda", features, make_cnn_baseline(eda="passthrough", random_state=seed)),
        ("rtcan-eda-music", channels, make_rtcan(music=study.music, random_state=seed)),
    ]:
        pipeline.fit(X[train], y[train])
        table = feature_group_importance(pipeline, X[~train], y[~train], random_state=seed)
        score = pd.Series({"balanced accuracy": table["score"].iloc[0]})
        parts.append(pd.concat([score, table["mean"]]).rename(name))
    return pd.concat(parts, axis=1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="generated studies")
    warnings.filterwarnings("ignore", category=UserWarning)
    tables = pd.concat([find_importance(seed) for seed in range(parser.parse_args().seeds)])
    by_group = tables.groupby(level=0, sort=False)
    mean, deviation = by_group.mean(), by_group.std()
    cells = mean.map("{:.3f}".format) + deviation.map(" ({:.3f})".format)
    print(lay_out(cells.where(mean.notna(), "-")))


if __name__ == "__main__":
    main()
