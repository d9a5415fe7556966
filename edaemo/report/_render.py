"""Render a report as HTML, Markdown and LaTeX; names of users are escaped in all three."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edaemo.report._page import Section, Table

MOST_LETTERS = 72  # on a line of LaTeX's default width and font size
LANDSCAPE_LETTERS = 125  # on a landscape page, in footnote size

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
    # Braces, so that [ is not an option of the previous row, and - does not join a longer dash.
    "[": "{[}",
    "]": "{]}",
    "-": "{-}",
    "²": r"\textsuperscript{2}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}
# Adds the buttons that copy texts. The page is complete without them. Its security policy allows
# only this script.
_SCRIPT = """
for (const box of document.querySelectorAll(".paste")) {
  const button = document.createElement("button");
  button.textContent = "Copy the text";
  button.addEventListener("click", () => {
    getSelection().selectAllChildren(box.querySelector(".text"));
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
  });
  box.append(button);
}
"""
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def render_html(title: str, sections: Sequence[Section]) -> str:
    """Return the HTML page, which needs no other file.

    A section of level 3 is shown inside the part that the section of level 2 before it begins.
    """
    parts: list[list[Section]] = []
    for section in sections:
        if section.level == 2:
            parts.append([])
        parts[-1].append(section)
    digest = b64encode(sha256(_SCRIPT.encode()).digest()).decode()
    environment = Environment(
        loader=PackageLoader("edaemo.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # HTML does not allow control characters, not even escaped ones.
        finalize=lambda value: _plain(value) if type(value) is str else value,
    )
    return environment.get_template("page.html").render(
        title=title, parts=parts, script=Markup(_SCRIPT), script_hash=Markup(f"sha256-{digest}")
    )


def render_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return the tables and paragraphs as Markdown."""
    lines = [f"# {escape_markdown(title)}"]
    for section in sections:
        lines += ["", f"{'#' * section.level} {escape_markdown(section.title)}"]
        for text in section.paragraphs:
            lines += ["", _paragraph(text)]
        for text in section.texts:
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
    """Return the tables as LaTeX; its comments name the packages and contain the texts."""
    lines = [
        f"% {_plain(title)}",
        r"% In the preamble: \usepackage[T1]{fontenc}",
        r"% \usepackage{textcomp,array,booktabs,longtable,pdflscape}",
    ]
    for section in sections:
        if section.texts:
            lines += ["", f"% {escape_latex(section.title)}, as a text:"]
            lines += [f"% {escape_latex(text)}" for text in section.texts]
        for table in section.tables:
            head = " & ".join(map(escape_latex, table.head))
            wide = _is_wide(table)
            lines += ["", r"\begin{landscape}\footnotesize\setlength{\tabcolsep}{3pt}"] * wide
            columns = _columns(table) if wide else "l" * len(table.head)
            lines += ["", rf"\begin{{longtable}}{{{columns}}}"]
            lines += [rf"\caption{{{escape_latex(table.caption)}}} \\", r"\toprule"]
            lines += [rf"{head} \\", r"\midrule", r"\endfirsthead"]
            lines += [r"\toprule", rf"{head} \\", r"\midrule", r"\endhead"]
            lines += [rf"{' & '.join(map(escape_latex, row.cells))} \\" for row in table.rows]
            lines += [r"\bottomrule", r"\end{longtable}"]
            lines += [rf"\noindent {escape_latex(note)}\par" for note in table.notes]
            lines += [r"\end{landscape}"] * wide
    return "\n".join([*lines, ""])


def _is_wide(table: Table) -> bool:
    """Return whether the table is wider than a portrait page with default margins."""
    longest = [max(map(len, column)) for column in _by_column(table)]
    return sum(longest) + 2 * len(longest) > MOST_LETTERS


def _columns(table: Table) -> str:
    """Return column widths: each column fits its longest word, and the rest is distributed."""
    columns = list(_by_column(table))
    # 1.2, since some letters are wider than others.
    words = [1.2 * max(map(len, " ".join(column).split()), default=0) + 1 for column in columns]
    whole = [1.2 * max(map(len, column)) + 1 for column in columns]
    left = max(LANDSCAPE_LETTERS - sum(words), 0)
    wanted = sum(whole) - sum(words)
    widths = [w + left * (all_ - w) / max(wanted, 1) for w, all_ in zip(words, whole, strict=True)]
    column = r">{\raggedright\arraybackslash}p{\dimexpr%.4f\linewidth-2\tabcolsep\relax}"
    return "".join(column % (0.999 * width / sum(widths)) for width in widths)


def _by_column(table: Table) -> Iterator[tuple[str, ...]]:
    return zip(table.head, *(row.cells for row in table.rows), strict=True)


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows unchanged, also in a cell of a table."""
    return _MARKDOWN.sub(r"\\\1", _plain(text).replace("&", "&amp;"))


def escape_latex(text: str) -> str:
    """Return a text that LaTeX prints unchanged."""
    return "".join(_LATEX.get(sign, sign) for sign in _plain(text))


def _paragraph(text: str) -> str:
    """Return a text that Markdown does not read as a list, a heading or a quotation."""
    text = escape_markdown(text.strip())
    return _NUMBERED.sub(r"\1\\\2", _BULLET.sub(r"\\\1", text))


def _line(cells: Sequence[str], *, plain: bool = False) -> str:
    return f"| {' | '.join(cells if plain else map(escape_markdown, cells))} |"


def _plain(text: str) -> str:
    """Replace control characters and line breaks by one space."""
    return _INVISIBLE.sub(" ", text)
