"""Write the report of a store; either all files are written or none."""

from __future__ import annotations

import gc
import os
import shlex
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from edaemo._sklearn import AnyBunch
from edaemo._validation import suggest
from edaemo._whole_file import whole_file
from edaemo.evaluation import (
    STUDIES,
    Case,
    ResultStore,
    StoreError,
    choose_newest,
    is_share,
    make_cases,
    make_learning_curves,
    read_complete,
)
from edaemo.report._cards import data_sheet_sections, model_card_sections
from edaemo.report._commands import section_commands
from edaemo.report._contents import (
    RATED,
    section_audit,
    section_overview,
    section_scores,
    section_versions,
    section_warnings,
    sections_case,
)
from edaemo.report._findings import order_fairly, sections_findings
from edaemo.report._learning import section_learning
from edaemo.report._methods import section_methods
from edaemo.report._page import Section
from edaemo.report._pictures import draw_ratings
from edaemo.report._render import render_html, render_latex, render_markdown


def write_report(
    store: str | Path,
    out: str | Path,
    *,
    keys: Iterable[str] | None = None,
    people: Sequence[str] = (),
    studies: Mapping[str, AnyBunch] | None = None,
    path: str | Path | None = None,
    model_card: str | None = None,
    data_sheet: str | None = None,
) -> list[Path]:
    """Write the report of a store: a web page, and tables for a paper.

    Parameters
    ----------
    store : path
        Store that :func:`evaluate` wrote.
    out : path
        Folder for the files; it is created if it does not exist. The files are ``report.html``,
        which needs no other file and no network, and ``tables.md`` and ``tables.tex``, which have
        the same tables.
    keys : iterable of str or None, default=None
        Keys of the folds to report; None for the newest run of each pipeline (:func:`newest_keys`).
    people : sequence of str, default=()
        Ids of people whose ratings and thresholds are drawn (Figure 3 of the RTCAN-1D paper).
    studies : mapping of str to Bunch or None, default=None
        Studies of the store by name, for the ratings of `people`. Other studies are loaded if
        their name is in ``STUDIES``. If a study is not available, the report contains a note.
    path : path or None, default=None
        Folder that is searched first for corpora, as in the loaders.
    model_card : str or None, default=None
        Name of a pipeline. Its model card is written to ``model-card.md`` [1]_.
    data_sheet : str or None, default=None
        Name of a study. Its data sheet is written to ``data-sheet.md`` [2]_. The sampling rate, the
        licence and the citation are read from the study, as the ratings of `people`. What neither
        the store nor the study contains is named as not stated in both files.

    Returns
    -------
    list of Path
        The files: HTML, Markdown, LaTeX, model card, data sheet. The same store gives the same
        files, byte for byte.

    Raises
    ------
    StoreError
        If the store does not exist or cannot be read.
    ValueError
        If the store has no folds, or no pipeline with all folds; if a person, the pipeline of the
        model card or the study of the data sheet is not in it; if a pipeline was evaluated with
        several numbers of folds (pass `keys` then).
    OSError
        If `out` cannot be written. No file is created or changed then.

    References
    ----------
    .. [1] M. Mitchell et al., "Model cards for model reporting", FAT* 2019.
    .. [2] T. Gebru et al., "Datasheets for datasets", Communications of the ACM 64(12), 2021.
    """
    store, out = Path(store), Path(out)
    if not store.exists():
        raise StoreError(f"{store}: the file does not exist. Run `edaemo compare` first.")
    with ResultStore(store) as opened, _uncollected():
        folds, predictions, left_out = _read(opened, keys)
        curves = make_learning_curves(opened, folds)
        cases = order_fairly(make_cases(opened, predictions, folds))
    command = ["edaemo", "report", str(store), "--out", str(out)]
    command += ["--person", *people] if people else []
    command += ["--path", str(path)] if path is not None else []
    command += ["--model-card", model_card] if model_card is not None else []
    command += ["--data-sheet", data_sheet] if data_sheet is not None else []
    sections = [
        *sections_findings(cases),
        section_methods(cases, folds),
        section_overview(cases, left_out, store.name),
        *(section for case in cases for section in sections_case(case, is_folded=case != cases[0])),
        section_scores(cases),
        section_learning(curves),
        _section_people(cases, people, studies, path),
        section_audit(cases),
        section_warnings(cases),
        section_versions(folds),
        section_commands(cases, str(store), shlex.join(command), has_shares=bool(curves)),
    ]
    title = f"edaemo report: {store.name}"
    files = {
        out / "report.html": render_html(title, sections),
        out / "tables.md": render_markdown(title, sections),
        out / "tables.tex": render_latex(title, sections),
    }
    if model_card is not None:
        card = model_card_sections(cases, model_card)
        files[out / "model-card.md"] = render_markdown(f"Model card: {model_card}", card)
    if data_sheet is not None:
        sheet = data_sheet_sections(cases, data_sheet, _load_study(data_sheet, studies, path))
        files[out / "data-sheet.md"] = render_markdown(f"Data sheet: {data_sheet}", sheet)
    return _write(files)


