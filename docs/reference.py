"""The pages of the API reference: which names they list, and where each name is documented.

A name that several packages export, such as `edaemo.benchmark.evaluate`, has one page, in the
package that defines it. References to its other paths lead to this page.
"""

from __future__ import annotations

import inspect
import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

from docstrings import find_members, is_ours, list_modules

COLLECTIONS = ("edaemo", "edaemo.benchmark")  # of names that other packages define


@cache
def find_homes() -> dict[str, str]:
    """Return the path under which each public path is documented."""
    exports = [
        (module, name, getattr(import_module(module), name))
        for module in sorted(list_modules(), key=COLLECTIONS.__contains__)
        for name in getattr(import_module(module), "__all__", ())
    ]
    paths = {f"{module}.{name}" for module, name, _ in exports}
    homes, first = {}, {}
    for module, name, value in exports:
        path = f"{module}.{name}"
        if is_ours(value):
            defined = re.sub(r"\._.*", "", value.__module__) + f".{name}"
            homes[path] = first.setdefault(value, defined if defined in paths else path)
        else:
            homes[path] = first.setdefault((name, id(value)), path)
    return homes


def list_contents(module: str) -> list[tuple[str, list[str], bool]]:
    """Return the sections of a package's page: title, documented paths, whether they are new.

    New are paths whose page belongs to this package.
    """
    classes, functions, constants, elsewhere = [], [], [], []
    for name in sorted(getattr(import_module(module), "__all__", ()), key=str.lower):
        value = getattr(import_module(module), name)
        home = find_homes()[f"{module}.{name}"]
        if home != f"{module}.{name}":
            elsewhere.append(home)
        elif not is_ours(value):
            constants.append(home)
        else:
            (classes if inspect.isclass(value) else functions).append(home)
    sections = [
        ("Classes", classes, True),
        ("Functions", functions, True),
        ("Constants", constants, True),
        ("Documented in other packages", elsewhere, False),
    ]
    return [section for section in sections if section[1]]


def list_members(path: str) -> list[tuple[str, str]]:
    """Return autodoc's directive and the name of each public member that edaemo defines."""
    module, name = path.rsplit(".", 1)
    cls = getattr(import_module(module), name)
    names = sorted(attribute for attribute, _ in find_members(cls))
    static = {member: inspect.getattr_static(cls, member) for member in names}
    return [
        ("autoproperty" if isinstance(value, property) else "automethod", member)
        for member, value in static.items()
    ]


def describe_constants(app, what, name, value, options, lines: list[str]) -> None:
    """Replace the docstring of a constant's type with the comment at the constant's definition."""
    if what != "data":
        return
    constant = name.rpartition(".")[2]
    pattern = rf"((?:^#.*\n)*)^{constant}\b[^=\n]* = .*?(?:  # (.*))?$"
    modules = [module for path, module in sorted(sys.modules.items()) if path.startswith("edaemo")]
    holders = [module for module in modules if vars(module).get(constant) is value]
    found = [re.search(pattern, inspect.getsource(module), re.M) for module in holders]
    comments = [(match[2] or match[1].replace("# ", "")).split() for match in found if match]
    words = next(filter(None, comments), [f"A constant: {type(value).__name__}."])
    lines[:] = [" ".join(words), ""]


def link_pages(app, what, name, value, options, lines: list[str]) -> None:
    """Replace names of pages such as ``docs/files.md`` in a docstring with links."""
    for number, line in enumerate(lines):
        lines[number] = re.sub(r"`*\bdocs/([a-z-]+)\.md`*", r":doc:`/\1`", line)


def link_files(app, name: str, source: list[str]) -> None:
    """Adapt the links of a page, which is also read in the repository.

    A link whose text is the name of a page gets the title of the page as text. A link to a file
    outside `docs/` becomes a download.
    """
    folder = Path(app.env.doc2path(name)).parent

    def mark(link: re.Match[str]) -> str:
        inside = (folder / link[1]).resolve().is_relative_to(app.srcdir)
        return link[0] if inside else f"](path:{link[1]})"

    text = re.sub(r"\[[\w-]+\.md\](?=\([\w-]+\.md)", "[]", source[0])
    source[0] = re.sub(r"\]\((\.\./[^)\s]+)\)", mark, text)


class PicturesFirst:
    """Sort examples by name, those without a picture last."""

    def __init__(self, folder: str) -> None:
        pass  # sphinx-gallery passes the folder of the examples

    def __call__(self, name: str) -> tuple[bool, str]:
        """Return the key by which an example is sorted."""
        return not name.startswith("plot_"), name


def resolve_alias(app, env, node, content):
    """Return a link to the page of a name that another package exports, too."""
    target = node.get("reftarget", "")
    for path, home in find_homes().items():
        if path != home and (target == path or target.startswith(f"{path}.")):
            target = home + target.removeprefix(path)
            domain = env.get_domain("py")
            kind = node["reftype"]
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, kind, target, node, content
            )
    return None
