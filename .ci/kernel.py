"""Check an installed wheel: the compiled kernel is there, and it agrees with the scipy core.

Run it outside the repository, with the Python that has the wheel installed.
"""

import numpy as np

from edaemo.decomposition import decompose
from edaemo.decomposition._compiled import kernel_facts

rng = np.random.default_rng(0)
for n_samples, sampling_rate in [(240, 4.0), (2000, 50.0)]:
    recording = 2 + np.cumsum(rng.normal(scale=0.02, size=n_samples))
    compiled = decompose(recording, sampling_rate, solver="compiled")
    reference = decompose(recording, sampling_rate, solver="scipy")
    for name in ("phasic", "tonic"):
        np.testing.assert_allclose(
            getattr(compiled, name), getattr(reference, name), rtol=0, atol=1e-3, err_msg=name
        )
    assert np.isclose(compiled.objective, reference.objective, rtol=1e-6)
print("kernel:", kernel_facts())
