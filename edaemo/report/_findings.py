"""Make the first section of a report: what each comparison shows, with a figure of the people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edaemo.evaluation import Case
from edaemo.report._page import Picture, Section, with_interval
from edaemo.report._pictures import draw_people
from edaemo.statistics import CLAIMS

MOST_OPEN = 2  # findings that are not folded
OVER_PEOPLE = ["over_people", "over_people_low", "over_people_high"]


def order_fairly(cases: Sequence[Case]) -> list[Case]:
    """Return the comparisons; those whose protocol has a warning, such as a leak, are last."""
    return sorted(cases, key=lambda case: bool(find_warning(case)))


def find_warning(case: Case) -> str:
    """Return the warning of the protocol, such as "leaks subjects"; empty without a warning."""
    return str(case.table["warning"].iloc[0])


def sections_findings(cases: Sequence[Case]) -> Iterator[Section]:
    """Yield a section with the finding and the figure of each comparison."""
    yield Section("Findings")
    for number, case in enumerate(cases):
        warning = find_warning(case)
        is_folded = number > 0 and (number >= MOST_OPEN or bool(warning))
        section = Section(f"{case.name}: {summarise(case)}", 3, is_folded)
        if case.is_artificial:
            section.paragraphs.append("The study is ARTIFICIAL: no person took part.")
        if warning:
            section.paragraphs.append(f"This protocol {warning}.")
        section.paragraphs.append(" ".join(_describe_best(case)))
        section.pictures.append(_draw_people(case))
        yield section


def summarise(case: Case) -> str:
    """Return which claims of a comparison hold, such as "no effect of EDA shown (0 of 8)"."""
    if isinstance(case.pairs, str):
        return "not tested"
    clauses = []
    for claim in CLAIMS:
        tested = case.table[case.table[claim.column].notna()]
        names = ", ".join(tested.loc[tested[claim.column], "pipeline"])
        count = f"({tested[claim.column].sum()} of {len(tested)} pipelines)"
        if names:
            clauses.append(f"effect of {claim.what} shown for {names} {count}")
        elif len(tested):
            clauses.append(f"no effect of {claim.what} shown {count}")
    if clauses:
        return "; ".join(clauses)
    return "no verdict" if case.table["second_look"].any() else "nothing to test"


def _describe_best(case: Case) -> Iterator[str]:
    """Yield the highest mean of the pipelines and of the reference rows, and the mean at chance."""
    means = case.summary.xs(case.task.tested, level="score")
    title = case.task.tested_title
    for rows, is_reference in (("pipelines", False), ("rows that use no EDA", True)):
        names = [name for name in case.pipelines if (name in case.references) == is_reference]
        scores = means.loc[names, "over_people"].dropna()
        if scores.empty:
            continue
        best = scores.idxmax()
        value = with_interval(*means.loc[best, OVER_PEOPLE])
        highest = f"the highest of {len(scores)} {rows}" if len(scores) > 1 else f"of the {rows}"
        chosen = ", which is optimistic because it was selected" if len(scores) > 1 else ""
        yield f"Mean {title} over people, {highest}{chosen}: {best} {value}."
    yield f"Chance: {case.task.chance:g}."


def _draw_people(case: Case) -> Picture:
    means = case.summary.xs(case.task.tested, level="score")
    task = case.task
    return draw_people(case.people, means, case.references, task.tested_title, task.chance)
