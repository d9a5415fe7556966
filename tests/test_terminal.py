"""What the command line prints fits the terminal; files and pipes get it unchanged."""

import io
import sys

import numpy as np
import pytest

from edaemo import RTCANClassifier
from edaemo._progress import progress_bar
from edaemo.cli import _terminal, main
from edaemo.estimators import CNNClassifier

TABLE = """\
A sentence that is longer than forty characters, so it must be wrapped.

| pipeline | accuracy             | balanced accuracy    | p     |
| -------- | --------             | --                   | -     |
| majority | 0.555 [0.497, 0.612] | 0.500 [0.500, 0.500] | -     |
| svm-eda  | 0.468 [0.426, 0.508] | 0.449 [0.404, 0.495] | 0.062 |

- A remark that is longer than forty characters, too.
"""

FOLDED = """\
A sentence that is longer than forty
characters, so it must be wrapped.

| pipeline | accuracy             |
| -------- | -------------------- |
| majority | 0.555 [0.497, 0.612] |
| svm-eda  | 0.468 [0.426, 0.508] |

| pipeline | balanced accuracy    |
| -------- | -------------------- |
| majority | 0.500 [0.500, 0.500] |
| svm-eda  | 0.449 [0.404, 0.495] |

| pipeline | p     |
| -------- | ----- |
| majority | -     |
| svm-eda  | 0.062 |

- A remark that is longer than forty
  characters, too.
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_wide_table_becomes_several_with_the_first_column_each():
    assert _terminal.fold(TABLE, 40) == FOLDED


def test_columns_share_a_line_as_far_as_they_fit():
    widest = max(map(len, TABLE.split("\n")))
    assert _terminal.fold(TABLE, widest) == TABLE
    folded = _terminal.fold(TABLE, 60).split("\n")
    assert max(map(len, folded)) <= 60
    assert folded[3] == "| pipeline | accuracy             | balanced accuracy    |"


def test_a_column_wider_than_the_terminal_stays_whole():
    assert "| 0.555 [0.497, 0.612] |" in _terminal.fold(TABLE, 10)


def test_a_divider_inside_a_cell_does_not_divide():
    table = "| a | b |\n|---|---|\n" + r"| x \| y | zzzzzzzzz |"
    expected = ["| a      | b         |", "| ------ | --------- |", r"| x \| y | zzzzzzzzz |"]
    assert _terminal.fold(table, 18).split("\n") == expected


def test_only_a_terminal_gets_folded_text(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    _terminal.print_text(TABLE)
    assert capsys.readouterr().out == TABLE + "\n"
    monkeypatch.setattr(sys, "stdout", Terminal())
    _terminal.print_text(TABLE)
    assert sys.stdout.getvalue() == FOLDED + "\n"


def test_aligned_rows_wrap_their_last_column_in_a_terminal(monkeypatch):
    rows = [("found in", "a folder with a name of many words"), ("loader", "load_x")]
    assert _terminal.align(rows) == (
        "  found in  a folder with a name of many words\n  loader    load_x"
    )
    monkeypatch.setenv("COLUMNS", "36")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert _terminal.align(rows) == (
        "  found in  a folder with a name of\n            many words\n  loader    load_x"
    )


def test_progress_in_a_file_is_a_line_for_each_state(monkeypatch, capsys):
    monkeypatch.setattr("edaemo._progress.SECONDS_BETWEEN_LINES", 0)
    with progress_bar(3, initial=1, unit="fold", shown=True) as bar:
        for score in (0.5, 0.6):
            bar.set_postfix_str(f"best so far {score}", refresh=False)
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("1 of 3 folds, 00:0")
    assert lines[-1].startswith("3 of 3 folds, 00:0") and lines[-1].endswith("best so far 0.6")
    assert not any("\r" in line or "%" in line for line in lines)


def test_progress_in_a_terminal_is_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar(2, unit="file", shown=None) as bar:
        bar.update(2)
    assert "100%" in sys.stderr.getvalue() and "2/2" in sys.stderr.getvalue()


@pytest.mark.parametrize("shown", [None, False, True])
def test_a_file_gets_no_progress_of_quick_work_or_without_request(shown, capsys):
    with progress_bar(2, unit="file", shown=shown) as bar:
        bar.update(2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("network", [RTCANClassifier(n_chans=2), CNNClassifier()])
def test_a_network_with_verbose_0_prints_nothing(network, capfd):
    rows = np.random.default_rng(0).normal(size=(12, 64))
    network.set_params(max_epochs=9, batch_size=4, random_state=0, verbose=0)
    network.set_params(validation_fraction=0.5, patience=1)
    network.fit(rows, [0, 1] * 6, subject=list("aaabbbcccddd")).predict(rows)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("command", [["compare"], ["reproduce", "table1"]])
def test_help_shows_each_default_once_and_never_none(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    options = capsys.readouterr().out.split("\n  --")[1:]
    assert not [option for option in options if "None" in option or "[" in option.split("  ")[-1]]
    assert not [option for option in options if option.count("(default") > 1]
    defaults = {option.split()[0]: option.rpartition("(default: ")[2] for option in options}
    assert defaults["people"].startswith(("evaluation)", "all)"))
    if command == ["compare"]:
        assert defaults["seed"].startswith("0)")
        assert defaults["protocol"].startswith("subject)")
