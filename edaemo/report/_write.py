"""The report: gathered from a store, and written whole or not at all."""

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
from edaemo.report._commands import section_commands
from edaemo.report._contents import (
    RATED,
    section_audit,
    section_overview,
    section_scores,
    section_versions,
    sections_case,
)
from edaemo.report._learning import section_learning
from edaemo.report._page import Section
from edaemo.report._pictures import draw_ratings
from edaemo.report._render import render_html, render_latex, render_markdown


def write_report(
    store: str | Path,
    out: str | Path,
    *,
    keys: Iterable[str] | None = None,
    people: Sequence[str] = (),
    studies: Mapping[str, Bunch] | None = None,
    path: str | Path | None = None,
) -> list[Path]:
    """Write what a store holds as one page to look at, and as tables for a paper.

    Parameters
    ----------
    store : path
        What :func:`evaluate` wrote.
    out : path
        Folder, made if need be: ``report.html``, which needs no other file and no network;
        ``tables.md`` and ``tables.tex`` with the same tables.
    keys : iterable of str or None, default=None
        Of the folds meant; None for the newest run of each pipeline (:func:`newest_keys`).
    people : sequence of str, default=()
        Ids of people whose ratings and thresholds are drawn (Figure 3 of the RTCAN-1D paper).
    studies : mapping of str to Bunch or None, default=None
        Studies of the store by name, for their ratings; None: those that ``STUDIES`` knows are
        loaded, if `people` asks for them. A study that cannot be had is named in the report.
    path : path or None, default=None
        Where corpora are looked for first, as in the loaders.

    Returns
    -------
    list of Path
        The files: page, Markdown, LaTeX. The same store gives the same files, byte for byte.

    Raises
    ------
    StoreError
        If there is no store, or it cannot be read.
    ValueError
        If it holds no fold, or no pipeline with all its folds; if a person is not in it; if the
        same was evaluated with several numbers of folds (then choose by `keys`).
    OSError
        If `out` cannot be written to. None of the files is there then, or each as it was.
    """
    store, out = Path(store), Path(out)
    if not store.exists():
        raise StoreError(f"{store}: there is no store of results: run `edaemo compare` first.")
    with ResultStore(store) as opened, _uncollected():
        folds, predictions, left_out = _read(opened, keys)
        curves = make_learning_curves(opened, folds)
    cases = make_cases(predictions, folds)
    command = ["edaemo", "report", str(store), "--out", str(out)]
    command += ["--person", *people] if people else []
    command += ["--path", str(path)] if path is not None else []
    sections = [
        section_overview(cases, left_out, store.name),
        section_audit(cases),
        section_scores(cases),
        *(section for case in cases for section in sections_case(case)),
        section_learning(curves),
        _section_people(cases, people, studies, path),
        section_versions(folds),
        section_commands(cases, str(store), shlex.join(command), has_shares=bool(curves)),
    ]
    title = f"edaemo report: {store.name}"
    return _write(
        {
            out / "report.html": render_html(title, sections),
            out / "tables.md": render_markdown(title, sections),
            out / "tables.tex": render_latex(title, sections),
        }
    )


def _read(
    store: ResultStore, keys: Iterable[str] | None
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return folds; predictions of all but shares of people; what is left out."""
    keys = None if keys is None else list(keys)
    folds = store.folds(keys)
    if folds.empty:
        raise ValueError(f"{store.path} holds no folds: run `edaemo compare` first.")
    if keys is None:
        folds = folds[folds["key"].isin(choose_newest(folds))].reset_index(drop=True)
    if (folds["status"] == "failed").all():
        raise ValueError(
            f"{store.path}: all of its {len(folds)} folds failed, so there is nothing to report. "
            f"The first, of {folds['pipeline'].iloc[0]}: {folds['error'].iloc[0]}"
        )
    of_shares = is_share(folds)
    if of_shares.all():
        raise ValueError(f"{store.path} holds shares of people alone, and not the whole of any.")
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        predictions = read_complete(store, folds[~of_shares].reset_index(drop=True))
    left_out = [str(note.message) for note in notes if note.category is UserWarning]
    return folds, predictions, left_out


@contextmanager
def _uncollected() -> Iterator[None]:
    """Do not look for garbage among millions of lists and numbers that are all still needed."""
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
    """Draw the ratings of the people that were chosen, where they are at hand."""
    section = Section("From ratings to labels")
    if not people:
        section.paragraphs.append(
            "Nobody was chosen. `edaemo report STORE --out DIR --person ID` draws how a person's "
            "ratings became low and high (Figure 3 of the RTCAN-1D paper), from the ratings of the "
            "study, which a store does not hold."
        )
        return section
    whose: dict[str, dict[str, Hashable]] = {}
    for case in cases:
        ids = next(iter(case.trials.values()))["subject"].unique()
        whose.setdefault(case.about["study"], {}).update({str(one): one for one in ids})
    known = [one for ids in whose.values() for one in ids]
    for person in people:
        if person not in known:
            raise ValueError(f"The store holds nobody called {person!r}: {suggest(person, known)}")
    rated = {case.about["study"] for case in cases if case.about["target"] in RATED}
    for study, ids in whose.items():
        chosen = [ids[person] for person in people if person in ids]
        if not chosen:
            continue
        data = _load_ratings(study, studies, path) if study in rated else "it has no ratings here."
        if isinstance(data, str):
            section.paragraphs.append(f"{study}: not drawn, {data}")
            continue
        for subject in chosen:
            own = data.ratings[data.trials["subject"].to_numpy() == subject]
            own = own.assign(subject=subject)
            try:
                middle = float(np.mean(data.rating_range))
                section.pictures.append(draw_ratings(own, subject, middle, study))
            except ValueError as error:
                section.paragraphs.append(f"{study}, {subject}: not drawn, {error}")
    return section


def _load_ratings(
    study: str, studies: Mapping[str, Bunch] | None, path: str | Path | None
) -> Bunch | str:
    """Give a study, or say why it cannot be had."""
    if studies is not None and study in studies:
        return studies[study]
    if study not in STUDIES:
        return "edaemo does not know this study by name: give it as studies= in Python."
    try:
        return STUDIES[study](path)
    except (ValueError, OSError, ImportError) as error:
        return f"its ratings are not at hand ({error})"


def _write(files: Mapping[Path, str]) -> list[Path]:
    """Write all of the files, or none."""
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
            f"The report cannot be written to {folder} ({why}): give --out a folder that you can "
            "write to",
        ) from error
    return list(files)
