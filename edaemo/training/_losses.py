"""Losses of the outputs of a network and a batch.

A loss is a module whose ``forward(outputs, batch)`` returns a scalar. A network can declare its own
loss, for example with an adversarial head or an auxiliary term.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.training._batches import Batch

Outputs = Tensor | tuple[Tensor, ...]
# Keeps the quotient finite if a series and its prediction are constant and equal.
TINY = 1e-8


def prediction_of(outputs: Outputs) -> Tensor:
    """Return the prediction in the outputs of a network.

    Parameters
    ----------
    outputs : Tensor, or tuple of Tensor
        The outputs.

    Returns
    -------
    Tensor
        The outputs, or the first item of a tuple of outputs.
    """
    return outputs[0] if isinstance(outputs, tuple) else outputs


def mean_over_trials(losses: Tensor, batch: Batch) -> Tensor:
    """Average the losses of the trials, shape (B,), by the weights of the batch."""
    if batch.weight is None:
        return losses.mean()
    return (batch.weight * losses).sum() / batch.weight.sum()


class CrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy of logits of shape (B, n_classes), weighted by trial.

    A trial of weight 2 counts as two trials. The sum of the weighted losses is divided by the sum
    of the weights, where a weight is the product of the trial's and the class's weight.
    """

    # The base class makes skorch apply a softmax for probabilities. Its `forward` takes targets.
    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:  # type: ignore[override]
        """Return the loss of a batch.

        Parameters
        ----------
        outputs : Tensor, or tuple of Tensor
            Outputs of the network.
        batch : Batch
            The batch.

        Returns
        -------
        Tensor
            The loss, a scalar.
        """
        logits = prediction_of(outputs)
        if batch.weight is None:
            return super().forward(logits, batch.y)
        # These losses already include the class weights.
        losses = F.cross_entropy(
            logits,
            batch.y,
            weight=self.weight,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        shares = batch.weight if self.weight is None else batch.weight * self.weight[batch.y]
        return (batch.weight * losses).sum() / shares.sum()


class SquaredError(nn.Module):
    """Mean squared error of one number for each trial, weighted by trial."""

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        outputs : Tensor, or tuple of Tensor
            Outputs of the network.
        batch : Batch
            The batch.

        Returns
        -------
        Tensor
            The loss, a scalar.
        """
        predicted = prediction_of(outputs)
        return mean_over_trials((predicted.reshape(batch.y.shape) - batch.y).square(), batch)


class Concordance(nn.Module):
    """One minus Lin's concordance correlation of each sequence, averaged over the sequences.

    Only labelled steps are used. With means m, variances v and covariance c over these steps of a
    sequence, the coefficient is 2 c / (v_y + v_p + (m_y - m_p)²) (Lin 1989, Biometrics 45).
    """

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        outputs : Tensor, or tuple of Tensor
            Outputs of the network.
        batch : Batch
            The batch.

        Returns
        -------
        Tensor
            The loss, a scalar.
        """
        labelled, predicted = batch.labelled, prediction_of(outputs).reshape(batch.y.shape)
        assert labelled is not None  # set for sequences
        n_steps = labelled.sum(dim=1)

        def mean(series: Tensor) -> Tensor:
            return torch.where(labelled, series, 0).sum(dim=1) / n_steps

        mean_y, mean_p = mean(batch.y), mean(predicted)
        from_y, from_p = batch.y - mean_y[:, None], predicted - mean_p[:, None]
        spread = mean(from_y.square()) + mean(from_p.square()) + (mean_y - mean_p).square()
        return mean_over_trials(1 - 2 * mean(from_y * from_p) / (spread + TINY), batch)
