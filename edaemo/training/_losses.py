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
    """One minus Lin's concordance correlation, averaged over sequences, or over all steps at once.

    Only labelled steps are used. With means m, variances v and covariance c over these steps of a
    sequence, the coefficient is 2 c / (v_y + v_p + (m_y - m_p)²) (Lin 1989, Biometrics 45). If a
    step has several numbers, the loss is the mean over them.

    Parameters
    ----------
    per_sequence : bool, default=True
        Whether there is a coefficient for each sequence. If not, there is one for all steps of the
        batch, in which a step has the weight of its trial.
    """

    def __init__(self, per_sequence: bool = True) -> None:
        super().__init__()
        self.per_sequence = per_sequence

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
        labelled, predicted = _labelled(batch), prediction_of(outputs).reshape(batch.y.shape)
        share = labelled.to(predicted.dtype)
        if not self.per_sequence and batch.weight is not None:
            share = share * batch.weight.reshape(-1, *[1] * (share.ndim - 1))
        axes = (1,) if self.per_sequence else (0, 1)
        # Zero only if a sequence lacks one of several targets.
        total = share.sum(dim=axes, keepdim=True)
        least = torch.where(total > 0, total, 1)

        def mean(series: Tensor) -> Tensor:
            return (share * torch.where(labelled, series, 0)).sum(dim=axes, keepdim=True) / least

        mean_y, mean_p = mean(batch.y), mean(predicted)
        from_y, from_p = batch.y - mean_y, predicted - mean_p
        spread = mean(from_y.square()) + mean(from_p.square()) + (mean_y - mean_p).square()
        losses = 1 - 2 * mean(from_y * from_p) / (spread + TINY)
        losses = _mean_over_targets(losses, total > 0)
        return mean_over_trials(losses, batch) if self.per_sequence else losses.mean()


class StepError(nn.Module):
    """Mean error of the labelled steps of each sequence, averaged over the sequences by weight.

    Parameters
    ----------
    power : {1, 2}, default=2
        1: absolute errors. 2: squared errors.
    """

    def __init__(self, power: int = 2) -> None:
        super().__init__()
        self.power = power

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
        labelled, predicted = _labelled(batch), prediction_of(outputs).reshape(batch.y.shape)
        errors = torch.where(labelled, predicted - batch.y, 0).abs() ** self.power
        n_labelled = labelled.sum(dim=1, keepdim=True)
        errors = errors.sum(dim=1, keepdim=True) / n_labelled.clamp(min=1)
        return mean_over_trials(_mean_over_targets(errors, n_labelled > 0), batch)


def _labelled(batch: Batch) -> Tensor:
    assert batch.labelled is not None  # set for sequences
    return batch.labelled


def _mean_over_targets(losses: Tensor, known: Tensor) -> Tensor:
    """Average losses of shape (B, 1) or (B, 1, n_targets) over the known targets, to (B,)."""
    losses, known = losses.flatten(1), known.flatten(1)
    return torch.where(known, losses, 0).sum(dim=1) / known.sum(dim=1)
