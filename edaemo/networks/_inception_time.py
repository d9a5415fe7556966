"""InceptionTime, convolutions of several lengths over a time series.

Ismail Fawaz, Lucas, Forestier, Pelletier, Schmidt, Weber, Webb, Idoumghar, Muller, Petitjean,
"InceptionTime: finding AlexNet for time series classification", Data Mining and Knowledge Discovery
34 (2020), pp. 1936-1962, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edaemo.networks._declaration import Declaration, Layer, Recipe
from edaemo.networks._head import Head
from edaemo.networks._registry import register_network


class InceptionModule(nn.Module):
    """Convolutions of several lengths after a bottleneck, and a pooled copy of the input.

    Parameters
    ----------
    n_in : int
        Number of input filters. The bottleneck is left out if it is 1.
    n_filters : int
        Number of filters of the bottleneck and of each branch.
    kernel_sizes : sequence of int
        Kernel of each branch, odd.
    """

    bottleneck: nn.Module
    branches: nn.ModuleList
    pooled: nn.Sequential
    norm: nn.BatchNorm1d

    def __init__(self, n_in: int, n_filters: int, kernel_sizes: Sequence[int]) -> None:
        super().__init__()
        self.bottleneck, n_reduced = nn.Identity(), n_in
        if n_in > 1:
            self.bottleneck, n_reduced = nn.Conv1d(n_in, n_filters, 1, bias=False), n_filters
        self.branches = nn.ModuleList(
            nn.Conv1d(n_reduced, n_filters, size, padding=size // 2, bias=False)
            for size in kernel_sizes
        )
        self.pooled = nn.Sequential(
            nn.MaxPool1d(3, stride=1, padding=1), nn.Conv1d(n_in, n_filters, 1, bias=False)
        )
        self.norm = nn.BatchNorm1d((len(kernel_sizes) + 1) * n_filters)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, n_branches * n_filters, L) for x (B, n_in, L)."""
        reduced = self.bottleneck(x)
        branches = [branch(reduced) for branch in self.branches]
        return F.relu(self.norm(torch.cat([*branches, self.pooled(x)], dim=1)))


class ResidualGroup(nn.Module):
    """Inception modules in sequence, with a shortcut from the input to their output.

    Parameters
    ----------
    n_in : int
        Number of input filters.
    n_filters : int
        As for InceptionModule.
    kernel_sizes : sequence of int
        As for InceptionModule.
    n_modules : int
        Number of modules.
    """

    inception: nn.Sequential
    shortcut: nn.Sequential

    def __init__(
        self, n_in: int, n_filters: int, kernel_sizes: Sequence[int], n_modules: int
    ) -> None:
        super().__init__()
        n_out = (len(kernel_sizes) + 1) * n_filters
        self.inception = nn.Sequential(
            *(
                InceptionModule(n_out if i else n_in, n_filters, kernel_sizes)
                for i in range(n_modules)
            )
        )
        self.shortcut = nn.Sequential(nn.Conv1d(n_in, n_out, 1, bias=False), nn.BatchNorm1d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (B, n_out, L) for x (B, n_in, L)."""
        return F.relu(self.inception(x) + self.shortcut(x))


@register_network("inceptiontime")
class InceptionTime(nn.Module):
    """Two residual groups of three inception modules, the mean over time and a linear layer.

    Parameters
    ----------
    n_chans, n_times : int
        Number of EDA channels, and of samples of each channel.
    n_outputs : int
        Number of classes or of predicted numbers.
    n_filters : int, default=32
        Number of filters of each branch of a module.
    kernel_sizes : sequence of int, default=(39, 19, 9)
        Kernels of the branches of a module, odd numbers.

    Raises
    ------
    ValueError
        If a kernel is even.

    Notes
    -----
    The kernels of the source have 40, 20 and 10 samples. Here they are odd, so that the outputs are
    centred on the inputs. The source averages the probabilities of five networks with different
    initial weights. This is one of them: scikit-learn's ``VotingClassifier(voting="soft")`` on five
    classifiers with different ``random_state`` is the ensemble.
    """

    trunk: nn.Sequential
    shape: tuple[int, int]
    classify: Head
    declaration: ClassVar[Declaration] = Declaration(
        tasks=("binary", "multiclass", "regression"),
        sizes=("n_chans", "n_times"),
        signals=("eda",),
        features=(),
        # The source trains 1500 epochs.
        recipes={"default": Recipe(optimizer=torch.optim.Adam, weight_decay=0.0)},
        layers={"trunk": Layer("trunk", (1,))},
        on_request=True,
    )

    def __init__(
        self,
        n_chans: int,
        n_times: int,
        n_outputs: int,
        *,
        n_filters: int = 32,
        kernel_sizes: Sequence[int] = (39, 19, 9),
    ) -> None:
        super().__init__()
        if any(size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd numbers, got {tuple(kernel_sizes)}.")
        self.shape = (n_chans, n_times)
        n_out = (len(kernel_sizes) + 1) * n_filters
        self.trunk = nn.Sequential(
            *(
                ResidualGroup(n_out if i else n_chans, n_filters, kernel_sizes, n_modules=3)
                for i in range(2)
            )
        )
        self.classify = Head(nn.Linear(n_out, n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        X : Tensor of shape (B, n_chans * n_times)
            Rows [EDA channel 0 | 1 | …].

        Returns
        -------
        Tensor of shape (B, n_outputs)
            Logits.
        """
        return self.classify(self.trunk(X.unflatten(1, self.shape)).mean(dim=2))
