"""The loss of AIMSTF: classes, and what specific and shared features have in common."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from edaemo.training._batches import Batch
from edaemo.training._losses import CrossEntropy, Outputs

# Length of the interval of the shared features: their last layer is a tanh.
SPAN = 2.0


def difference(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Return the difference loss of two feature vectors of the same trials.

    With the features divided by their norm in each trial, p and q, this is the mean over all pairs
    of features (i, j) of (Σ_b w_b p_bi q_bj)², as in the released code of AIMSTF. It is the soft
    orthogonality of Bousmalis et al., "Domain separation networks", NeurIPS 2016, equation 5,
    divided by the number of pairs. Features are not centred.

    Parameters
    ----------
    first, second : Tensor of shape (B, D)
        The features.
    weight : Tensor of shape (B,)
        Weight of each trial; 0 if it is not used.

    Returns
    -------
    Tensor
        The loss, a scalar.
    """
    first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    return (first.mT @ (weight.unsqueeze(1) * second)).square().mean()


def moment_discrepancy(
    first: Tensor, second: Tensor, weights: tuple[Tensor, Tensor], *, n_moments: int
) -> Tensor:
    """Return the central moment discrepancy of two samples of features from -1 to 1.

    With the mean m and the central moments c_k of each feature, this is
    ‖m(x) - m(y)‖ / 2 + Σ_k ‖c_k(x) - c_k(y)‖ / 2^k for k from 2 to `n_moments` (Zellinger et al.,
    "Central moment discrepancy for domain-invariant representation learning", ICLR 2017, definition
    2 with K = `n_moments` and an interval of length 2).

    Parameters
    ----------
    first, second : Tensor of shape (B, D)
        The samples, one row for each trial.
    weights : pair of Tensor of shape (B,)
        Weight of each row of each sample; 0 if it is not used.
    n_moments : int
        Highest order of the moments.

    Returns
    -------
    Tensor
        The discrepancy, a scalar; 0 if a sample has no row.
    """
    if not all(bool(weight.any()) for weight in weights):
        return first.new_zeros(())
    shares = [(weight / weight.sum()).unsqueeze(1) for weight in weights]
    means = [(w * x).sum(dim=0) for w, x in zip(shares, (first, second), strict=True)]
    gap = torch.linalg.vector_norm(means[0] - means[1]) / SPAN
    centred = (first - means[0], second - means[1])
    for order in range(2, n_moments + 1):
        moments = [(w * x**order).sum(dim=0) for w, x in zip(shares, centred, strict=True)]
        gap = gap + torch.linalg.vector_norm(moments[0] - moments[1]) / SPAN**order
    return gap


class SpecificSharedLoss(CrossEntropy):
    """Cross-entropy, plus the difference losses and the moment discrepancy of AIMSTF.

    The loss is the cross-entropy, plus `alpha` times the difference loss of the specific and the
    shared features of each modality, plus `gamma` times the difference loss of the specific
    features of each pair of modalities, plus `beta` times the central moment discrepancy of the
    shared features of each pair. In evaluation it is the cross-entropy alone.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,) or None, default=None
        Weight of each class.
    label_smoothing : float, default=0.0
        As for the cross-entropy of torch.
    alpha, beta, gamma : float, default=0.01, 0.5, 0.01
        The weights of the terms, as in the released scripts for 5 folds.
    n_moments : int, default=5
        Highest order of the central moments; that of Zellinger et al. The released code has 2.

    Notes
    -----
    The released code compares the mean and the variance over all trials and features at once. It
    subtracts the mean before, so that its first term is always zero. Here each feature has its own
    mean and moments.
    """

    alpha: float
    beta: float
    gamma: float
    n_moments: int

    def __init__(
        self,
        weight: Tensor | None = None,
        label_smoothing: float = 0.0,
        *,
        alpha: float = 0.01,
        beta: float = 0.5,
        gamma: float = 0.01,
        n_moments: int = 5,
    ) -> None:
        super().__init__(weight=weight, label_smoothing=label_smoothing)
        self.alpha, self.beta, self.gamma, self.n_moments = alpha, beta, gamma, n_moments

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:  # type: ignore[override]
        """Return the loss of a batch.

        Parameters
        ----------
        outputs : Tensor, or tuple of Tensor
            Outputs of the network: logits, and in training specific and shared features of each
            modality, (B, M, D), and which modalities are present, (B, M).
        batch : Batch
            The batch.

        Returns
        -------
        Tensor
            The loss, a scalar.
        """
        loss = super().forward(outputs, batch)
        if not isinstance(outputs, tuple):
            return loss
        _, specific, common, present = outputs
        weight = present.to(common.dtype)
        if batch.weight is not None:
            weight = weight * batch.weight.unsqueeze(1)
        n_modalities = present.shape[1]
        for i in range(n_modalities):
            loss = loss + self.alpha * difference(specific[:, i], common[:, i], weight[:, i])
        for i, j in combinations(range(n_modalities), 2):
            both = weight[:, i] * present[:, j]
            loss = loss + self.gamma * difference(specific[:, i], specific[:, j], both)
            loss = loss + self.beta * moment_discrepancy(
                common[:, i],
                common[:, j],
                (weight[:, i], weight[:, j]),
                n_moments=self.n_moments,
            )
        return loss
