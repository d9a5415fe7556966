"""How many rows a network is given at once, so that no answer depends on the other rows.

A network in evaluation treats each row by itself, but the libraries below torch choose their
kernels by shape: the last digits of a row's answer can depend on how many rows there are, and on
the row's place among them. No library promises otherwise. So each network is tried on the machine
that it runs on, and is then given rows only in numbers that answer alike, bit for bit.
"""

from __future__ import annotations

import copy
import threading
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

# The number of rows that others are compared with, and the others.
USUAL = 16
OTHERS = (1, 2, 4, 8, 64)
# What the linear layers are filled up to: the fewest rows that may do, and those that always do.
FILLED_UP = (4, USUAL)
# Draws of weights until the answers to different rows differ.
N_DRAWS = 3
# Rows of fewer columns are tried twice, with other weights.
MANY_COLUMNS = 1024


class Way(NamedTuple):
    """A way to give rows to a network.

    `sizes`: the numbers of rows that a forward pass may have. `least_rows`: what the linear layers
    of a `Head` fill up to.
    """

    sizes: tuple[int, ...]
    least_rows: int = 1

    def passes(self, n: int) -> tuple[int, ...]:
        """Return the rows of each forward pass for n rows; zeros fill up the last one."""
        full, rest = divmod(n, max(self.sizes))
        return (max(self.sizes),) * full + _cheapest(self.sizes, rest)


@lru_cache(maxsize=1024)
def _cheapest(sizes: tuple[int, ...], n: int) -> tuple[int, ...]:
    """Return the passes for fewer rows than the largest; a pass costs as much as one row more."""
    if n <= 0:
        return ()
    ways = [(size, *_cheapest(sizes, n - size)) for size in sizes]
    best = min(ways, key=lambda way: sum(way) + len(way))
    return tuple(sorted(best, reverse=True))


ONE_BY_ONE = Way((1,))

_found: dict[tuple, Way] = {}
_of_network: WeakKeyDictionary[nn.Module, dict[tuple, Way]] = WeakKeyDictionary()
_trying = threading.Lock()


def find_way(
    network: nn.Module,
    made_of: Callable[[], tuple],
    n_columns: int,
    n_threads: int,
    precision: Callable[[], AbstractContextManager],
    *,
    feed: Feed,
    compiled: bool,
) -> Way:
    """Return the fastest way known in which a row's answer does not depend on the other rows.

    A network is tried once in a process for each number of threads and each setting of torch that
    can change the last digits; networks made of the same parts share what was found. A trial takes
    as long as predictions for 250 rows (``docs/performance.md``).

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. It is not touched: a copy with random weights is tried, since trained
        weights may hide a difference (a layer whose gain is still zero).
    made_of : callable
        Returns what the network was made of: its class and arguments. Called where it is new.
    n_columns : int
        Numbers in a row.
    n_threads : int
        torch threads that are set.
    precision : callable
        Returns the context in which the network computes.
    feed : Feed
        How the network takes rows.
    compiled : bool
        Whether the network goes through ``torch.compile``. On the CPU it is then given one row at
        a time: a program is made for each shape, and that of one row takes no longer per row.
    """
    numbers = next(network.parameters(), None)
    device = torch.device("cpu") if numbers is None else numbers.device
    if compiled and device.type == "cpu":
        return ONE_BY_ONE
    setting = _read_setting(device, n_threads, precision)
    known = _of_network.setdefault(network, {})
    if setting not in known:
        key = (*made_of(), n_columns, compiled, setting)
        with _trying:
            if key not in _found:
                trial = _Trial(network, n_columns, device, precision, feed, compiled=compiled)
                _found[key] = trial.find()
        known[setting] = _found[key]
    return known[setting]


