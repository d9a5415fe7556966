"""The report of a store: what it says, how it is written, and what a browser makes of it."""

import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import warnings
from base64 import b64encode
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import outside
import pandas as pd
import pytest
from browser import CHROMIUM, OPTIONS
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)
from sklearn.utils import Bunch

from edaemo.benchmark import (
    PIPELINES,
    STUDIES,
    FoldRecord,
    ResultStore,
    StoreError,
    evaluate,
    register_study,
    write_report,
)
from edaemo.cli import main
from edaemo.datasets import make_music_listening
from edaemo.report import _pictures

NASTY = "<script>alert('x')</script> a_b & c|d $x^2$ #1 50% {e} ~ \\n [f](g) *h* `i` \"j\""


def make_study(name: str = "small") -> Bunch:
    study = make_music_listening(8, 6, 6, duration=12.0, random_state=0)
    study["name"] = name
    return study


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Path:
    """A store that `evaluate` filled."""
    path = tmp_path_factory.mktemp("computed") / "results.sqlite"
    register_study("small", lambda path=None: make_study())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of people whose ratings are close
        evaluate(
            ["logistic-eda", "svm-eda", "rtcan-eda-music"],
            "small",
            None,
            ["subject", "trial"],
            people="all",
            n_splits=2,
            max_epochs=2,
            n_jobs=1,
            random_state=3,
            store=path,
        )
    yield path
    del STUDIES["small"]


