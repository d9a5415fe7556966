"""
A fair comparison
=================

``evaluate`` holds out whole people, audits the folds for leaks, and compares each pipeline with
rows that use no EDA. This example uses HKU956: 15 people who listen to music, and their ratings of
arousal. Nothing was chosen on these people.
"""

# %%
# Evaluate
# --------
# Three pipelines on the EDA, one on tags of the music. The reference rows are added. The store
# keeps each fold, so an interrupted run continues where it stopped.
from tempfile import TemporaryDirectory

from matplotlib import pyplot as plt

from edaemo.benchmark import evaluate, format_table
from edaemo.inspection import plot_comparison

with TemporaryDirectory() as folder:
    table = evaluate(
        ["recommended", "svm-eda", "logistic-eda", "svm-music"],
        "hku956",
        "arousal",
        n_jobs=1,
        store=f"{folder}/results.sqlite",
    )

# %%
# The table
# ---------
# The table names the protocol, the audit, intervals over people, and p values after Holm's
# adjustment for all claims. "Reads EDA" means: better than every row that uses no EDA.
print(format_table(table))

# %%
# The picture
# -----------
# No pipeline is shown to read arousal from EDA. The pipelines on EDA are near chance. The row
# ``stimulus-prior``, the mean label that other people gave to the song, is above each of them.
axes = plot_comparison(table)
plt.show()
