"""A report as HTML, Markdown and LaTeX; what users named is text in all three, never markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from edaemo.benchmark.report._page import Section

_MARKDOWN = re.compile(r"([\\`*_\[\]|$~<])")
_BULLET = re.compile(r"^([-+#>=])")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    # Neither an option of the row before, nor part of a longer dash.
    "[": "{[}",
    "]": "{]}",
    "-": "{-}",
    "²": r"\textsuperscript{2}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def render_html(title: str, sections: Sequence[Section]) -> str:
    """Write the page: one file that needs no other."""
    environment = Environment(
        loader=PackageLoader("edaemo.benchmark.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # HTML has no place for control characters, not even escaped ones.
        finalize=lambda value: _plain(value) if type(value) is str else value,
    )
    return environment.get_template("page.html").render(title=title, sections=sections)


def render_markdown(title: str, sections: Sequence[Section]) -> str:
    """Write the tables, and what is said of them, as Markdown."""
    lines = [f"# {escape_markdown(title)}"]
    for section in sections:
        lines += ["", f"{'#' * section.level} {escape_markdown(section.title)}"]
        for text in section.paragraphs:
            lines += ["", _paragraph(text)]
        for table in section.tables:
            lines += ["", _paragraph(table.caption), ""]
            lines += [_line(table.head), _line(["---"] * len(table.head), plain=True)]
            lines += [_line(row.cells) for row in table.rows]
            for note in table.notes:
                lines += ["", _paragraph(note)]
        for command in section.commands:
            lines += ["", *(f"    {line}" for line in command.splitlines())]
    return "\n".join([*lines, ""])


def render_latex(title: str, sections: Sequence[Section]) -> str:
    """Write the tables as LaTeX, for a document that loads booktabs and longtable."""
    lines = [
        f"% {_plain(title)}",
        r"% In the preamble: \usepackage[T1]{fontenc} \usepackage{textcomp,booktabs,longtable}",
    ]
    for section in sections:
        for table in section.tables:
            head = " & ".join(map(escape_latex, table.head))
            lines += ["", rf"\begin{{longtable}}{{{'l' * len(table.head)}}}"]
            lines += [rf"\caption{{{escape_latex(table.caption)}}} \\", r"\toprule"]
            lines += [rf"{head} \\", r"\midrule", r"\endfirsthead"]
            lines += [r"\toprule", rf"{head} \\", r"\midrule", r"\endhead"]
            lines += [rf"{' & '.join(map(escape_latex, row.cells))} \\" for row in table.rows]
            lines += [r"\bottomrule", r"\end{longtable}"]
            lines += [rf"\noindent {escape_latex(note)}\par" for note in table.notes]
    return "\n".join([*lines, ""])


def escape_markdown(text: str) -> str:
    """Write a text so that Markdown shows it as it is, in a cell of a table too."""
    return _MARKDOWN.sub(r"\\\1", _plain(text).replace("&", "&amp;"))


def escape_latex(text: str) -> str:
    """Write a text so that LaTeX sets it as it is."""
    return "".join(_LATEX.get(sign, sign) for sign in _plain(text))


def _paragraph(text: str) -> str:
    """Write a text that is no list, heading or quotation, whatever it begins with."""
    text = escape_markdown(text.strip())
    return _NUMBERED.sub(r"\1\\\2", _BULLET.sub(r"\\\1", text))


def _line(cells: Sequence[str], *, plain: bool = False) -> str:
    return f"| {' | '.join(cells if plain else map(escape_markdown, cells))} |"


def _plain(text: str) -> str:
    """Put what has no sign of its own, ends of lines among it, into one space."""
    return _INVISIBLE.sub(" ", text)
