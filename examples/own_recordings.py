"""
Your own recordings
===================

From a table and CSV files to a picture, a table of responses, and scores.

Run it where ``trials.csv`` is: columns subject, stimulus, file, condition; one file for each trial.
"""

from edaemo.benchmark import evaluate, format_table
from edaemo.datasets import read_trials
from edaemo.decomposition import decompose, scr_events
from edaemo.inspection import plot_decomposition

study = read_trials("trials.csv", classes=["condition"], sampling_rate=32)
eda = study.trials["eda"][0]
parts = decompose(eda, sampling_rate=32)
responses = scr_events(parts.phasic, sampling_rate=32)
plot_decomposition(parts, 32, signal=eda, responses=responses)[0].figure.savefig("first.png")
print(responses[["onset", "peak", "amplitude", "rise_time"]].round(2))
scores = evaluate(["svm-eda", "logistic-eda"], study, store="results.sqlite")
print(format_table(scores, width=100))
