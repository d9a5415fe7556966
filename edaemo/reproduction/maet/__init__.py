"""Reproduce the tables of MAET on SEED-VII (Jiang et al., ACM MM 2023)."""

from edaemo.reproduction.maet._layout import format_maet
from edaemo.reproduction.maet._reproduce import MAETReproduction, MAETSettings, reproduce_maet

__all__ = ["MAETReproduction", "MAETSettings", "format_maet", "reproduce_maet"]
