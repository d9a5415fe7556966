"""The command `edaemo compare`."""

import pandas as pd
import pytest

from edaemo.cli import main


def compare(tmp_path, *arguments: str) -> int:
    return main(["compare", *arguments, "--jobs", "1", "--out", str(tmp_path)])


def test_prints_tables_and_writes_rows_figure_and_store(tmp_path, capsys):
    pipelines = ["--pipelines", "svm-music", "--folds", "3"]
    protocols = ["--protocol", "subject", "trial"]
    assert compare(tmp_path, "hku956", "--target", "arousal", *pipelines, *protocols) == 0
    printed = capsys.readouterr().out
    assert "15 evaluation people, 483 trials; protocol subject, 3 folds" in printed
    assert "This protocol leaks subjects and stimuli." in printed
    assert "songs seen in training" in printed
    assert "* Transductive" not in printed
    assert "Music helps (above every row without music over people" in printed
    for name in ("majority", "trial-order", "duration", "stimulus-prior", "svm-music"):
        assert printed.count(f"\n| {name} ") == 2
    for protocol, n_rows in [("subject", 5), ("trial", 6)]:
        place = tmp_path / "hku956" / "arousal" / protocol
        table = pd.read_csv(place / "table.csv")
        assert list(table["protocol"].unique()) == [protocol]
        assert len(table) == n_rows
        assert (place / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "results.sqlite").exists()


def test_thresholds_stand_side_by_side(tmp_path, capsys):
    arguments = ["hku956", "--target", "arousal", "--pipelines", "trial-order"]
    assert compare(tmp_path, *arguments, "--threshold", "subject", "5.0") == 0
    printed = capsys.readouterr().out
    assert "hku956, arousal (by each person's own threshold)" in printed
    assert "hku956, arousal (above 5.0)" in printed
    assert (tmp_path / "hku956" / "arousal-above-5" / "subject" / "table.csv").exists()


def test_transductive_pipelines_are_marked(tmp_path, capsys):
    pipelines = ["logistic-eda-person", "logistic-eda"]
    arguments = ["induced-stress", "--target", "task", "--pipelines", *pipelines]
    assert compare(tmp_path, *arguments) == 0
    printed = capsys.readouterr().out
    assert "| logistic-eda-person * " in printed
    assert "| logistic-eda          |" in printed
    assert "* Transductive: all of a test person's unlabelled trials set the scale." in printed


def test_the_family_and_the_margin_are_printed(tmp_path, capsys):
    arguments = ["hku956", "--target", "arousal", "--folds", "3", "--pipelines", "svm-music"]
    assert compare(tmp_path, *arguments, "--family", "svm-eda", "--margin", "0.08") == 0
    printed = capsys.readouterr().out
    assert "Family of tests: 2 claims about svm-eda, svm-music." in printed
    assert "Shown to be within 0.08 of majority" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hku965"], "Unknown study 'hku965': did you mean 'hku956'?"),
        ([__file__], "is a file or folder, not the name of a study. Pass to evaluate what"),
        (["--target", "boredom"], "Unknown target of hku956 'boredom'"),
        (["--pipelines", "oracle"], "Unknown pipeline 'oracle'"),
        (["--protocol", "subjct"], "Unknown protocol 'subjct': did you mean 'subject'"),
        (["--path", "nowhere"], "path='nowhere' does not hold hku956"),
        (["--folds", "16"], "n_splits=16, but there are 15 people"),
        (["--plugin", "no_such_module"], "--plugin no_such_module: No module named"),
        (["--store", "."], "it is a folder"),
    ],
)
def test_wrong_arguments_end_with_one_line(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        compare(tmp_path, *arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("edaemo: error:")


def test_generated_study_is_called_artificial(tmp_path, capsys):
    arguments = ["generated", "--target", "arousal", "--pipelines", "svm-music"]
    assert compare(tmp_path, *arguments) == 0
    assert "This study is ARTIFICIAL: no person took part." in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "generated" / "arousal" / "subject" / "table.csv")[
        "artificial"
    ].all()
    with pytest.raises(SystemExit):
        compare(tmp_path, *arguments, "--path", "somewhere")
    assert "has no files" in capsys.readouterr().err
