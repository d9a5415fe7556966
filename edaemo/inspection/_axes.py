"""Axes to draw on: the caller's, or those of a new figure that notebooks show."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def use_axes(
    ax: Axes | np.ndarray | list[Axes] | None,
    n_rows: int,
    n_columns: int,
    size: tuple[float, float],
    **options: Any,
) -> np.ndarray:
    """Return the axes to draw on.

    Parameters
    ----------
    ax : Axes, array or list of Axes, or None
        The axes of the caller, row by row; None for a new figure of pyplot.
    n_rows, n_columns : int
        Number of axes that the plot needs.
    size : tuple of float
        Width and height of a new figure in inches.
    **options
        Further arguments of ``pyplot.subplots`` for a new figure.

    Returns
    -------
    ndarray of object of shape (n_rows, n_columns)

    Raises
    ------
    ValueError
        If `ax` does not hold as many axes as the plot needs.
    """
    if ax is None:
        from matplotlib import pyplot as plt

        options = {"layout": "constrained", "squeeze": False, **options}
        _, axes = plt.subplots(n_rows, n_columns, figsize=size, **options)
        return axes
    given = np.array(ax, dtype=object).ravel()
    if len(given) != n_rows * n_columns:
        raise ValueError(
            f"ax holds {len(given)} Axes, and the plot needs {n_rows * n_columns} "
            f"({n_rows} rows of {n_columns}): create them with plt.subplots({n_rows}, {n_columns})."
        )
    return given.reshape(n_rows, n_columns)


def save_figure(axes: Axes, path: str | PathLike[str]) -> None:
    """Write the figure of these axes to a file, and close it.

    Parameters
    ----------
    axes : Axes
        Axes of the figure.
    path : path
        The file; its suffix sets the format.
    """
    from matplotlib import pyplot as plt

    figure = axes.get_figure(root=True)
    assert figure is not None  # the axes of a plot belong to one
    figure.savefig(path, dpi=150)
    plt.close(figure)
