"""Training against the recognition of subjects: the loss, and its schedules."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from edaemo.networks import DomainHead
from edaemo.training._batches import Batch
from edaemo.training._losses import CrossEntropy, Outputs, mean_over_trials
from edaemo.training._skorch import Callback, NeuralNet

# Slope of the schedule of the reversed gradient.
SLOPE = 10.0
# The parts of the training loss in the history.
PARTS = ("class_loss", "domain_loss")


class DomainCrossEntropy(CrossEntropy):
    """Cross-entropy of the classes, plus smoothed cross-entropy of the subjects.

    The outputs of the network in training are the logits of the classes, those of the subjects, of
    shape (B, n_tokens, n_groups), and a mask of the tokens, (B, n_tokens). The losses of the tokens
    of a trial are averaged. In evaluation the output is the logits of the classes, and the loss is
    their cross-entropy.

    Attributes
    ----------
    smoothing : float
        Share by which the target of the subjects is moved towards equal probabilities.
    parts : tuple of Tensor
        Losses of the classes and of the subjects in the last training batch, two scalars.
    """

    smoothing: float = 0.0
    parts: tuple[Tensor, Tensor]

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:  # type: ignore[override]
        """Return the loss of a batch.

        Parameters
        ----------
        outputs : Tensor, or tuple of Tensor
            Outputs of the network.
        batch : Batch
            The batch; ``batch.group`` is the subject.

        Returns
        -------
        Tensor
            The loss, a scalar.
        """
        loss = super().forward(outputs, batch)
        if not isinstance(outputs, tuple):
            return loss
        assert batch.group is not None  # set in training with domain_loss
        _, domains, read = outputs
        losses = F.cross_entropy(
            domains.mT,
            batch.group.unsqueeze(1).expand(read.shape),
            reduction="none",
            label_smoothing=self.smoothing,
        )
        of_domains = mean_over_trials((losses * read).sum(dim=1) / read.sum(dim=1), batch)
        self.parts = (loss.detach(), of_domains.detach())
        return loss + of_domains


class DomainSchedule(Callback):
    """Set the strength of the reversal and the smoothing before each epoch; keep both losses.

    In epoch e = 0, 1, … of E, with K subjects, the reversed gradient is multiplied by
    ``2 / (1 + exp(-10 e / E)) - 1``, and the smoothing is ``(K - 1) / K · e / E``, as in the
    released code of MAET.

    The history gets ``class_loss`` and ``domain_loss``, the two parts of the training loss, for
    each batch, and for each epoch their mean over the trials.
    """

    def on_epoch_begin(self, net: NeuralNet, **kwargs: object) -> None:
        """Set both values.

        Parameters
        ----------
        net : NeuralNet
            The net; its loss is a `DomainCrossEntropy`, and its network has a `DomainHead`.
        **kwargs : object
            Not used.
        """
        done = (len(net.history) - 1) / net.max_epochs
        for head in net.module_.modules():
            if isinstance(head, DomainHead):
                n_groups = head.classify.out_features
                head.strength.fill_(2 / (1 + math.exp(-SLOPE * done)) - 1)
                net.criterion_.smoothing = (n_groups - 1) / n_groups * done

    def on_batch_end(
        self, net: NeuralNet, batch: object = None, training: bool = False, **kwargs: object
    ) -> None:
        """Store the two parts of the loss of a training batch.

        Parameters
        ----------
        net : NeuralNet
            The net.
        batch : object
            Not used.
        training : bool
            Whether it is a training batch.
        **kwargs : object
            Not used.
        """
        if training:
            for name, value in zip(PARTS, net.criterion_.parts, strict=True):
                net.history.record_batch(name, value.item())

    def on_epoch_end(self, net: NeuralNet, **kwargs: object) -> None:
        """Store the two parts of the loss of the epoch.

        Parameters
        ----------
        net : NeuralNet
            The net.
        **kwargs : object
            Not used.
        """
        batches = [batch for batch in net.history[-1]["batches"] if PARTS[0] in batch]
        sizes = [batch["train_batch_size"] for batch in batches]
        for name in PARTS:
            values = [batch[name] for batch in batches]
            net.history.record(name, float(np.average(values, weights=sizes)))