@pytest.fixture(scope="module")
def written(computed, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("written")
    write_report(computed, out)
    return out


@pytest.fixture(scope="module")
def cards(computed, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cards")
    about = {"model_card": "svm-eda", "data_sheet": "small"}
    files = write_report(computed, out, studies={"small": make_study()}, **about)
    assert [file.name for file in files[3:]] == ["model-card.md", "data-sheet.md"]
    return out


def add_fold(store: ResultStore, key: str, **changes: object) -> None:
    """Store a fold of four people with six trials each, all of them tested."""
    rng = np.random.default_rng(len(key))
    n = 24
    label = np.tile([0, 1], n // 2)
    said = np.clip(0.3 * label + rng.uniform(0, 0.7, n), 0, 1)
    record = {
        "study": "made",
        "people": "all",
        "target": "arousal",
        "threshold": "subject",
        "pipeline": "svm-eda",
        "protocol": "subject",
        "repeat": 0,
        "fold": 0,
        "settings": {"takes": "features", "pipeline": key},
        "versions": {"numpy": "2.4"},
        "seed": 0,
        "training_subjects": ["p", "q", "r"],
        "test_subjects": ["a", "b", "c", "d"],
        "audit": {"n_training": 0, "n_test": n, "n_left_out": 0, "warning": "", "warnings": []},
        "scores": {"accuracy": 0.5},
        "fit_seconds": 1.0,
        "predictions": {
            "row": np.arange(n),
            "subject": np.repeat(["a", "b", "c", "d"], n // 4),
            "stimulus": np.arange(n) % 6,
            "trial": np.arange(n) % 6,
            "label": label,
            "predicted": (said > 0.5).astype(int),
            "probability": np.column_stack([1 - said, said]),
        },
        **changes,
    }
    store.add(FoldRecord(key=key, **record))


LATEX = shutil.which("pdflatex")
needs_latex = pytest.mark.skipif(
    LATEX is None, reason="no LaTeX: apt-get install texlive-latex-recommended"
)


def set_tables(tables: Path, folder: Path) -> str:
    """Set the tables in a document that loads what their head asks for, and nothing else."""
    latex = tables.read_text(encoding="utf-8")
    head = [line.removeprefix("% In the preamble: ") for line in latex.splitlines()[1:3]]
    head = [line.removeprefix("% ") for line in head]
    assert all(line.startswith(r"\usepackage") for line in head)
    lines = [r"\documentclass{article}", *head, r"\begin{document}", latex, r"\end{document}"]
    (folder / "report.tex").write_text("\n".join(lines), encoding="utf-8")
    command = [LATEX, "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    for _ in range(2):  # longtable knows its widths the second time
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stdout[-2000:]
    return run.stdout


class Page(HTMLParser):
    """What stands in a page: its tables by caption, its pictures, and all tags."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.reference_rows: set[str] = set()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.headings: list[tuple[str, str]] = []
        self._caption = self._cell = None
        self._rows: list[list[str]] = []
        self._grey = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list) -> None:
        found = dict(attributes)
        self.tags.append((tag, found))
        if tag == "table":
            self._caption, self._rows = None, []
        elif tag == "tr":
            self._rows.append([])
            self._grey = found.get("class") == "reference"
        elif tag in ("th", "td", "caption", "h2", "h3"):
            self._cell = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self._caption, self._cell = self._cell, None
        elif tag in ("h2", "h3"):
            self.headings.append((tag, self._cell))
            self._cell = None
        elif tag in ("th", "td"):
            self._rows[-1].append(self._cell)
            if self._grey:
                self.reference_rows.add(self._rows[-1][0])
            self._cell = None
        elif tag == "table":
            self.tables[self._caption] = self._rows

    @property
    def pictures(self) -> list[dict]:
        return [found for tag, found in self.tags if tag == "img"]


def predictions_of(path: Path, **about: str) -> pd.DataFrame:
    with ResultStore(path) as store:
        folds = store.folds()
        for name, value in about.items():
            folds = folds[folds[name] == value]
        return store.predictions(folds["key"].tolist()).infer_objects()


class TestContent:
    def test_scores_stand_as_in_table_3_and_are_those_of_scikit_learn(self, computed, written):
        page = Page(written / "report.html")
        table = page.tables["Protocol subject, all people, high: above the person's threshold."]
        assert table[0] == ["Method", "Data", "Subjects", "Input", "Valence", "Arousal"]
        rows = {row[0]: row[1:] for row in table[1:]}
        assert list(rows)[:2] == ["majority", "trial-order"]
        assert {"stimulus-prior", "svm-eda", "rtcan-eda-music"} < set(rows)
        assert rows["svm-eda"][:3] == ["small", "8", "128 features"]
        assert rows["rtcan-eda-music"][2] == "EDA + music"
        for name, cells in rows.items():
            for target, cell in zip(("valence", "arousal"), cells[3:], strict=True):
                told = predictions_of(computed, pipeline=name, target=target, protocol="subject")
                accuracy = accuracy_score(told["label"], told["predicted"])
                f1 = f1_score(told["label"], told["predicted"])
                assert cell == f"{100 * accuracy:.2f} / {100 * f1:.2f}"

    def test_reference_rows_are_set_apart(self, written):
        page = Page(written / "report.html")
        assert {"majority", "trial-order", "stimulus-prior"} <= page.reference_rows
        assert not {"svm-eda", "rtcan-eda-music"} & page.reference_rows

    def test_confusion_matrices_are_those_of_scikit_learn(self, computed, written):
        page = Page(written / "report.html")
        table = page.tables["Trials over all repeats: small, arousal, trial."]
        assert table[0][1:] == [
            *("low predicted as low", "low predicted as high"),
            *("high predicted as low", "high predicted as high"),
        ]
        for name, *counts in table[1:]:
            told = predictions_of(computed, pipeline=name, target="arousal", protocol="trial")
            matrix = confusion_matrix(told["label"], told["predicted"])
            assert list(map(int, counts)) == matrix.ravel().tolist()

    def test_areas_under_the_curve_are_those_of_scikit_learn(self, computed, written):
        page = Page(written / "report.html")
        head, *rows = page.tables["Probabilities: small, valence, subject."]
        assert head[1] == "AUC within folds"
        for row in rows:
            told = predictions_of(computed, pipeline=row[0], target="valence", protocol="subject")
            folds = [fold for _, fold in told.groupby("key")]
            areas = [
                roc_auc_score(fold["label"], [p[1] for p in fold["probability"]]) for fold in folds
            ]
            n_pairs = [np.prod(fold["label"].value_counts()) for fold in folds]
            assert row[1].split()[0] == f"{np.average(areas, weights=n_pairs):.3f}"

    def test_all_pairs_are_tested(self, written):
        page = Page(written / "report.html")
        rows = page.tables["All pairs: small, valence, subject."][1:]
        n = len(page.tables["Scores: small, valence, subject."]) - 1
        assert len(rows) == n * (n - 1) / 2
        differing = [row for row in rows if not row[2].startswith("0.000")]
        assert differing

    def test_audit_says_what_is_shared_and_what_the_protocol_leaks(self, written):
        page = Page(written / "report.html")
        head, *rows = page.tables["Audit: minimum to maximum over folds."]
        told = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
        assert told["small, arousal, subject"]["People shared"] == "0"
        assert told["small, arousal, subject"]["Stimuli shared"] == "6"
        assert told["small, arousal, trial"]["People shared"] == "8"
        assert told["small, arousal, trial"]["Protocol"] == "leaks subjects and stimuli"

    def test_verdicts_are_those_of_compare(self, written):
        page = Page(written / "report.html")
        assert "Reads EDA (above every row without EDA over people" in page.text
        assert "Music helps (above every row without music over people" in page.text

    def test_versions_stand_there(self, written):
        versions = dict(Page(written / "report.html").tables["Versions, devices and seeds."][1:])
        assert versions["numpy"] == np.__version__
        assert versions["seeds"] == "3"

    def test_markdown_and_latex_hold_the_same_cells(self, written):
        page = Page(written / "report.html")
        table = page.tables["All pairs: small, valence, subject."]
        markdown = (written / "tables.md").read_text(encoding="utf-8")
        latex = (written / "tables.tex").read_text(encoding="utf-8")
        for row in table[1:]:
            assert f"| {' | '.join(row)} |".replace("<", r"\<") in markdown
            cells = " & ".join(row).replace("-", "{-}").replace("<", r"\textless{}")
            assert rf"{cells} \\" in latex
        n_tables = len(page.tables) - len(confusions(page))
        assert latex.count(r"\begin{longtable}") == latex.count(r"\end{longtable}") == n_tables

    @needs_latex
    def test_latex_sets_the_tables_within_the_page(self, written, tmp_path):
        assert re.findall("Overfull.*", set_tables(written / "tables.tex", tmp_path)) == []

    def test_it_is_the_same_each_time(self, computed, written):
        before = [file.read_bytes() for file in sorted(written.iterdir())]
        write_report(computed, written)
        assert [file.read_bytes() for file in sorted(written.iterdir())] == before

    def test_its_commands_repeat_what_the_store_holds(self, computed, written, tmp_path, capsys):
        text = (written / "tables.md").read_text(encoding="utf-8")
        commands = [
            shlex.split(line) for line in text.splitlines() if line.startswith("    edaemo")
        ]
        compare = [command[1:] for command in commands if command[1] == "compare"]
        copy = Path(shutil.copy(computed, tmp_path / "copy.sqlite"))
        with ResultStore(copy) as store:
            before = store.folds()
        for command in compare:
            command[command.index("--store") + 1] = str(copy)
            assert main([*command, "--jobs", "1", "--out", str(tmp_path), "--json"]) == 0
        printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert not [line for line in printed if "fold" in line]  # nothing had to be computed
        said = [line["row"] for line in printed if "row" in line]
        rows = {(r["target"], r["protocol"], r["pipeline"]) for r in said}
        assert rows == set(
            before[["target", "protocol", "pipeline"]].itertuples(index=False, name=None)
        )
        assert commands[-1] == ["edaemo", "report", str(computed), "--out", str(written)]


def confusions(page: Page) -> list[str]:
    return [caption for caption, rows in page.tables.items() if rows[0][0] == "label / predicted"]


def paragraphs(markdown: Path, heading: str) -> list[str]:
    """Return the lines of text between a heading and the next one."""
    lines = markdown.read_text(encoding="utf-8").splitlines()
    start = lines.index(heading) + 1
    ends = [i for i, line in enumerate(lines) if i > start and line.startswith("#")]
    return [line for line in lines[start : (ends or [None])[0]] if line]


class TestFindings:
    @pytest.fixture
    def leaking(self, tmp_path) -> Path:
        """A store whose first comparison leaks, by name and by time."""
        audit = {"n_training": 0, "n_test": 24, "n_left_out": 0, "warnings": []}
        leak = {**audit, "warning": "leaks subjects"}
        with ResultStore(tmp_path / "s.sqlite") as store:
            for protocol, audited in (("leaking", leak), ("subject", {**audit, "warning": ""})):
                for pipeline in ("majority", "svm-eda"):
                    about = {"protocol": protocol, "audit": audited, "pipeline": pipeline}
                    add_fold(store, f"{protocol} {pipeline}", **about)
        write_report(tmp_path / "s.sqlite", tmp_path)
        return tmp_path

    def test_comparisons_that_leak_come_last(self, leaking):
        lines = (leaking / "tables.md").read_text(encoding="utf-8").splitlines()
        headings = [line.split(":")[0] for line in lines if line.startswith("#")]
        for mark in ("### made", "## made"):
            names = [line for line in headings if line.startswith(mark)]
            of_cases = list(dict.fromkeys(name.removeprefix(mark) for name in names))
            assert of_cases == [", arousal, subject", ", arousal, leaking"]
        (title,) = [line for line in lines if line.startswith("### made, arousal, leaking:")]
        assert "This protocol leaks subjects." in paragraphs(leaking / "tables.md", title)

    def test_a_finding_comes_first_with_a_figure(self, written):
        page = Page(written / "report.html")
        assert page.headings[0] == ("h2", "Findings")
        assert page.headings[1][1].startswith("small, arousal, subject: no effect of EDA shown")
        assert page.pictures[0]["alt"].startswith("Balanced accuracy over people. Means: majority")

    def test_the_highest_means_are_those_of_scikit_learn(self, computed, written):
        lines = (written / "tables.md").read_text(encoding="utf-8").splitlines()
        (title,) = [line for line in lines if line.startswith("### small, valence, subject: ")]
        *_, text = paragraphs(written / "tables.md", title)
        means = {}
        references = ("majority", "trial-order", "stimulus-prior")
        for pipeline in (*references, "logistic-eda", "svm-eda", "svm-music", "rtcan-eda-music"):
            about = {"pipeline": pipeline, "target": "valence", "protocol": "subject"}
            people = predictions_of(computed, **about).groupby("subject")
            # Of people with both classes.
            scores = [
                balanced_accuracy_score(rows["label"], rows["predicted"])
                for _, rows in people
                if rows["label"].nunique() == 2
            ]
            means[pipeline] = np.mean(scores) if scores else np.nan
        shown = re.findall(r"selected: (\S+) (\S+) \(", text)
        highest = [
            max((means[n], n) for n in means if (n in references) == is_reference)[0]
            for is_reference in (False, True)
        ]
        assert [value for _, value in shown] == [f"{mean:.3f}" for mean in highest]
        assert [means[name] for name, _ in shown] == highest


class TestMethods:
    def test_the_text_states_what_was_evaluated(self, computed, written):
        with ResultStore(computed) as store:
            folds = store.folds()
        sizes = pd.DataFrame(folds.loc[folds["protocol"] == "subject", "audit"].tolist())
        about, *texts = paragraphs(written / "tables.md", "## Methods")
        assert "Add how the data were collected" in about
        data, protocols, models, tests, software = texts
        assert "The generated study small was evaluated on 8 people." in data
        told = predictions_of(computed, pipeline="majority", target="arousal", protocol="subject")
        share = told["label"].value_counts(normalize=True).max()
        wanted = f"has {len(told)} trials (majority class {share:.3f}); no trial was excluded."
        assert wanted in data
        n_training, n_test = (
            f"{low} to {high}" if low != high else f"{low}"
            for low, high in ((sizes[n].min(), sizes[n].max()) for n in ("n_training", "n_test"))
        )
        assert (
            f"Protocol subject: hold out whole people; 2 folds; {n_training} training trials and "
            f"{n_test} test trials in a fold. A training set and its test set share 0 subjects and "
            "6 stimuli."
        ) in protocols
        assert "Protocol trial" in protocols and "leaks subjects and stimuli." in protocols
        assert "svm-eda (MusicFeatureUnion, StandardScaler, SVC)" in models
        assert "rtcan-eda-music (MusicFeatureUnion, RTCANClassifier, 2 epochs)" in models
        assert "majority (DummyClassifier)" in models
        assert "one-sided Wilcoxon" in tests
        assert f"numpy {np.__version__}" in software and "Seeds: 3." in software

    def test_excluded_trials_are_counted(self, tmp_path):
        audit = {"n_training": 0, "n_test": 24, "n_left_out": 0, "warning": "", "n_excluded": 5}
        settings = {"takes": "features", "quality": "flat > 0.5"}
        with ResultStore(tmp_path / "s.sqlite") as store:
            audit |= {"n_missing": 2, "excluded": {"flat": 5}}
            add_fold(store, "a", audit=audit, settings=settings)
        write_report(tmp_path / "s.sqlite", tmp_path)
        texts = paragraphs(tmp_path / "tables.md", "## Methods")
        assert (
            "2 trials without a label and 5 trials by the quality rule flat > 0.5 were excluded"
            in texts[1]
        )

    def test_the_same_text_is_in_all_files(self, written):
        texts = paragraphs(written / "tables.md", "## Methods")[1:]
        page = Page(written / "report.html").text
        latex = (written / "tables.tex").read_text(encoding="utf-8").replace("{-}", "-")
        for text in texts:
            start = text[:60].replace("\\", "")
            assert start in page
            assert f"% {start}" in latex


class TestCalibration:
    def test_bins_have_their_numbers_of_trials(self, computed, written):
        page = Page(written / "report.html")
        rows = page.tables["Calibration by bin: small, arousal, subject."][1:]
        told = predictions_of(
            computed, pipeline="logistic-eda", target="arousal", protocol="subject"
        )
        probability = np.array([p[1] for p in told["probability"]])
        counts, edges = np.histogram(probability, np.linspace(0, 1, 11))
        shares = [
            told["label"][(probability >= low) & (probability < high)].mean()
            for low, high in pairwise(edges)
        ]
        of_pipeline = [row for row in rows if row[0] == "logistic-eda"]
        assert [int(row[1]) for row in of_pipeline] == [n for n in counts if n]
        wanted = [f"{share:.3f}" for share, n in zip(shares, counts, strict=True) if n]
        assert [row[4].split()[0] for row in of_pipeline] == wanted

    def test_the_figure_has_panels_with_letters_and_counts(self, written):
        pictures = [p for p in Page(written / "report.html").pictures if "ROC" in p["alt"]]
        for picture in pictures:
            svg = ElementTree.fromstring(svg_of(picture))
            texts = [one.text for one in svg.iter() if one.tag.endswith("text")]
            assert [text for text in texts if text in ("a", "b", "c")] == ["a", "b", "c"]
            assert "trials in the bin" in texts


class TestCards:
    def test_a_model_card_has_parameters_scores_and_limits(self, written, cards):
        card = (cards / "model-card.md").read_text(encoding="utf-8")
        assert card.startswith("# Model card: svm-eda\n")
        svm = PIPELINES["svm-eda"].make(None)[-1]
        assert f"| SVC | C | {svm.C} |" in card
        assert f"| SVC | kernel | {svm.kernel} |" in card
        rows = Page(written / "report.html").tables["Scores: small, arousal, subject."][1:]
        shown = {row[0]: row for row in rows}
        for name in ("majority", "trial-order", "stimulus-prior", "svm-eda"):
            assert f"| {' | '.join(shown[name])} |" in card
        assert f"| {' | '.join(shown['logistic-eda'])} |" not in card
        limits = paragraphs(cards / "model-card.md", "## Limits and warnings")
        assert "small, arousal, trial: this protocol leaks subjects and stimuli." in limits
        artificial = "the study is ARTIFICIAL, and no person took part."
        assert f"small, arousal, subject: {artificial}" in limits
        for heading in ("## Intended use", "## Ethical considerations"):
            (text,) = paragraphs(cards / "model-card.md", heading)
            assert text.startswith("Not stated: ")

    def test_people_vary_as_numpy_says(self, computed, cards):
        told = predictions_of(computed, pipeline="svm-eda", target="arousal", protocol="subject")
        scores = [
            balanced_accuracy_score(rows["label"], rows["predicted"])
            for _, rows in told.groupby("subject")
            if rows["label"].nunique() == 2
        ]
        quartiles = [f"{value:.3f}" for value in np.quantile(scores, [0, 0.25, 0.5, 0.75, 1])]
        cells = ["small, arousal, subject", "balanced accuracy", str(len(scores)), *quartiles]
        assert f"| {' | '.join(cells)} |" in (cards / "model-card.md").read_text(encoding="utf-8")

    def test_a_data_sheet_counts_the_trials(self, computed, cards):
        sheet = (cards / "data-sheet.md").read_text(encoding="utf-8")
        told = predictions_of(computed, pipeline="majority", target="valence", protocol="subject")
        target = "valence (high: above the threshold of each person, by 2-means), all"
        for label, n in told["label"].value_counts().items():
            assert f"| {target} | {label} | {n} |" in sheet
        n = told["subject"].value_counts()
        per_person = f"{n.min()} / {n.median():g} / {n.max()}"
        assert f"| {target} | {len(told)} | 8 | 6 | {per_person} |" in sheet

    def test_a_data_sheet_reads_the_study_for_what_the_store_lacks(self, cards):
        study = make_study()
        facts = " ".join(paragraphs(cards / "data-sheet.md", "## Collection"))
        assert f"loaded for this file: sampling rate in Hz: {study.sampling_rate}." in facts
        assert "Not stated: how people were recruited" in facts
        facts = " ".join(paragraphs(cards / "data-sheet.md", "## Distribution"))
        assert ("Not stated: licence" in facts) == (study.get("licence") is None)

    def test_without_the_study_they_are_not_stated(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
        write_report(tmp_path / "s.sqlite", tmp_path, data_sheet="made")
        told = paragraphs(tmp_path / "data-sheet.md", "## Distribution")
        assert told[0].startswith("Not stated: licence and citation.")
        assert "this study is not registered" in told[1]

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("--model-card", "Pipeline 'svm' is not in the store: did you mean 'svm-eda'?"),
            ("--data-sheet", "Study 'svm' is not in the store"),
        ],
    )
    def test_unknown_names_are_refused(self, tmp_path, capsys, option, message):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
        paths = [str(tmp_path / "s.sqlite"), "--out", str(tmp_path / "x")]
        with pytest.raises(SystemExit):
            main(["report", *paths, option, "svm"])
        assert message in capsys.readouterr().err
        assert not (tmp_path / "x").exists()

    def test_the_command_writes_both(self, tmp_path, capsys):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a", study=NASTY)
        out = str(tmp_path / "out")
        options = ["--model-card", "svm-eda", "--data-sheet", NASTY]
        assert main(["report", str(tmp_path / "s.sqlite"), "--out", out, *options]) == 0
        names = ["report.html", "tables.md", "tables.tex", "model-card.md", "data-sheet.md"]
        assert capsys.readouterr().out.splitlines() == [f"{out}/{name}" for name in names]
        text = (tmp_path / "out" / "data-sheet.md").read_text(encoding="utf-8")
        assert "<script" not in text.replace("\\<script", "")
        commands = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8").splitlines()
        assert shlex.split(commands[-1])[-4:] == options


class TestWhatIsMissing:
    def test_reference_rows_that_are_not_there_are_named(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
        write_report(tmp_path / "s.sqlite", tmp_path)
        text = Page(tmp_path / "report.html").text
        assert "no complete row of majority, trial-order, stimulus-prior" in text
        assert "This comparison has only one pipeline, so it has no pairs." in text
        assert "The store has no evaluations on shares of the people." in text
        assert "No person was chosen." in text
        assert "No pipeline of this comparison trains in epochs." in text

    def test_pipelines_with_failed_folds_are_left_out_by_name(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
            add_fold(store, "b", pipeline="cnn-eda", error="ValueError: too hot", predictions=None)
        write_report(tmp_path / "s.sqlite", tmp_path)
        page = Page(tmp_path / "report.html")
        assert re.search(r"Incomplete: made, .*cnn-eda is left out: 1 of 1 folds failed", page.text)
        assert "too hot" in page.text

    def test_losses_that_older_stores_lack_are_said_to_be_lacking(self, tmp_path):
        settings = {"takes": "signals", "parameters": {"state": {"max_epochs": 7}}}
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a", pipeline="rtcan-eda", settings=settings)
        write_report(tmp_path / "s.sqlite", tmp_path)
        assert "The store has no losses of rtcan-eda" in Page(tmp_path / "report.html").text

    def test_pipelines_without_probabilities_are_named(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
            predictions = predictions_of_record(store)
            add_fold(store, "b", pipeline="shy", predictions={**predictions, "probability": None})
        write_report(tmp_path / "s.sqlite", tmp_path)
        assert "so no ROC and no calibration: shy." in Page(tmp_path / "report.html").text

    def test_pipelines_tested_on_other_trials_are_not_paired(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
            other = predictions_of_record(store)
            other["label"] = [1 - label for label in other["label"]]
            add_fold(store, "b", pipeline="cnn-eda", predictions=other)
        write_report(tmp_path / "s.sqlite", tmp_path)
        text = Page(tmp_path / "report.html").text
        assert "No tests: made" in text and "cannot be compared" in text


class TestWarnings:
    AUDIT: ClassVar = {"n_training": 0, "n_test": 24, "n_left_out": 0, "warning": ""}
    LABELS = "5 of 30 subjects have centres that are close."
    SIGNALS = "1 of 189 trials are flat. In 176 of 189 trials phasic and tonic cancel each other."

    def page(self, path: Path, **audits: dict) -> Page:
        with ResultStore(path / "s.sqlite") as store:
            for fold, (key, audit) in enumerate(audits.items()):
                pipeline = key.rstrip("0123456789")
                settings = {"takes": "features", "pipeline": pipeline}
                about = {"pipeline": pipeline, "fold": fold, "settings": settings}
                if fold:
                    predictions = predictions_of_record(store)
                    rows = [24 * fold + row for row in range(24)]
                    about["predictions"] = {
                        name: values[:24] for name, values in predictions.items()
                    } | {"row": rows}
                add_fold(store, key, audit=self.AUDIT | audit, **about)
        write_report(path / "s.sqlite", path)
        return Page(path / "report.html")

    def test_warnings_are_counted_by_kind_and_shown_with_an_example(self, tmp_path):
        data = {"label_warnings": [self.LABELS], "input_warnings": [self.SIGNALS]}
        page = self.page(
            tmp_path,
            svm1={**data, "warnings": ["lbfgs stopped after 100 steps"], "warning_counts": [3]},
            svm2={**data, "warnings": ["lbfgs stopped after 200 steps"], "warning_counts": [1]},
            svm3={**data, "warnings": [], "warning_counts": []},
        )
        rows = page.tables["Warnings."][1:]
        name = "made, arousal, subject"
        assert rows == [
            ["labels", name, "all", "1", "-", self.LABELS],
            ["signals", "made", "svm", "1", "-", self.SIGNALS],
            ["fit and prediction", name, "svm", "4", "2", "lbfgs stopped after 100 steps"],
        ]
        assert "older edaemo" not in page.text
        assert "No step issued a warning" not in page.text

    def test_none_is_said_only_if_the_store_would_hold_them(self, tmp_path):
        data = {"label_warnings": [], "input_warnings": [], "warnings": [], "warning_counts": []}
        text = self.page(tmp_path, svm1=data).text
        assert "No step issued a warning." in text
        assert "older edaemo" not in text

    def test_older_folds_hold_only_warnings_of_fits(self, tmp_path):
        page = self.page(tmp_path, svm1={"warnings": ["odd", "even"]})
        assert [row[-1] for row in page.tables["Warnings."][1:]] == ["odd", "even"]
        assert "1 of 1 folds were computed with an older edaemo" in page.text

    def test_evaluate_stores_what_labels_and_signals_warned_of(self, tmp_path):
        study = outside.make_study(n_people=8)
        study.trials.at[0, "eda"] = np.full(80, 2.0)
        settings = {"n_splits": 2, "max_epochs": 1, "n_jobs": 1, "store": tmp_path / "s.sqlite"}
        with pytest.warns(UserWarning) as caught:
            evaluate("rtcan-eda", study, "valence", **settings)
        said = " ".join(str(note.message) for note in caught)  # as before, they are also issued
        assert "4 of 8 subjects have centres" in said
        assert "1 of 48 trials are flat" in said
        with ResultStore(tmp_path / "s.sqlite") as store:
            folds = store.folds()
        for pipeline, audit in zip(folds["pipeline"], folds["audit"], strict=True):
            (about_labels,) = audit["label_warnings"]
            assert "4 of 8 subjects have centres" in about_labels
            noted = " ".join(audit["input_warnings"])
            assert ("1 of 48 trials are flat" in noted) == (pipeline == "rtcan-eda")
        write_report(tmp_path / "s.sqlite", tmp_path)
        texts = [row[-1] for row in Page(tmp_path / "report.html").tables["Warnings."][1:]]
        assert any("1 of 48 trials are flat" in text for text in texts)
        assert any("4 of 8 subjects have centres" in text for text in texts)


def test_no_backtick_of_ours_is_in_the_text(written):
    assert "`" not in Page(written / "report.html").text


def predictions_of_record(store: ResultStore) -> dict:
    return store.predictions().drop(columns="key").to_dict("list")


class TestCurves:
    def test_evaluate_stores_the_losses_of_networks(self, computed):
        with ResultStore(computed) as store:
            folds = store.folds()
        for pipeline, audit in zip(folds["pipeline"], folds["audit"], strict=True):
            if pipeline == "rtcan-eda-music":
                assert len(audit["losses"]["train_loss"]) == 2
                assert np.isfinite(audit["losses"]["train_loss"]).all()
            else:
                assert audit["losses"] is None

    def test_losses_become_training_curves(self, tmp_path):
        losses = {"train_loss": [0.9, 0.6, 0.5], "valid_loss": [0.8, 0.7, 0.75]}
        shorter = {"train_loss": [0.7, 0.4], "valid_loss": [0.6, 0.9]}
        audit = {"n_training": 0, "n_test": 24, "n_left_out": 0}
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a", pipeline="rtcan-eda", audit={**audit, "losses": losses})
            add_fold(
                *(store, "c"),
                pipeline="rtcan-eda",
                repeat=1,
                audit={**audit, "losses": shorter},
                settings={"takes": "features", "pipeline": "a"},
            )
        write_report(tmp_path / "s.sqlite", tmp_path)
        said = [p["alt"] for p in Page(tmp_path / "report.html").pictures]
        # Means over the folds that still trained: (0.9 + 0.7) / 2, and 0.5 alone.
        wanted = "training loss from 0.800 to 0.500, validation loss from 0.700 to 0.750"
        assert any(wanted in alt for alt in said)

    @pytest.mark.parametrize(
        ("first", "last"), [(0.6931, 0.6898), (0.8, 0.3), (1234.5, 1100.0), (1e-6, 2e-7)]
    )
    def test_the_title_of_the_y_axis_is_whole(self, first, last, monkeypatch):
        """The numbers of a narrow range are long: 0.6900, 0.6905, …"""
        drawn = []
        monkeypatch.setattr(_pictures, "embed", lambda figure, *texts: drawn.append(figure))
        folds = [{"train_loss": list(np.linspace(first, last, 10))}]
        _pictures.draw_training({"rtcan-eda": folds})
        (figure,) = drawn
        FigureCanvasAgg(figure).draw()
        (axes,) = figure.axes
        numbers = [label.get_window_extent() for label in axes.get_yticklabels()]
        title = axes.yaxis.label.get_window_extent()
        assert title.x0 >= 0
        assert title.x1 <= min(box.x0 for box in numbers)
        assert axes.get_position().width > 0.6

    def test_shares_of_the_people_become_a_learning_curve(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "whole")
            whole = predictions_of_record(store)
            right = {**whole, "predicted": whole["label"]}
            add_fold(
                *(store, "share"),
                protocol="subject, 40 % of the people",
                training_subjects=["p"],
                predictions=right,
            )
        write_report(tmp_path / "s.sqlite", tmp_path)
        page = Page(tmp_path / "report.html")
        caption = "Score by number of people: made, arousal, subject, shares of the people."
        head, *rows = page.tables[caption]
        assert head[-1] == "Balanced accuracy"
        assert [row[:4] for row in rows] == [
            ["svm-eda", "40 %", "1.0", "4"],
            ["svm-eda", "100 %", "3.0", "4"],
        ]
        assert rows[0][4].startswith("1.000")
        assert not [name for name in page.tables if "40 %" in name]
        assert "run edaemo reproduce figure4" in page.text

    def test_a_learning_curve_of_numbers_holds_their_concordance(self, tmp_path):
        of_numbers = {"target": "tempo", "threshold": "none", "task": "regression"}
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "classes")
            told = predictions_of_record(store)
            label = np.array([3.0, 1.0, 2.0, 6.0] * 6)
            told = {**told, "label": label, "predicted": 0.5 * label, "probability": None}
            add_fold(store, "whole", **of_numbers, predictions=told)
            right = {**told, "predicted": label}
            share = "subject, 40 % of the people"
            add_fold(store, "share", **of_numbers, protocol=share, predictions=right)
        write_report(tmp_path / "s.sqlite", tmp_path)
        caption = "Score by number of people: made, tempo, subject, shares of the people."
        head, *rows = Page(tmp_path / "report.html").tables[caption]
        assert head[-1] == "CCC"
        assert rows[0][4] == "1.000 (1.000 to 1.000)"
        # Mean 3, variance 3.5, halved: 2 * 1.75 / (3.5 + 0.875 + 1.5 ** 2).
        assert rows[1][4].startswith("0.528 (")


class TestRatings:
    """Figure 3 for chosen people."""

    study = Bunch(
        trials=pd.DataFrame({"subject": ["a"] * 6 + ["z"] * 2}),
        ratings=pd.DataFrame(
            {
                # Two heaps: four high, two low.
                "valence": [8.0, 8.2, 8.1, 7.9, 2.0, 2.2, 1.0, 9.0],
                "arousal": [7.0, 7.2, 7.1, 6.9, 1.0, 1.2, 1.0, 9.0],
            }
        ),
        rating_range=(1.0, 9.0),
    )

    @pytest.fixture
    def path(self, tmp_path) -> Path:
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
        return tmp_path / "s.sqlite"

    def test_ratings_and_thresholds_are_drawn(self, path, tmp_path):
        write_report(path, tmp_path, people=["a"], studies={"made": self.study})
        alt = [p["alt"] for p in Page(tmp_path / "report.html").pictures][-1]
        assert "Ratings of a. arousal: 4 high, 2 low" in alt
        assert "valence: 4 high, 2 low" in alt

    def test_development_people_in_the_store_are_drawn(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "b", people="evaluation")
            rows = predictions_of_record(store)
            developed = {**rows, "subject": ["z" if s == "a" else s for s in rows["subject"]]}
            add_fold(store, "c", people="development", predictions=developed)
        study = Bunch(**self.study, development=("z",))
        write_report(tmp_path / "s.sqlite", tmp_path, people=["z"], studies={"made": study})
        alt = [p["alt"] for p in Page(tmp_path / "report.html").pictures][-1]
        assert "Ratings of z." in alt
        others = Bunch(**{**study, "trials": study.trials[:6], "ratings": study.ratings[:6]})
        write_report(tmp_path / "s.sqlite", tmp_path, people=["z"], studies={"made": others})
        said = "The ratings of made, z are not drawn: the study has no such person."
        assert said in Page(tmp_path / "report.html").text

    def test_a_study_that_is_not_known_is_said(self, path, tmp_path):
        write_report(path, tmp_path, people=["a"])
        assert (
            "ratings of made are not drawn: this study is not registered"
            in Page(tmp_path / "report.html").text
        )

    def test_ratings_that_are_not_at_hand_are_said(self, path, tmp_path):
        def load(path: object) -> Bunch:
            raise ValueError(f"path={path!r} does not hold it")

        register_study("made", load)
        try:
            write_report(path, tmp_path, people=["a"], path="nowhere")
        finally:
            del STUDIES["made"]
        said = "the study cannot be loaded (path='nowhere' does not hold it)"
        assert said in Page(tmp_path / "report.html").text

    def test_somebody_who_is_not_in_the_store_is_refused(self, path, tmp_path):
        with pytest.raises(ValueError, match="Person 'aa' is not in the store"):
            write_report(path, tmp_path, people=["aa"])
        assert not (tmp_path / "report.html").exists()


class TestNames:
    @pytest.fixture
    def nasty(self, tmp_path) -> Path:
        with ResultStore(tmp_path / "s.sqlite") as store:
            for pipeline in ("svm-eda", NASTY, "_hidden"):
                add_fold(store, pipeline, study=NASTY, pipeline=pipeline, target="a|b_c<d>")
        write_report(tmp_path / "s.sqlite", tmp_path)
        return tmp_path

    def test_names_are_text_in_html(self, nasty):
        page = Page(nasty / "report.html")
        # The only script is the one that copies texts, and the policy allows no other one.
        text = (nasty / "report.html").read_text(encoding="utf-8")
        (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
        assert [tag for tag, _ in page.tags].count("script") == 1
        assert "alert" not in script
        digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
        (policy,) = [found["content"] for _, found in page.tags if "http-equiv" in found]
        assert f"script-src 'sha256-{digest}'" in policy
        (table,) = [rows for rows in page.tables.values() if rows[0][0] == "Method"]
        assert {row[0] for row in table[1:]} == {"svm-eda", NASTY, "_hidden"}
        assert {row[1] for row in table[1:]} == {NASTY}

    def test_names_are_text_in_pictures(self, nasty):
        for picture in Page(nasty / "report.html").pictures:
            tags = {
                one.tag.rpartition("}")[2] for one in ElementTree.fromstring(svg_of(picture)).iter()
            }
            assert "script" not in tags

    def test_names_are_text_in_markdown(self, nasty):
        lines = (nasty / "tables.md").read_text(encoding="utf-8").splitlines()
        start = lines.index(r"| Method | Data | Subjects | Input | A\|b\_c\<d> |")
        (row,) = [line for line in lines[start:] if line.startswith(r"| \<script>")][:1]
        cells = re.split(r"(?<!\\)\|", row)[1:-1]
        assert len(cells) == 5
        shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cells[0]).replace("&amp;", "&").strip()
        assert shown == NASTY

    @needs_latex
    def test_latex_sets_them(self, nasty, tmp_path):
        set_tables(nasty / "tables.tex", tmp_path)

    def test_names_are_text_in_latex(self, nasty):
        latex = (nasty / "tables.tex").read_text(encoding="utf-8")
        (row,) = [line for line in latex.splitlines() if line.startswith(r"\textless{}script")][:1]
        wanted = (
            r"\textless{}script\textgreater{}alert(\textquotesingle{}x\textquotesingle{})"
            r"\textless{}/script\textgreater{} a\_b \& c\textbar{}d \$x\textasciicircum{}2\$ \#1 "
            r"50\% \{e\} \textasciitilde{} \textbackslash{}n {[}f{]}(g) *h* "
            r"\textasciigrave{}i\textasciigrave{} \textquotedbl{}j\textquotedbl{} & "
        )
        assert row.startswith(wanted)

    def test_control_characters_and_ends_of_lines_do_not_break_a_row(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a", pipeline="two\nlines\x07", study="東京 ö")
        write_report(tmp_path / "s.sqlite", tmp_path)
        for file in ("report.html", "tables.md", "tables.tex"):
            text = (tmp_path / file).read_text(encoding="utf-8")
            assert "two lines " in text
            assert "東京 ö" in text
            assert "\x07" not in text


def svg_of(picture: dict) -> str:
    kind, _, text = picture["src"].partition(",")
    assert kind == "data:image/svg+xml"
    return unquote(text)


class TestBadInput:
    def test_no_store(self, tmp_path):
        with pytest.raises(StoreError, match=r"none\.sqlite: the file does not exist"):
            write_report(tmp_path / "none.sqlite", tmp_path / "out")
        assert not list(tmp_path.iterdir())

    def test_empty_store(self, tmp_path):
        ResultStore(tmp_path / "s.sqlite").close()
        with pytest.raises(ValueError, match=r"has no folds\. Run `edaemo compare`"):
            write_report(tmp_path / "s.sqlite", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_foreign_file(self, tmp_path):
        (tmp_path / "table.csv").write_text("a,b\n" * 100)
        with pytest.raises(StoreError, match=r"table\.csv: it is not a store"):
            write_report(tmp_path / "table.csv", tmp_path / "out")

    def test_only_failed_folds(self, tmp_path):
        with ResultStore(tmp_path / "s.sqlite") as store:
            for fold in (0, 1):
                add_fold(
                    *(store, f"{fold}"),
                    fold=fold,
                    error="ValueError: too hot",
                    predictions=None,
                    settings={},
                )
        with pytest.raises(ValueError, match=r"all 2 folds failed.*svm-eda.*too hot"):
            write_report(tmp_path / "s.sqlite", tmp_path / "out")

    @pytest.mark.parametrize("place", ["file", "file/deeper"])
    def test_out_that_cannot_be_written(self, tmp_path, place):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
        (tmp_path / "file").write_text("mine")
        with pytest.raises(OSError, match=r"cannot be written to .*file"):
            write_report(tmp_path / "s.sqlite", tmp_path / place)
        assert (tmp_path / "file").read_text() == "mine"

    @pytest.mark.parametrize("which", ["report.html", "tables.tex"])
    def test_it_is_written_whole_or_not_at_all(self, tmp_path, monkeypatch, which):
        with ResultStore(tmp_path / "s.sqlite") as store:
            add_fold(store, "a")
        out = tmp_path / "out"
        out.mkdir()
        for name in ("report.html", "tables.md", "tables.tex"):
            (out / name).write_text("as it was")
        write = Path.write_text

        def fail(path: Path, *arguments: object, **named: object) -> int:
            if which in path.name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(path, *arguments, **named)

        monkeypatch.setattr(Path, "write_text", fail)
        with pytest.raises(OSError, match=r"cannot be written to .*No space left"):
            write_report(tmp_path / "s.sqlite", out)
        assert {file.name: file.read_text() for file in out.iterdir()} == dict.fromkeys(
            ["report.html", "tables.md", "tables.tex"], "as it was"
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["none.sqlite", "--out", "out"], "none.sqlite: the file does not exist"),
            ([".", "--out", "out"], "it is a folder"),
            (["s.sqlite", "--out", "s.sqlite"], "cannot be written to s.sqlite"),
            (["s.sqlite", "--out", "out", "--person", "x"], "Person 'x' is not in the store"),
        ],
    )
    def test_the_command_says_so_in_one_line(
        self, tmp_path, monkeypatch, capsys, arguments, message
    ):
        monkeypatch.chdir(tmp_path)
        with ResultStore("s.sqlite") as store:
            add_fold(store, "a")
        with pytest.raises(SystemExit) as ended:
            main(["report", *arguments])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.startswith("edaemo: error: ") and said.count("\n") == 1
        assert not Path("out").exists()

    def test_the_command_names_its_files(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        with ResultStore("s.sqlite") as store:
            add_fold(store, "a")
        assert main(["report", "s.sqlite", "--out", "out"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            *("out/report.html", "out/tables.md", "out/tables.tex"),
        ]


class TestPage:
    def test_everything_has_a_name_in_words(self, written):
        page = Page(written / "report.html")
        assert page.pictures
        assert all(len(picture["alt"]) > 40 for picture in page.pictures)
        assert all(caption for caption in page.tables)
        scopes = [found.get("scope") for tag, found in page.tags if tag == "th"]
        assert set(scopes) == {"col", "row"}
        attributes = {tag: found for tag, found in page.tags}
        assert attributes["html"]["lang"] == "en"
        assert any(found.get("name") == "viewport" for tag, found in page.tags if tag == "meta")

    def test_it_refers_to_nothing_outside(self, written):
        page = Page(written / "report.html")
        named = [found[name] for _, found in page.tags for name in ("src", "href") if name in found]
        assert named
        assert all(one.startswith(("data:", "#")) for one in named)
        text = (written / "report.html").read_text(encoding="utf-8")
        assert "url(" not in re.sub(r"src='[^']*'|src=\"[^\"]*\"", "", text)

    def test_colours_of_lines_stand_out_and_differ_for_all_kinds_of_sight(self):
        from edaemo.report._pictures import COLOURS, PATTERNS

        assert len(set(map(str, PATTERNS))) == len(COLOURS)
        linear = [np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for c in COLOURS]
        linear = [np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in linear]
        # Contrast with white, WCAG 2.2, 1.4.11: graphics need 3.
        luminance = [c @ [0.2126, 0.7152, 0.0722] for c in linear]
        assert min(1.05 / (one + 0.05) for one in luminance) > 3
        # Full protanopia and deuteranopia as Machado, Oliveira and Fernandes (2009) simulate them.
        for matrix in (
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
        ):
            lab = [to_lab(np.clip(np.array(matrix) @ c, 0, 1)) for c in linear]
            apart = [np.linalg.norm(a - b) for i, a in enumerate(lab) for b in lab[:i]]
            assert min(apart) > 10  # a just noticeable difference is 2.3


def to_lab(linear: np.ndarray) -> np.ndarray:
    """Turn linear sRGB into CIELAB (D65)."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
class TestBrowser:
    def test_console_and_network_are_watched(self, tmp_path):
        page = tmp_path / "bad.html"
        page.write_text(
            '<!DOCTYPE html><link rel="icon" href="data:,">'
            '<script>console.error("it went wrong")</script><img src="http://127.0.0.1:9/x.png">'
        )
        _, console, requested = browse(page, tmp_path)
        assert any("it went wrong" in line for line in console)
        assert any("127.0.0.1:9" in url for url in requested)

    def test_the_page_opens_without_a_word_and_without_a_network(self, written, tmp_path):
        dom, console, requested = browse(written / "report.html", tmp_path)
        assert "Pairwise tests: small, valence, subject" in dom
        assert console == []
        assert requested == []

    @pytest.mark.parametrize("width", [360, 390, 1280, 1920])
    def test_nothing_is_wider_than_the_screen(self, written, tmp_path, width):
        frame = written / f"frame-{width}.html"
        frame.write_text(
            f'<!DOCTYPE html><link rel="icon" href="data:,"><iframe id="f" src="report.html" '
            f'style="border:0" width="{width}" height="800"></iframe><p id="said"></p><script>'
            "onload = () => { const d = document.getElementById('f').contentDocument;"
            "const bad = [...d.images].filter(i => !i.complete || !i.naturalWidth).length;"
            "document.getElementById('said').textContent = "
            "`wide ${d.documentElement.scrollWidth} broken ${bad} of ${d.images.length}`; }"
            "</script>"
        )
        try:
            dom, console, _ = browse(frame, tmp_path, "--allow-file-access-from-files")
        finally:
            frame.unlink()
        wide, broken, n_pictures = map(
            int, re.search(r"wide (\d+) broken (\d+) of (\d+)", dom).groups()
        )
        assert console == []
        assert wide <= width
        assert broken == 0
        assert n_pictures > 0


def browse(page: Path, folder: Path, *options: str) -> tuple[str, list[str], list[str]]:
    """Open a page: its document, what the console said, and what was asked of the network."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            *(CHROMIUM, *OPTIONS),
            *(
                "--enable-logging=stderr",
                f"--log-net-log={log}",
                "--net-log-capture-mode=Everything",
            ),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *options),
            *("--dump-dom", page.absolute().as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    asked = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # What Chromium asks of its makers by itself has no origin.
    urls = {
        told["url"]
        for told in asked
        if not told.get("url", "").startswith(("file:", "data:", "chrome", "about:"))
        and told.get("initiator", "not an origin") != "not an origin"
    }
    return done.stdout, console, sorted(urls)
