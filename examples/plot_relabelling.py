"""
Label the ratings of one listener
=================================

People use a rating scale differently. ``SubjectThresholdRelabeler`` makes low and high from each
person's own ratings: 2-means finds two centres, and the threshold is their midpoint. The picture is
Figure 3 of the RTCAN-1D paper (Yin, Sun, Yu, Li & Zhang 2022) for a person of HKU956.
"""

# %%
# Thresholds of several people
# ----------------------------
# Ratings are from -10 to 10. The thresholds of most people differ from 0, the middle of the scale.
# ``min_center_distance=0`` switches off the warning about people whose centres are close.
from matplotlib import pyplot as plt

from edaemo import SubjectThresholdRelabeler
from edaemo.datasets import load_hku956
from edaemo.inspection import plot_relabelling

study = load_hku956()
subject = study.trials["subject"]
rows = subject.isin(study.development)
relabeler = SubjectThresholdRelabeler("both", min_center_distance=0)
labels = relabeler.fit_relabel(study.ratings[rows], subject=subject[rows])
print(relabeler.thresholds_.round(1).head(6).to_string())

# %%
# Ratings, centres and thresholds
# -------------------------------
# The solid line separates low from high for this person. The dashed line is a threshold for all
# people. Between the two lines are the trials whose label depends on this choice.
person = study.development[0]
low, high = study.rating_range
axes = plot_relabelling(study.ratings, person, global_threshold=(low + high) / 2, subject=subject)
plt.show()
