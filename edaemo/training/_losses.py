"""Losses: what they read is a network's outputs and the batch.

A loss of a network's own, with an adversarial head or an auxiliary term, is a module of this form:
``forward(outputs, batch)`` returns a scalar.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.training._batches import Batch

Outputs = Tensor | tuple[Tensor, ...]
# Keeps a quotient finite where a series and its prediction are both constant and alike.
TINY = 1e-8


def prediction_of(outputs: Outputs) -> Tensor:
    """Return the prediction: the outputs, or the first of several."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def mean_over_trials(losses: Tensor, batch: Batch) -> Tensor:
    """Average the trials' losses of shape (B,) by the batch's weights."""
    if batch.weight is None:
        return losses.mean()
    return (batch.weight * losses).sum() / batch.weight.sum()


class CrossEntropy(nn.CrossEntropyLoss):
    """Cross-entropy of logits of shape (B, n_classes), with the trials' weights.

    A trial of weight 2 counts as two trials: the sum of the weighted losses is divided by the sum
    of the weights, of trials times classes.
    """

    # torch's takes logits and targets. By its class skorch knows that probabilities are a softmax.
    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:  # type: ignore[override]
        """Return the loss of a batch."""
        logits = prediction_of(outputs)
        if batch.weight is None:
            return super().forward(logits, batch.y)
        # These hold the weights of the classes already.
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
    """Mean squared error of one number for each trial, with the trials' weights."""

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        predicted = prediction_of(outputs)
        return mean_over_trials((predicted.reshape(batch.y.shape) - batch.y).square(), batch)


class Concordance(nn.Module):
    """One minus Lin's concordance correlation of each sequence, averaged over the sequences.

    Only labelled steps count. With means m, variances v and covariance c over these steps of a
    sequence the coefficient is 2 c / (v_y + v_p + (m_y - m_p)²) (Lin 1989, Biometrics 45).
    """

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        labelled, predicted = batch.labelled, prediction_of(outputs).reshape(batch.y.shape)
        assert labelled is not None  # sequences have one
        n_steps = labelled.sum(dim=1)

        def mean(series: Tensor) -> Tensor:
            return torch.where(labelled, series, 0).sum(dim=1) / n_steps

        mean_y, mean_p = mean(batch.y), mean(predicted)
        from_y, from_p = batch.y - mean_y[:, None], predicted - mean_p[:, None]
        spread = mean(from_y.square()) + mean(from_p.square()) + (mean_y - mean_p).square()
        return mean_over_trials(1 - 2 * mean(from_y * from_p) / (spread + TINY), batch)
