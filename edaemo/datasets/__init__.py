"""Loaders of public emotion corpora with electrodermal activity (EDA), and a generated study.

A loader returns a Bunch: the table of trials, the ratings, the targets, the music features and a
report of what was read.
"""

from edaemo.datasets._amigos import load_amigos
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._deap import load_deap
from edaemo.datasets._development import select_people
from edaemo.datasets._generated import make_music_listening
from edaemo.datasets._hku956 import load_hku956
from edaemo.datasets._induced_stress import load_induced_stress
from edaemo.datasets._pmemo import load_pmemo
from edaemo.datasets._window import cut_window

__all__ = [
    "DatasetError",
    "cut_window",
    "load_amigos",
    "load_deap",
    "load_hku956",
    "load_induced_stress",
    "load_pmemo",
    "make_music_listening",
    "select_people",
]
