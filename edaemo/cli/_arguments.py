"""What several commands ask of their arguments."""

from __future__ import annotations

import argparse


def positive_number(text: str) -> float:
    """Return the number that a text says, if it is positive and finite."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number: {text!r}")
    return number
