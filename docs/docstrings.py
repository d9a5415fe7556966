"""Check the public docstrings with numpydoc: `python docs/docstrings.py`.

Public are the names in ``__all__`` of `edaemo` and of its public packages and modules, and the
public methods and properties of their classes, except those of other libraries. The script prints
every error and exits with 1 if there is one. It exempts the checks in `NOT_REQUIRED`, and:

- a method that overrides a method of edaemo with the same parameters inherits its sections;
- a class that inherits ``__init__`` inherits the descriptions of its parameters;
- a context manager that yields None has no section Yields.
"""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType

from numpydoc.validate import validate

import edaemo

NOT_REQUIRED = {
    "ES01": "an extended summary",
    "EX01": "examples",
    "RT02": "a returned value without a name, which scikit-learn allows too",
    "SA01": "a section See Also",
}
INHERITED = {"GL08", "PR01", "RT01", "YD01"}  # no docstring, no section


def main() -> None:
    """Print every error of a public docstring; exit with 1 if there is one."""
    errors = [
        f"{found['file']}:{found['file_line']}: {name}: {code} {text}"
        for name, exempt in find_public()
        for found in [validate(name)]
        for code, text in found["errors"]
        if code not in exempt
    ]
    print("\n".join(errors), end="\n" if errors else "")
    sys.exit(bool(errors))


def find_public() -> Iterator[tuple[str, set[str]]]:
    """Yield the path of each public object, once, and the checks that it is exempt from."""
    seen = set()
    for module in list_modules():
        for name in getattr(import_module(module), "__all__", ()):
            value = getattr(import_module(module), name)
            if not is_ours(value) or value in seen:
                continue
            seen.add(value)
            yield f"{module}.{name}", set(NOT_REQUIRED) | find_exempt(value)
            if not inspect.isclass(value):
                continue
            for attribute, of_class in find_members(value):
                if (attribute, of_class) not in seen:
                    seen.add((attribute, of_class))
                    inherited = INHERITED if overrides(of_class, attribute) else set()
                    exempt = inherited | find_exempt(getattr(value, attribute))
                    yield f"{module}.{name}.{attribute}", exempt | set(NOT_REQUIRED)


def find_exempt(value: object) -> set[str]:
    """Return the checks of which a class without ``__init__`` or a context manager is exempt."""
    if inspect.isclass(value):
        return set() if {"__init__", "__new__"} & set(vars(value)) else {"PR01"}
    returned = getattr(value, "__annotations__", {}).get("return")
    return {"YD01"} if returned == "Iterator[None]" else set()


def list_modules() -> list[str]:
    """Return the names of edaemo and of its public packages and modules."""
    found = pkgutil.walk_packages(edaemo.__path__, "edaemo.")
    return ["edaemo", *(each.name for each in found if "._" not in each.name)]


def is_ours(value: object) -> bool:
    """Return whether edaemo defines this class or function."""
    code = inspect.isclass(value) or inspect.isroutine(value)
    return code and getattr(value, "__module__", "").startswith("edaemo")


def find_members(cls: type) -> Iterator[tuple[str, type]]:
    """Yield the public methods and properties of a class, with the class that defines each."""
    names = set()
    for base in cls.__mro__:
        for name, value in vars(base).items() if is_ours(base) else ():
            if name.startswith("_") or name in names:
                continue
            names.add(name)
            if isinstance(value, FunctionType | classmethod | staticmethod | property):
                yield name, base


def overrides(cls: type, name: str) -> bool:
    """Return whether a base class in edaemo documents this method with the same parameters."""
    value = inspect.getattr_static(cls, name)
    for base in cls.__mro__[1:]:
        overridden = vars(base).get(name) if is_ours(base) else None
        if overridden is not None and overridden.__doc__:
            return isinstance(value, property) or list_parameters(value) <= list_parameters(
                overridden
            )
    return False


def list_parameters(method: object) -> set[str]:
    """Return the names of the parameters of a method."""
    return set(inspect.signature(getattr(method, "__func__", method)).parameters)


if __name__ == "__main__":
    main()
