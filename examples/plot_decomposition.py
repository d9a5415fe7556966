"""
Decompose a recording, compared with NeuroKit2
==============================================

A recording of electrodermal activity (EDA) has a slow tonic component and fast phasic responses.
cvxEDA estimates both by convex optimisation. NeuroKit2 uses a high-pass by default, and offers a
median filter.
"""

# %%
# Read a recording
# ----------------
# Two minutes of wrist EDA at 4 Hz from a person who does mental arithmetic.
import numpy as np
from matplotlib import pyplot as plt
from scipy.signal import butter, medfilt, sosfiltfilt

from edaemo.datasets import load_induced_stress
from edaemo.decomposition import decompose, scr_events
from edaemo.inspection import plot_decomposition

study = load_induced_stress(window=None)
trial = study.trials.query("subject == 'S14' and trial == 3").iloc[0]
rate = study.sampling_rate
eda = trial.eda[: round(120 * rate)]

# %%
# Decompose it
# ------------
# :func:`~edaemo.decomposition.decompose` chooses its weights by the noise of the recording. The
# certificate bounds the distance from the optimum. Responses of at least 0.05 µS are marked.
parts = decompose(eda, rate)
responses = scr_events(parts.phasic, rate)
responses = responses[responses["amplitude"] >= 0.05]
print(f"status: {parts.status}, {len(responses)} responses")
print(responses[["onset", "peak", "amplitude", "rise_time"]].round(2).to_string(index=False))

axes = plot_decomposition(
    parts, rate, signal=eda, responses=responses, title="Person S14, mental arithmetic"
)

# %%
# The same recording with NeuroKit2's filters
# -------------------------------------------
# Both filters are a line of scipy. The results equal those of ``neurokit2.eda_phasic`` (version
# 0.3.0) with ``method="highpass"`` and ``"smoothmedian"``. The phasic component oscillates around
# zero: a negative value after a response is a property of the filter. The tonic component follows
# the responses, so their amplitudes are smaller. cvxEDA's phasic component is not negative.
low, high = (
    sosfiltfilt(butter(2, 0.05, kind, fs=rate, output="sos"), eda)
    for kind in ("lowpass", "highpass")
)
median = medfilt(eda, kernel_size=round(4 * rate) | 1)  # of 4 s; the number of samples is odd
by_method = {
    "edaemo, cvxEDA": (parts.tonic, parts.phasic),
    "NeuroKit2, high-pass": (low, high),
    "NeuroKit2, median filter": (median, eda - median),
}

figure, axes = plt.subplots(2, 3, figsize=(11, 5), sharex=True, sharey="row", layout="constrained")
time = np.arange(len(eda)) / rate
for (above, below), (name, (tonic, phasic)) in zip(axes.T, by_method.items(), strict=True):
    above.plot(time, eda, color="0.6", label="EDA")
    above.plot(time, tonic, color="#D55E00", label="tonic")
    above.set_title(name, fontsize="medium")
    below.axhline(0, color="0.6", linewidth=1)
    below.plot(time, phasic, color="#0072B2")
    below.set_xlabel("time (s)")
axes[0, 0].set_ylabel("EDA (µS)")
axes[1, 0].set_ylabel("phasic (µS)")
axes[0, 0].legend(frameon=False)
plt.show()

# sphinx_gallery_thumbnail_number = 2
