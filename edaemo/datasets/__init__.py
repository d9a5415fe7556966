"""Load public emotion corpora, your own recordings, and a generated study.

A loader returns a `Study`, which is a Bunch: the table of trials, the ratings, the targets, the
music features and a report of what was read. Each corpus has one file in this folder. The file
registers a specification by its name and defines a function that reads the corpus.
:func:`load_corpus` does the rest.
"""

from importlib import import_module
from pkgutil import iter_modules

from edaemo.datasets._add_signal import add_signal
from edaemo.datasets._amigos import load_amigos
from edaemo.datasets._cache import Reading
from edaemo.datasets._case import load_case
from edaemo.datasets._ceap360vr import load_ceap360vr
from edaemo.datasets._check import check_folder
from edaemo.datasets._continuous import repeat_ratings
from edaemo.datasets._corpus import (
    CorpusFiles,
    DatasetError,
    Problems,
    list_places,
)
from edaemo.datasets._deap import load_deap
from edaemo.datasets._development import select_people
from edaemo.datasets._e4 import load_e4
from edaemo.datasets._empatica import TAGS
from edaemo.datasets._events import read_events
from edaemo.datasets._file_options import TIME_UNITS, FileOptions, RecordingWarning
from edaemo.datasets._file_trials import read_file_trials
from edaemo.datasets._freihaut_goeritz import load_freihaut_goeritz
from edaemo.datasets._generated import make_music_listening
from edaemo.datasets._generated_continuous import make_continuous_listening
from edaemo.datasets._hku956 import load_hku956
from edaemo.datasets._induced_stress import load_induced_stress
from edaemo.datasets._load_corpus import load_corpus
from edaemo.datasets._mahnob_hci import load_mahnob_hci
from edaemo.datasets._muse_car import load_muse_car
from edaemo.datasets._oxazepam_scr import load_oxazepam_scr
from edaemo.datasets._pmemo import load_pmemo
from edaemo.datasets._read_trials import read_trials
from edaemo.datasets._recordings import choose_recordings, find_recordings, read_recording
from edaemo.datasets._registry import (
    CORPORA,
    SESSIONS,
    TABLE,
    find_places,
    find_study,
    recognise,
    register_corpus,
)
from edaemo.datasets._seed_vii import load_seed_vii
from edaemo.datasets._specification import (
    UNITS,
    CorpusContent,
    CorpusSource,
    CorpusSpec,
    Option,
)
from edaemo.datasets._stress_predict import load_stress_predict
from edaemo.datasets._study import Study
from edaemo.datasets._units import DEVICES, EDA_UNITS
from edaemo.datasets._wesad import load_wesad
from edaemo.datasets._window import cut_window

__all__ = [
    "CORPORA",
    "DEVICES",
    "EDA_UNITS",
    "SESSIONS",
    "TABLE",
    "TAGS",
    "TIME_UNITS",
    "UNITS",
    "CorpusContent",
    "CorpusFiles",
    "CorpusSource",
    "CorpusSpec",
    "DatasetError",
    "FileOptions",
    "Option",
    "Problems",
    "Reading",
    "RecordingWarning",
    "Study",
    "add_signal",
    "check_folder",
    "choose_recordings",
    "cut_window",
    "find_places",
    "find_recordings",
    "find_study",
    "list_places",
    "load_amigos",
    "load_case",
    "load_ceap360vr",
    "load_corpus",
    "load_deap",
    "load_e4",
    "load_freihaut_goeritz",
    "load_hku956",
    "load_induced_stress",
    "load_mahnob_hci",
    "load_muse_car",
    "load_oxazepam_scr",
    "load_pmemo",
    "load_seed_vii",
    "load_stress_predict",
    "load_wesad",
    "make_continuous_listening",
    "make_music_listening",
    "read_events",
    "read_file_trials",
    "read_recording",
    "read_trials",
    "recognise",
    "register_corpus",
    "repeat_ratings",
    "select_people",
]

# Each corpus registers itself when its module is imported. A new corpus only needs a new file here.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
del _module
