"""Define the command ``edaemo describe``."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_describe(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    describe = commands.add_parser(
        "describe",
        help="print who signed a saved model, and what it holds",
        description="Print who signed a model of edaemo.save, the versions it was saved with, its "
        "classes, training and steps. The model itself is not created.",
        epilog="Exit status: 0; 2 for a file that is not a model, is damaged, or has a wrong "
        "signature.",
    )
    describe.set_defaults(run=_describe, interrupted="Nothing was changed.")
    describe.add_argument("model", metavar="MODEL", help="model file of edaemo.save")
    describe.add_argument("--json", action="store_true", help="print everything as JSON")


def _describe(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.persistence import describe

    try:
        about = describe(arguments.model)
    except ValueError as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    if arguments.json:
        print(json.dumps(about))
        return 0
    print(f"Signed by: {_name_signer(about.pop('signature'))}")
    for name, value in about.items():
        print(f"{name.capitalize()}: {json.dumps(value, indent=1)}")
    return 0


def _name_signer(signature: dict[str, Any] | None) -> str:
    if signature is None:
        return "no key. Any person may have written or changed this file."
    if not signature["checked"]:
        return (
            f"perhaps {signature['public_key']}. The signature was not checked, because it needs "
            "pip install edaemo[sign]."
        )
    return f"{signature['public_key']}. The file was not changed since."