def _read(
    store: ResultStore, keys: Iterable[str] | None
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the folds, the predictions except for shares, and the incomplete pipelines."""
    keys = None if keys is None else list(keys)
    folds = store.folds(keys)
    if folds.empty:
        raise ValueError(f"{store.path} has no folds. Run `edaemo compare` first.")
    if keys is None:
        folds = folds[folds["key"].isin(choose_newest(folds))].reset_index(drop=True)
    if (folds["status"] == "failed").all():
        raise ValueError(
            f"{store.path}: all {len(folds)} folds failed. The first error, of "
            f"{folds['pipeline'].iloc[0]}: {folds['error'].iloc[0]}"
        )
    of_shares = is_share(folds)
    if of_shares.all():
        raise ValueError(
            f"{store.path} has only evaluations on shares of people. Evaluate all people first."
        )
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        predictions = read_complete(store, folds[~of_shares].reset_index(drop=True))
    left_out = [str(note.message) for note in notes if note.category is UserWarning]
    return folds, predictions, left_out


@contextmanager
def _uncollected() -> Iterator[None]:
    """Switch off garbage collection, which would scan millions of objects that are all in use."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _section_people(
    cases: Sequence[Case],
    people: Sequence[str],
    studies: Mapping[str, Bunch] | None,
    path: str | Path | None,
) -> Section:
    """Return the section with the ratings of the chosen people, if they are available."""
    section = Section("From ratings to labels", is_folded=not people)
    if not people:
        section.paragraphs.append(
            "No person was chosen. Run edaemo report STORE --out DIR --person ID to draw a "
            "person's ratings and thresholds (Figure 3 of the RTCAN-1D paper). The ratings are "
            "read from the study, since a store does not contain them."
        )
        return section
    ids_of_study: dict[str, dict[str, list[Hashable]]] = {}
    for case in cases:
        known_ids = ids_of_study.setdefault(case.about["study"], {})
        for person in next(iter(case.trials.values()))["subject"].unique():
            same_text = known_ids.setdefault(str(person), [])
            if person not in same_text:
                same_text.append(person)
    known = [person for ids in ids_of_study.values() for person in ids]
    for person in people:
        if person not in known:
            raise ValueError(f"Person {person!r} is not in the store: {suggest(person, known)}")
    rated = {case.about["study"] for case in cases if case.about["target"] in RATED}
    for study, ids in ids_of_study.items():
        chosen = [subject for person in people for subject in ids.get(person, ())]
        if not chosen:
            continue
        data = _load_study(study, studies, path) if study in rated else "the study has no ratings."
        if isinstance(data, str):
            section.paragraphs.append(f"The ratings of {study} are not drawn: {data}")
            continue
        for subject in chosen:
            ratings = data.ratings[data.trials["subject"].to_numpy() == subject]
            if ratings.empty:
                section.paragraphs.append(
                    f"The ratings of {study}, {subject} are not drawn: the study has no such "
                    "person. Pass the study with all people, such as the development people."
                )
                continue
            ratings = ratings.assign(subject=subject)
            try:
                middle = float(np.mean(data.rating_range))
                section.pictures.append(draw_ratings(ratings, subject, middle, study))
            except ValueError as error:
                section.paragraphs.append(
                    f"The ratings of {study}, {subject} are not drawn: {error}"
                )
    return section


def _load_study(
    study: str, studies: Mapping[str, Bunch] | None, path: str | Path | None
) -> Bunch | str:
    """Return a study, or the reason why it is not available."""
    if studies is not None and study in studies:
        return studies[study]
    if study not in STUDIES:
        return "this study is not registered. Pass it as studies= in Python."
    try:
        return STUDIES[study](path)
    except (ValueError, OSError, ImportError) as error:
        return f"the study cannot be loaded ({error})"


def _write(files: Mapping[Path, str]) -> list[Path]:
    """Write all files, or none."""
    folder = next(iter(files)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in files:
            if target.is_dir():
                raise IsADirectoryError(21, "it is a folder", str(target))
        with ExitStack() as stack:
            for target, text in files.items():
                part = stack.enter_context(whole_file(target))
                part.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(
            error.errno,
            f"The report cannot be written to {folder} ({why}): set --out to a folder that you can "
            "write to",
        ) from error
    return list(files)