def _read_setting(
    device: torch.device, n_threads: int, precision: Callable[[], AbstractContextManager]
) -> tuple:
    """Return what can change the last digits of an answer, besides network and rows."""
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
    """A copy of a network with random weights, and random rows to answer.

    A difference in the last digits of one layer is often rounded away by the next. So what each
    module gives is compared, and small networks, which give few numbers, are tried twice.
    """

    def __init__(
        self,
        network: nn.Module,
        n_columns: int,
        device: torch.device,
        precision: Callable[[], AbstractContextManager],
        feed: Feed,
        *,
        compiled: bool,
    ) -> None:
        self.device, self.precision, self.n_columns = device, precision, n_columns
        self.feed = feed
        self.chance = torch.Generator().manual_seed(0)
        # A copy would not be compiled.
        self.network = network if compiled else _copy_without_hooks(network)
        self.is_copy = not compiled

    @torch.inference_mode()
    def find(self) -> Way:
        """Return the way to give rows to the network."""
        cuda = [self.device] if self.device.type == "cuda" else []
        with warnings.catch_warnings(), torch.random.fork_rng(cuda):
            warnings.simplefilter("ignore")
            try:
                for least_rows in FILLED_UP:
                    with filled_up(least_rows):
                        sizes = self._find_sizes()
                    if min(sizes, default=USUAL) <= 2:
                        break
            except (RuntimeError, ValueError, IndexError, TypeError):
                # A network that cannot take random numbers, or several rows.
                return ONE_BY_ONE
        return Way(sizes, least_rows) if sizes else ONE_BY_ONE

    def _find_sizes(self) -> tuple[int, ...]:
        """Return the numbers of rows that answer alike; none if not even a row's place may change.

        Not on the CPU the usual number is the only one: others were not tried there.
        """
        sizes = [USUAL, *(OTHERS if self.device.type == "cpu" else ())]
        for _ in range(1 if self.n_columns >= MANY_COLUMNS else 2):
            if not self._draw():
                return ()
            expected = _Outputs(self.network) if self.is_copy else None
            answers = self._answer(torch.arange(USUAL), expected)
            sizes = [size for size in sizes if self._is_alike(size, answers, expected)]
            if USUAL not in sizes:
                return ()
        return tuple(sizes)

    def _draw(self) -> bool:
        """Draw rows, and weights with which they have different answers; say if it worked."""
        self.rows = torch.randn(USUAL, self.n_columns, generator=self.chance).to(self.device)
        for _ in range(N_DRAWS if self.is_copy else 1):
            if self.is_copy:
                _draw_weights(self.network, self.chance)
            answers = self._answer(torch.arange(USUAL)).flatten(1)
            if answers.isfinite().all() and 2 * len(answers.unique(dim=0)) > USUAL:
                return True
        return False

    def _answer(self, which: torch.Tensor, outputs: _Outputs | None = None) -> torch.Tensor:
        with self.precision(), outputs.looked_at(which) if outputs else nullcontext():
            return prediction_of(self.feed(self.network, self.rows[which]))

    def _is_alike(self, size: int, answers: torch.Tensor, outputs: _Outputs | None) -> bool:
        """Say whether passes of so many rows answer each row alike, at whatever place."""
        order = torch.arange(USUAL)
        if size == USUAL:
            orders = [order.roll(7), order.flip(0)]
        elif size < USUAL:
            orders = [order.roll(size // 2 + 1)]
        else:
            orders = [torch.cat([order.roll(3 * k + 1) for k in range(size // USUAL)])]
        passes = [which for places in orders for which in places.split(size)]
        for which in passes:
            if not torch.equal(self._answer(which, outputs), answers[which]):
                return False
            if outputs is not None and outputs.differ:
                return False
        # A module with hooks may take another way than one without.
        return torch.equal(self._answer(passes[0]), answers[passes[0]])


class _Outputs:
    """What each module of a network gave for the usual rows, to compare others with."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.known: dict[nn.Module, list[torch.Tensor]] | None = None
        self.differ = False

    @contextmanager
    def looked_at(self, which: torch.Tensor) -> Iterator[None]:
        """Keep what modules give inside the block, the first time; later compare it.

        `which`: the rows that the network is given, as places among the usual rows.
        """
        first = self.known is None
        known = self.known = self.known or {}
        n_seen: dict[nn.Module, int] = {}
        self.differ = False

        def keep(module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.ndim > 1:
                # A module that is called twice is left out, and so is one that joins rows.
                again = module in known
                known[module] = [] if again or len(output) != USUAL else [output.clone()]

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
    """Copy a network, and leave out the hooks that users have put on it."""
    twin = copy.deepcopy(network)
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


def _draw_weights(network: nn.Module, chance: torch.Generator) -> None:
    """Fill the weights with random numbers, so that each layer has a part in the answer."""
    for numbers in network.parameters():
        if not numbers.is_floating_point():
            continue
        drawn = torch.rand(numbers.shape, generator=chance)
        if numbers.ndim > 1:
            drawn = (drawn - 0.5) * (12 / numbers[0].numel()) ** 0.5
        else:
            drawn = drawn + 0.5
        numbers.copy_(drawn)
