"""A study of moods without EDA, and pipelines for it, for ``edaemo compare --plugin``."""

from test_tasks import LevelRegressor, MoodClassifier, StepRegressor, make_study

from edaemo.benchmark import register_pipeline, register_study

register_study("moods", make_study)
register_pipeline("my-mood", MoodClassifier(), needs=("faces",))
register_pipeline("my-line", LevelRegressor(), needs=("faces",), task="regression")
register_pipeline("my-steps", StepRegressor(), needs=("faces",), task="sequence-regression")
