"""Reproduce the tables and figure 4 of the RTCAN-1D paper (Yin et al., ACM TOMM 18, 2022)."""

from edaemo.reproduction.rtcan._layout import format_reproduction
from edaemo.reproduction.rtcan._previous import reproduce_table6
from edaemo.reproduction.rtcan._reproduce import (
    Reproduction,
    reproduce_figure4,
    reproduce_table1,
    reproduce_table2,
    reproduce_table3,
    reproduce_table4,
    reproduce_table5,
)
from edaemo.reproduction.rtcan._runs import ReproductionSettings

__all__ = [
    "Reproduction",
    "ReproductionSettings",
    "format_reproduction",
    "reproduce_figure4",
    "reproduce_table1",
    "reproduce_table2",
    "reproduce_table3",
    "reproduce_table4",
    "reproduce_table5",
    "reproduce_table6",
]
