"""Measure the memory to join 6,373 music features to 7,962 trials, as in PMEmo."""

import resource

import numpy as np
import pandas as pd

from edaemo import MusicFeatureUnion

N_TRIALS, N_SONGS, N_FEATURES, N_EDA = 7962, 794, 6373, 384


def peak() -> float:
    """Return the peak memory of the process in MiB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the peak before and after, and the size of the joined matrix."""
    rng = np.random.default_rng(0)
    songs = [f"s{i}" for i in range(N_SONGS)]
    music = pd.DataFrame(
        rng.normal(size=(N_SONGS, N_FEATURES)).astype(np.float32),
        index=songs,
        columns=[f"f{i}" for i in range(N_FEATURES)],
    )
    trials = pd.DataFrame(
        {
            "subject": [f"p{i % 457}" for i in range(N_TRIALS)],
            "stimulus": [songs[i] for i in rng.integers(N_SONGS, size=N_TRIALS)],
            "trial": range(N_TRIALS),
            "eda": pd.Series(list(rng.normal(size=(N_TRIALS, N_EDA)).astype("f4")), dtype=object),
        }
    )
    before = peak()
    joined = MusicFeatureUnion(music=music).fit_transform(trials)
    size = joined.to_numpy().nbytes / 2**20
    print(f"{joined.shape[0]} x {joined.shape[1]} float32: {size:.0f} MiB")
    print(f"process: at most {before:.0f} MiB before, {peak():.0f} MiB after")


if __name__ == "__main__":
    main()
