"""Loaders of public emotion corpora, readers of one's own recordings, and a generated study.

A loader returns a Bunch: the table of trials, the ratings, the targets, the music features and a
report of what was read.
"""

from edaemo.datasets._add_signal import add_signal
from edaemo.datasets._amigos import load_amigos
from edaemo.datasets._corpus import DatasetError
from edaemo.datasets._deap import load_deap
from edaemo.datasets._development import select_people
from edaemo.datasets._e4 import load_e4
from edaemo.datasets._generated import make_music_listening
from edaemo.datasets._hku956 import load_hku956
from edaemo.datasets._induced_stress import load_induced_stress
from edaemo.datasets._mahnob_hci import load_mahnob_hci
from edaemo.datasets._muse_car import load_muse_car
from edaemo.datasets._pmemo import load_pmemo
from edaemo.datasets._read_trials import read_trials
from edaemo.datasets._seed_vii import load_seed_vii
from edaemo.datasets._window import cut_window

__all__ = [
    "DatasetError",
    "add_signal",
    "cut_window",
    "load_amigos",
    "load_deap",
    "load_e4",
    "load_hku956",
    "load_induced_stress",
    "load_mahnob_hci",
    "load_muse_car",
    "load_pmemo",
    "load_seed_vii",
    "make_music_listening",
    "read_trials",
    "select_people",
]
