"""Choose numbers of rows per forward pass for which a prediction does not depend on other rows.

A network in evaluation treats each row separately, but the libraries below torch choose their
kernels by shape. The last digits of a row's output can depend on the number of rows and on the
position of the row. No library guarantees the contrary. Each network is therefore tested on the
machine that it runs on. Forward passes then have only numbers of rows for which the outputs of a
row are equal, bit for bit.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from edaemo.networks import filled_up, prefers_fast
from edaemo.training._losses import prediction_of
from edaemo.training._net import Feed
from edaemo.training._torch import torch_generators

# The reference number of rows, and the numbers that are compared with it.
USUAL = 16
OTHERS = (1, 2, 4, 8, 64)
# Rows to which the linear layers are padded: the smallest number that can suffice, and a safe one.
FILLED_UP = (4, USUAL)
# Maximum number of draws of weights until the outputs of different rows differ.
N_DRAWS = 3
# Networks with fewer columns are tested twice, with different weights.
MANY_COLUMNS = 1024


class Way(NamedTuple):
    """Sizes of forward passes for a network.

    `sizes` holds the allowed numbers of rows of a forward pass. `least_rows` is the number of rows
    to which the linear layers of a `Head` are padded.
    """

    sizes: tuple[int, ...]
    least_rows: int = 1

    def passes(self, n: int) -> tuple[int, ...]:
        """Return the size of each forward pass for n rows; the last one is padded with zeros."""
        full, rest = divmod(n, max(self.sizes))
        return (max(self.sizes),) * full + _cheapest(self.sizes, rest)


@lru_cache(maxsize=1024)
def _cheapest(sizes: tuple[int, ...], n: int) -> tuple[int, ...]:
    """Return the passes for the remaining rows; a pass costs as much as one more row."""
    if n <= 0:
        return ()
    ways = [(size, *_cheapest(sizes, n - size)) for size in sizes]
    best = min(ways, key=lambda way: sum(way) + len(way))
    return tuple(sorted(best, reverse=True))


ONE_BY_ONE = Way((1,))

_found: dict[tuple[Any, ...], Way] = {}
_of_network: WeakKeyDictionary[nn.Module, dict[tuple[Any, ...], Way]] = WeakKeyDictionary()


def find_way(
    network: nn.Module,
    made_of: Callable[[], tuple[Any, ...]],
    n_columns: int,
    n_threads: int,
    precision: Callable[[], AbstractContextManager[Any]],
    *,
    feed: Feed,
    compiled: bool,
) -> Way:
    """Return the fastest `Way` in which the output of a row does not depend on the other rows.

    A network is tested once per process for each number of threads and each setting of torch that
    can change the last digits. Networks with the same class, arguments and blocks share the result.
    The test takes as long as predictions for 250 rows (``docs/performance.md``).

    Parameters
    ----------
    network : nn.Module
        The network in evaluation mode. It is not changed. A copy with random weights is tested,
        because trained weights can hide a difference (for example a layer whose gain is zero).
    made_of : callable
        Returns the class, arguments and blocks of the network. Called only for a new network.
    n_columns : int
        Number of columns of a row.
    n_threads : int
        Number of torch threads in use.
    precision : callable
        Returns the autocast context of the forward pass.
    feed : Feed
        Description of the input of the network.
    compiled : bool
        Whether the network is compiled with ``torch.compile``. If so, a forward pass on the CPU has
        one row, because each shape is compiled separately, and one row at a time is as fast.

    Returns
    -------
    Way
        The way to predict rows.
    """
    weight = next(network.parameters(), None)
    device = torch.device("cpu") if weight is None else weight.device
    if compiled and device.type == "cpu":
        return ONE_BY_ONE
    setting = _read_setting(device, n_threads, precision)
    known = _of_network.setdefault(network, {})
    if setting not in known:
        key = (*made_of(), n_columns, compiled, setting)
        cuda = [device] if device.type == "cuda" else []
        # A network may draw random numbers, which must not change those of a fit in another thread.
        with torch_generators(cuda):
            if key not in _found:
                trial = _Trial(network, n_columns, device, precision, feed, compiled=compiled)
                _found[key] = trial.find()
        known[setting] = _found[key]
    return known[setting]


def _read_setting(
    device: torch.device, n_threads: int, precision: Callable[[], AbstractContextManager[Any]]
) -> tuple[Any, ...]:
    """Return the settings that can change the last digits of an output."""
    with precision():
        lower = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type)
    return (
        device,
        n_threads,
        lower,
        prefers_fast(device),
        torch.backends.mkldnn.enabled,
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
    )


class _Trial:
    """A test of a copy of a network, with random weights, on random rows.

    A difference in the last digits of one layer is often lost by rounding in the next layer. The
    test therefore compares the output of each module. It tests small networks twice, because they
    have few outputs.
    """

    def __init__(
        self,
        network: nn.Module,
        n_columns: int,
        device: torch.device,
        precision: Callable[[], AbstractContextManager[Any]],
        feed: Feed,
        *,
        compiled: bool,
    ) -> None:
        self.device, self.precision, self.n_columns = device, precision, n_columns
        self.feed = feed
        self.generator = torch.Generator().manual_seed(0)
        # A copy of a compiled network would not be compiled.
        self.network = network if compiled else _copy_without_hooks(network)
        self.is_copy = not compiled

    @torch.inference_mode()
    def find(self) -> Way:
        """Return the `Way` for the network."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for least_rows in FILLED_UP:
                    with filled_up(least_rows):
                        sizes = self._find_sizes()
                    if min(sizes, default=USUAL) <= 2:
                        break
            except (RuntimeError, ValueError, IndexError, TypeError):
                # The network cannot process random numbers, or several rows.
                return ONE_BY_ONE
        return Way(sizes, least_rows) if sizes else ONE_BY_ONE

    def _find_sizes(self) -> tuple[int, ...]:
        """Return the numbers of rows with equal outputs; () if the position of a row matters.

        On other devices than the CPU, only the reference number of rows is tested.
        """
        sizes = [USUAL, *(OTHERS if self.device.type == "cpu" else ())]
        for _ in range(1 if self.n_columns >= MANY_COLUMNS else 2):
            if not self._draw():
                return ()
            expected = _Outputs(self.network) if self.is_copy else None
            predictions = self._predict(torch.arange(USUAL), expected)
            sizes = [size for size in sizes if self._is_equal(size, predictions, expected)]
            if USUAL not in sizes:
                return ()
        return tuple(sizes)

    def _draw(self) -> bool:
        """Draw rows, and weights for which their outputs differ; return whether this succeeded."""
        self.rows = torch.randn(USUAL, self.n_columns, generator=self.generator).to(self.device)
        for _ in range(N_DRAWS if self.is_copy else 1):
            if self.is_copy:
                _draw_weights(self.network, self.generator)
            predictions = self._predict(torch.arange(USUAL)).flatten(1)
            if predictions.isfinite().all() and 2 * len(predictions.unique(dim=0)) > USUAL:
                return True
        return False

    def _predict(self, which: torch.Tensor, outputs: _Outputs | None = None) -> torch.Tensor:
        with self.precision(), outputs.recorded(which) if outputs else nullcontext():
            return prediction_of(self.feed(self.network, self.rows[which]))

    def _is_equal(self, size: int, predictions: torch.Tensor, outputs: _Outputs | None) -> bool:
        """Return whether passes of `size` rows give equal outputs at every tested position."""
        order = torch.arange(USUAL)
        if size == USUAL:
            orders = [order.roll(7), order.flip(0)]
        elif size < USUAL:
            orders = [order.roll(size // 2 + 1)]
        else:
            orders = [torch.cat([order.roll(3 * k + 1) for k in range(size // USUAL)])]
        passes = [which for places in orders for which in places.split(size)]
        for which in passes:
            if not torch.equal(self._predict(which, outputs), predictions[which]):
                return False
            if outputs is not None and outputs.differ:
                return False
        # A module with hooks can use other code than a module without hooks.
        return torch.equal(self._predict(passes[0]), predictions[passes[0]])


class _Outputs:
    """The output of each module for the reference rows, with which later outputs are compared."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.known: dict[nn.Module, list[torch.Tensor]] | None = None
        self.differ = False

    @contextmanager
    def recorded(self, which: torch.Tensor) -> Iterator[None]:
        """Store the outputs of modules on the first call; compare them on later calls.

        `which` holds the indices of the network's input rows among the reference rows.
        """
        first = self.known is None
        known = self.known = self.known or {}
        n_seen: dict[nn.Module, int] = {}
        self.differ = False

        def keep(module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.ndim > 1:
                # Modules that are called twice or that join rows are not compared.
                skip = module in known or len(output) != USUAL
                known[module] = [] if skip else [output.clone()]

        def compare(module: nn.Module, given: object, output: Any) -> None:
            start = n_seen.get(module, 0)
            for expected in known.get(module, []):
                rows = which[start : start + len(output)]
                n_seen[module] = start + len(rows)
                if not torch.equal(output[: len(rows)], expected[rows]):
                    self.differ = True

        hook = keep if first else compare
        handles = [module.register_forward_hook(hook) for module in self.network.modules()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _copy_without_hooks(network: nn.Module) -> nn.Module:
    """Copy a network without the hooks of users."""
    duplicate = copy.deepcopy(network)
    for module in duplicate.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return duplicate


def _draw_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Fill the weights with random numbers, so that each layer affects the output."""
    for weight in network.parameters():
        if not weight.is_floating_point():
            continue
        drawn = torch.rand(weight.shape, generator=generator)
        if weight.ndim > 1:
            weight.copy_((drawn - 0.5) * (12 / weight[0].numel()) ** 0.5)
        else:
            weight.copy_(drawn + 0.5)
