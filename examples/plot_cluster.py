"""
Folds on a cluster
==================

``evaluate(scheduler=…)`` distributes folds over the workers of a Dask cluster. This example starts
two workers on this machine. On a real cluster, ``dask scheduler`` and ``dask worker ADDRESS`` start
them.
"""

# %%
# Start a cluster
# ---------------
# Each worker is a process of its own with one thread. It must run the same edaemo and the same
# versions of the libraries.
from tempfile import TemporaryDirectory

from distributed import Client, SubprocessCluster, get_task_stream
from matplotlib import pyplot as plt

from edaemo.benchmark import ResultStore, evaluate
from edaemo.datasets import make_music_listening

study = make_music_listening(20, 20, 16, sampling_rate=4, duration=25.0, random_state=0)

# %%
# Evaluate on it
# --------------
# Only this process writes the store. If a worker is lost, another one repeats its work.
folder = TemporaryDirectory()
store = f"{folder.name}/results.sqlite"
cluster = SubprocessCluster(
    n_workers=2, worker_kwargs={"nthreads": 1}, scheduler_kwargs={"dashboard": False}
)
with cluster, Client(cluster) as client, get_task_stream(client) as tasks:
    table = evaluate(
        ["svm-eda", "svm-rbf-eda", "logistic-eda"],
        study,
        "arousal",
        people="all",
        scheduler=cluster.scheduler_address,
        store=store,
    )
with ResultStore(store) as results:
    folds = results.folds()
folder.cleanup()
print(folds.groupby("pipeline")["fit_seconds"].agg(["count", "sum"]).round(2).to_string())

# %%
# What the workers did
# --------------------
# Each bar is one task. The workers compute the features of a part of the trials first, and then
# the folds of all pipelines. Free workers take the next fold.
colours = {"_transform_part": "#D55E00", "run_fold": "#0072B2"}
names = {"_transform_part": "features of some trials", "run_fold": "one fold"}
workers = sorted({task["worker"] for task in tasks.data})
spans = [
    (task["key"].rsplit("-", 5)[0], workers.index(task["worker"]), span["start"], span["stop"])
    for task in tasks.data
    for span in task["startstops"]
    if span["action"] == "compute"
]
first = min(start for _, _, start, _ in spans)
figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
for kind, colour in colours.items():
    of_kind = [span[1:] for span in spans if span[0] == kind]
    places, starts, stops = zip(*of_kind, strict=True)
    axes.barh(
        places,
        [stop - start for start, stop in zip(starts, stops, strict=True)],
        left=[start - first for start in starts],
        height=0.6,
        color=colour,
        edgecolor="white",
        label=names[kind],
    )
axes.set_yticks(range(len(workers)), [f"worker {k + 1}" for k in range(len(workers))])
axes.set(xlabel="time since the first task (s)", title=f"{len(spans)} tasks on two workers")
axes.legend(ncols=2, frameon=False, loc="upper right")
axes.margins(y=0.4)
plt.show()
