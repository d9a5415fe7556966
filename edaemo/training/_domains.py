"""Training against the recognition of subjects: the loss, and its schedules."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from edaemo.networks import DomainHead
from edaemo.training._batches import Batch
from edaemo.training._losses import CrossEntropy, Outputs, mean_over_trials
from edaemo.training._skorch import Callback, NeuralNet

# Slope of the schedule of the reversed gradient.
SLOPE = 10.0


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
    """

    smoothing: float = 0.0

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
        return loss + mean_over_trials((losses * read).sum(dim=1) / read.sum(dim=1), batch)


class DomainSchedule(Callback):
    """Set the strength of the reversal and the smoothing before each epoch.

    In epoch e = 0, 1, … of E, with K subjects, the reversed gradient is multiplied by
    ``2 / (1 + exp(-10 e / E)) - 1``, and the smoothing is ``(K - 1) / K · e / E``, as in the
    released code of MAET.
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
