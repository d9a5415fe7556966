"""Plot how one subject's ratings become low and high labels: Figure 3 of the RTCAN-1D paper.

Writes ``relabelling.png``, a picture of docs/explanations.md.
"""

from edaemo.datasets import load_hku956
from edaemo.inspection import plot_relabelling

study = load_hku956()
person = study.development[0]
low, high = study.rating_range
axes = plot_relabelling(
    study.ratings, person, global_threshold=(low + high) / 2, subject=study.trials["subject"]
)
axes[0].figure.savefig("relabelling.png", dpi=110)
