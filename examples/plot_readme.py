"""Draw the picture of the README: a decomposition with its responses, and what a split hides.

Left: two minutes of a bundled recording in microsiemens. Right: a support vector machine on the EDA
features of a generated study in which the EDA says nothing about the emotion, but depends on the
song. Only the protocol that holds out people and songs finds nothing.

Writes ``readme.png``.
"""

from tempfile import TemporaryDirectory

from matplotlib import pyplot as plt

from edaemo.benchmark import evaluate
from edaemo.datasets import load_induced_stress, make_music_listening
from edaemo.decomposition import decompose, scr_events
from edaemo.inspection import plot_decomposition

PROTOCOLS = ("trial", "subject", "subject+stimulus")

study = load_induced_stress(window=None)
trial = study.trials.query("subject == 'S14' and trial == 3").iloc[0]
eda = trial.eda[: round(120 * study.sampling_rate)]
parts = decompose(eda, study.sampling_rate)
responses = scr_events(parts.phasic, study.sampling_rate)
responses = responses[responses["amplitude"] >= 0.05]

figure = plt.figure(figsize=(11, 4.6), layout="constrained")
((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(3, 2))
plot_decomposition(
    parts,
    study.sampling_rate,
    signal=eda,
    responses=responses,
    title="Wrist EDA during a mental arithmetic task (induced-stress, S14)",
    ax=left.subplots(3, 1, sharex=True),
)

songs_only = make_music_listening(
    40,
    20,
    20,
    sampling_rate=4,
    duration=25.0,
    eda_informativeness=0.0,
    music_informativeness=0.0,
    subject_fingerprint=0.0,
    stimulus_fingerprint=1.0,
    time_drift=0.0,
    random_state=0,
)
with TemporaryDirectory() as folder:
    table = evaluate(
        "svm-eda", songs_only, "arousal", PROTOCOLS, people="all", store=f"{folder}/results.sqlite"
    )
scores = table[table["pipeline"] == "svm-eda"].set_index("protocol").loc[list(PROTOCOLS)]
axes = right.subplots()
low, high = (
    (scores["balanced_accuracy"] - scores["balanced_accuracy_low"]).clip(lower=0),
    (scores["balanced_accuracy_high"] - scores["balanced_accuracy"]).clip(lower=0),
)
axes.errorbar(
    scores["balanced_accuracy"], PROTOCOLS, xerr=[low, high], fmt="o", color="#1f5a8a", capsize=4
)
axes.axvline(0.5, color="0.4", linestyle="--", label="chance")
axes.set(xlim=(0.3, 1.0), ylim=(-0.6, 2.6), xlabel="balanced accuracy (95 % interval)")
axes.invert_yaxis()
axes.set_title("One SVM; EDA depends on the song", fontsize="medium")
axes.legend(frameon=False)
figure.savefig("readme.png", dpi=100)
