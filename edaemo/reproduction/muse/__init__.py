"""Reproduce the table of results of the MuSe LSTM with self-attention (Sun et al., MuSe 2020)."""

from edaemo.reproduction.muse._reproduce import (
    PUBLISHED,
    format_results,
    reproduce_results,
)

__all__ = ["PUBLISHED", "format_results", "reproduce_results"]
