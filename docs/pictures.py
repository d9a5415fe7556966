"""Draw the pictures of docs/ with the examples: `python docs/pictures.py [NAME …]`, all by default.

Each picture is a figure of an example in examples/, which the gallery shows, too.
"""

import argparse
import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot as plt

DOCS = Path(__file__).resolve().parent
# Name of the picture: the example, the number of its figure, and dots per inch.
PICTURES = {
    "attention-arousal": ("plot_attention", 1, 110),
    "attention-valence": ("plot_attention", 2, 110),
    "decomposition": ("plot_decomposition_weights", 1, 100),
    "decomposition-published": ("plot_decomposition_weights", 2, 100),
    "generated": ("plot_generated_listener", 1, 100),
    "readme": ("plot_leaking_split", 2, 100),
    "relabelling": ("plot_relabelling", 1, 110),
}


def draw(example: str, names: Iterable[str], folder: Path) -> dict[str, Any]:
    """Run an example and write its pictures.

    Parameters
    ----------
    example : str
        Name of the script in examples/, without suffix.
    names : iterable of str
        Keys of `PICTURES` that are figures of this example.
    folder : Path
        Where the pictures are written, as ``<name>.png``.

    Returns
    -------
    dict
        The variables of the script.
    """
    variables = runpy.run_path(str(DOCS.parent / "examples" / f"{example}.py"))
    for name in names:
        _, number, dpi = PICTURES[name]
        plt.figure(number).savefig(folder / f"{name}.png", dpi=dpi)
    return variables


def main() -> None:
    """Draw the pictures that are named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    chosen = parser.parse_args().names or list(PICTURES)
    if unknown := set(chosen) - set(PICTURES):
        parser.error(f"unknown pictures {sorted(unknown)}: choose from {', '.join(PICTURES)}")
    matplotlib.use("agg")
    for example in dict.fromkeys(PICTURES[name][0] for name in chosen):
        draw(example, [name for name in chosen if PICTURES[name][0] == example], DOCS)
        plt.close("all")


if __name__ == "__main__":
    main()
