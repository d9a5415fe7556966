"""Run AIMSTF under the splits of its released code, and over held-out people."""

from edaemo.reproduction.aimstf._layout import format_aimstf
from edaemo.reproduction.aimstf._reproduce import (
    PROTOCOLS,
    TARGETS,
    AIMSTFReproduction,
    AIMSTFSettings,
    reproduce_aimstf,
)

__all__ = [
    "PROTOCOLS",
    "TARGETS",
    "AIMSTFReproduction",
    "AIMSTFSettings",
    "format_aimstf",
    "reproduce_aimstf",
]
