"""Check the English of the package and its documentation: `python docs/english.py`.

It looks at Markdown, docstrings, comments, messages and names of variables, and exits with 1 if it
finds a word that `AVOID` lists. `docs/` says nothing about style beyond this list: subject, verb,
object; the field's words; imperative docstrings.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LONGEST_LINE = 119  # of Markdown, but for tables, code and lines that are one link

# Pattern: what to write instead.
AVOID = {
    r"\b(is|are|was|were|be) (no|none|nobody)\b(?! longer| more than)": "'is not', 'there is no'",
    r"\b(holds|has) (none|nobody)\b": "'has no …'",
    r"\bbeside(s)? what\b": "'against', 'compared with'",
    r"\bbeside (each|one an)other\b|\bbeside\b": "'next to', 'with', 'compared with'",
    r"\banew\b|\bafresh\b": "'again'",
    r"\bnobody\b|\bsomebody\b": "'no person', 'a person'",
    r"\b(take|takes|taken|took) away\b": "'remove'",
    r"\bto be had\b|\bcan(not)? be had\b": "'available', 'cannot be computed'",
    r"\bstands?\b|\bstood\b": "'is', 'are', 'holds', 'lists'",
    r"\bin whatever\b|\bwhatever\b": "'any', 'regardless of'",
    r"\bnot at hand\b|\bat hand\b": "'available'",
    r"\bone's own\b|\bof one's\b": "'your own'",
    r"\bhangs? (on|from)\b": "'depends on'",
    r"\bsays? (how|what|which|why|whether|where|when|who|so|it|of)\b": "'describes', 'explains'",
    r"\bis (told|said)\b|\bare (told|said)\b": "the verb that is meant",
    r"\bknows nothing\b|\bknow nothing\b": "'uses no input'",
    r"\bmakes? no sense\b": "'is invalid'",
    r"\b(so|as) it is\b|\bas they are\b": "'unchanged'",
    r"\bthe like\b|\band the like\b": "'similar'",
    r"\bof a kind\b|\bone and the same\b": "'the same'",
}
FIRST_WORDS = {"Say", "Give", "Let", "Tell", "Know", "Lay", "Part", "Look", "See", "Hold"}
NAMES = {"told", "said", "own", "one", "ones", "tell", "say"}


def main() -> None:
    """Print every place to mend; exit with 1 if there is one."""
    found = [*check_markdown(), *check_python()]
    for place, text in found:
        print(f"{place}: {text}")
    sys.exit(bool(found))


def check_markdown() -> Iterator[tuple[str, str]]:
    """Look at every Markdown file of the repository."""
    built = REPOSITORY / "docs" / "_build"
    files = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    for path in sorted(file for file in files if built not in file.parents):
        code = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            place = f"{path.relative_to(REPOSITORY)}:{number}"
            if line.lstrip().startswith("```"):
                code = not code
            elif not code:
                free = line.startswith(("|", "[", "<")) or " " not in line.strip()
                if len(line) > LONGEST_LINE and not free:
                    yield place, f"{len(line)} characters"
                yield from avoid(place, re.sub(r"`[^`]*`", "``", line))


def check_python() -> Iterator[tuple[str, str]]:
    """Look at the texts and names of every module of the package and of every script."""
    folders = ("edaemo/**", "examples", "benchmarks", "docs")
    files = {file for folder in folders for file in REPOSITORY.glob(f"{folder}/*.py")}
    files.remove(Path(__file__).resolve())  # it contains the words to avoid
    for path in sorted(files):
        source = path.read_text(encoding="utf-8")
        name = str(path.relative_to(REPOSITORY))
        tree = ast.parse(source)
        for node in ast.walk(tree):
            place = f"{name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if " " in node.value:
                    yield from avoid(place, re.sub(r"`[^`]*`", "``", node.value))
            elif isinstance(node, ast.FunctionDef):
                words = (ast.get_docstring(node) or "").split()
                if words and words[0] in FIRST_WORDS:
                    yield place, f"docstring begins with {words[0]!r}: 'Return', 'Read', 'Compute'"
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                if node.id in NAMES:
                    yield place, f"variable {node.id!r}: name it after what it holds"
            elif isinstance(node, ast.arg) and node.arg in NAMES:
                yield place, f"argument {node.arg!r}: name it after what it holds"
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield from avoid(f"{name}:{token.start[0]}", token.string)


def avoid(place: str, text: str) -> Iterator[tuple[str, str]]:
    """Look for what `AVOID` lists."""
    for pattern, instead in AVOID.items():
        for match in re.finditer(pattern, text.replace("None", "null"), flags=re.IGNORECASE):
            yield place, f"{match.group()!r}: {instead}"


if __name__ == "__main__":
    main()
