"""
Your own CSV files
==================

From long recordings and a list of events to scores.

Run it where ``events.csv`` is: columns subject, file, onset, duration, stimulus, condition. Each
file is one long recording with a column of times and one of EDA, in any dialect of CSV.
"""

from edaemo.benchmark import evaluate, format_table
from edaemo.datasets import read_trials
from edaemo.preprocessing import describe_quality

study = read_trials("events.csv", classes=["condition"], window=(0, 20))
for row in study.trials.itertuples():
    quality = describe_quality(row.eda, study.sampling_rate)
    if quality.findings:
        print(row.subject, row.recording, f"{row.start:g} s:", *quality.findings)
print(study.report["trials_kept"], "trials at", study.sampling_rate, "Hz")
print(format_table(evaluate(["svm-eda"], study, store="results.sqlite")))
