"""
Stop early by people
====================

A network stops at the epoch with the lowest loss on trials that are set aside. If these trials come
from people who also train, the loss keeps falling while the network learns people by heart. edaemo
sets whole people aside.
"""

# %%
# A study in which people are recognisable
# ----------------------------------------
# The target is a rating of arousal above 6, which some people give often and others rarely. The
# EDA has a strong fingerprint of the person, so a network can learn each person's habit.
import numpy as np
from matplotlib import pyplot as plt
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring

from edaemo.datasets import make_music_listening
from edaemo.estimators import CNNClassifier
from edaemo.features import EDAFeatureExtractor

study = make_music_listening(
    48,
    40,
    20,
    sampling_rate=4,
    duration=25.0,
    subject_fingerprint=0.97,
    scale_use=1.5,
    random_state=0,
)
features = EDAFeatureExtractor(study.sampling_rate, preset="level").fit_transform(study.trials)
y = (study.ratings["arousal"] > 6).to_numpy()
subject = study.trials["subject"].to_numpy()
new = np.isin(subject, study.development)
scaler = StandardScaler().set_output(transform="pandas").fit(features[~new])
X, X_new = scaler.transform(features[~new]), scaler.transform(features[new]).to_numpy(np.float32)
print(f"{len(set(subject[~new]))} people train, {len(set(subject[new]))} are new")
print(f"{len(X)} and {len(X_new)} trials, {X.shape[1]} features")


# %%
# Two ways to set trials aside
# ----------------------------
# Each network trains for 20 epochs, with a quarter of the training people or trials set aside. If
# every trial counts as a person of its own, trials are set aside at random, and each person is on
# both sides.
def loss_of_new_people(net: object, _X: object, _y: object) -> float:
    """Return the loss on people who neither train nor stop the network."""
    return log_loss(y[new], net.predict_proba(X_new))


histories = {}
for title, unit in {
    "people are set aside": subject[~new],
    "trials of the same people are set aside": np.arange(len(X)),
}.items():
    model = CNNClassifier(
        lr=3e-4,
        max_epochs=20,
        validation_fraction=0.25,
        patience=20,
        callbacks=[EpochScoring(loss_of_new_people, name="new_loss", use_caching=False)],
        random_state=0,
    )
    histories[title] = model.fit(X, y[~new], subject=unit).net_.history

# %%
# The picture
# -----------
# With people set aside, the loss shows early that the network does not get better for new people.
# With trials set aside, the loss is lower than that of new people, and its minimum is later.
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for panel, (title, history) in zip(axes, histories.items(), strict=True):
    epochs = history[:, "epoch"]
    panel.plot(epochs, history[:, "train_loss"], color="0.6", label="training")
    panel.plot(epochs, history[:, "valid_loss"], color="#0072B2", label="set aside")
    panel.plot(epochs, history[:, "new_loss"], color="#D55E00", linestyle="--", label="new people")
    best = int(np.argmin(history[:, "valid_loss"]))
    panel.axvline(epochs[best], color="0.3", linestyle=":", label="epoch that is kept")
    print(f"{title}: epoch {epochs[best]}, loss of new people {history[best, 'new_loss']:.3f}")
    panel.set(xlabel="epoch", title=title, xticks=range(0, 21, 5))
axes[0].set_ylabel("cross-entropy")
axes[0].legend(frameon=False)
plt.show()
