"""Define the command ``edaemo reproduce``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edaemo._whole_file import safe_name
from edaemo.cli._arguments import (
    CorporaHelp,
    HelpFormatter,
    add_plugins,
    collect_notes,
    import_plugins,
    make_folder,
)
from edaemo.cli._terminal import print_text

if TYPE_CHECKING:
    from sklearn.utils import Bunch

    from edaemo.reproduction.aimstf import AIMSTFReproduction
    from edaemo.reproduction.maet import MAETReproduction
    from edaemo.reproduction.rtcan import Reproduction, ReproductionSettings

WHAT = {
    "table1": "class balance after relabelling with a threshold for each person",
    "table2": "Spearman's correlation of valence and arousal",
    "table3": "models on EDA, music and both, with 10, 40, 70 and 100 % of the people",
    "table4": "depth and width of RTCAN",
    "table5": "the attention modules of RTCAN",
    "table6": "models of earlier work, and two that are usual for time series",
    "figure4": "10, 40, 70 and 100 % of the people: test people fixed, and the shrinking set",
}
RATINGS_ALONE = ("table1", "table2")


def add_reproduce(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    reproduce = commands.add_parser(
        "reproduce",
        help="reproduce the tables of the RTCAN-1D paper, or the results of MAET, AIMSTF or MuSe",
        description="Reproduce a table of the RTCAN-1D paper, its figure 4, the tables of MAET on "
        "SEED-VII, the splits of AIMSTF, or the results of the MuSe LSTM with self-attention. The "
        "output also has the published numbers, where there are any.",
    )
    actions = reproduce.add_subparsers(required=True, metavar="TABLE")
    for name, what in WHAT.items():
        _add_table(actions, name, what)
    _add_maet(actions)
    _add_aimstf(actions)
    _add_muse(actions)


def _add_maet(actions: argparse._SubParsersAction) -> None:
    what = "accuracy of MAET on EEG, eye movements and both, within and across people"
    maet = actions.add_parser(
        "maet",
        help=what,
        description=f"Tables of MAET on SEED-VII: {what}.",
        epilog="Exit status: 0; 2 for wrong arguments or unreadable data; 130 after Ctrl-C.",
        formatter_class=HelpFormatter,
    )
    kept = "Finished folds are stored: repeat the same command to resume."
    maet.set_defaults(run=_reproduce_maet, interrupted=kept)
    maet.add_argument("--path", metavar="DIR", help="original folder or zip of SEED-VII")
    maet.add_argument(
        "--allow-partial", action="store_true", help="accept a corpus that lacks people"
    )
    maet.add_argument(
        "--protocol",
        nargs="+",
        default=["subject-dependent", "cross-subject"],
        choices=["subject-dependent", "cross-subject"],
        help="a model for each person, or each person held out",
    )
    maet.add_argument(
        "--min-intensity", type=float, metavar="X", help="leave out windows of lower intensity"
    )
    maet.add_argument(
        "--intensity",
        default="none",
        choices=["none", "weight"],
        help="weight: the intensity of a window is its weight in training",
    )
    maet.add_argument("--epochs", type=int, metavar="N", help="epochs (default: recipe)")
    maet.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the networks")
    maet.add_argument(
        "--out", default="results", metavar="DIR", help="folder of the tables and of finished folds"
    )
    maet.add_argument("--json", action="store_true", help="print a line of JSON for each number")


def _reproduce_maet(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets import load_seed_vii
    from edaemo.reproduction.maet import MAETSettings, format_maet, reproduce_maet

    place = Path(arguments.out) / "seed-vii" / "maet"
    settings = MAETSettings(
        protocols=tuple(arguments.protocol),
        min_intensity=arguments.min_intensity,
        intensity=arguments.intensity,
        max_epochs=arguments.epochs,
        random_state=arguments.seed,
        store=place / "folds.csv",
        progress=True,
    )
    try:
        study = load_seed_vii(arguments.path, allow_partial=arguments.allow_partial)
        made = reproduce_maet(study, settings)
    except (ValueError, OSError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    _print_tables(made, format_maet(made), place, as_json=arguments.json)
    return 0


def _add_aimstf(actions: argparse._SubParsersAction) -> None:
    what = "accuracy of AIMSTF under the splits of its released code and over held-out people"
    aimstf = actions.add_parser(
        "aimstf",
        help=what,
        description=f"AIMSTF on windows of EDA and EEG: {what}, and the audit of each split.",
        epilog="Exit status: 0; 2 for wrong arguments or unreadable data; 130 after Ctrl-C.",
        formatter_class=HelpFormatter,
    )
    kept = "Finished folds are stored: repeat the same command to resume."
    aimstf.set_defaults(run=_reproduce_aimstf, interrupted=kept)
    aimstf.add_argument(
        "study",
        metavar="STUDY",
        nargs="?",
        default="deap",
        choices=["deap", "mahnob-hci"],
        help="deap or mahnob-hci",
    )
    aimstf.add_argument("--path", metavar="DIR", help="original folder or zip of the corpus")
    aimstf.add_argument(
        "--allow-partial", action="store_true", help="accept a corpus that lacks people"
    )
    aimstf.add_argument(
        "--protocol",
        nargs="+",
        default=[],
        metavar="NAME",
        help="released-per-subject, per-subject, released-windows, windows, subject (default: all)",
    )
    aimstf.add_argument(
        "--target",
        default="valence",
        choices=["valence", "arousal", "quadrants"],
        help="two classes of a rating, or the four quadrants",
    )
    aimstf.add_argument(
        "--window", type=float, default=1.0, metavar="SECONDS", help="length of a window"
    )
    aimstf.add_argument("--epochs", type=int, metavar="N", help="epochs (default: recipe)")
    aimstf.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws")
    aimstf.add_argument(
        "--out", default="results", metavar="DIR", help="folder of the tables and of finished folds"
    )
    aimstf.add_argument("--json", action="store_true", help="print a line of JSON for each number")


def _reproduce_aimstf(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.datasets import load_corpus
    from edaemo.reproduction.aimstf import AIMSTFSettings, format_aimstf, reproduce_aimstf

    place = Path(arguments.out) / arguments.study / "aimstf" / arguments.target
    settings = AIMSTFSettings(
        protocols=tuple(arguments.protocol),
        target=arguments.target,
        seconds=arguments.window,
        max_epochs=arguments.epochs,
        random_state=arguments.seed,
        store=place / "folds.csv",
        progress=True,
    )
    try:
        study = load_corpus(
            arguments.study,
            arguments.path,
            signals=("eda", "eeg"),
            units="as_recorded",  # no sample of resistance is missing, as some of conductance are
            window=None,
            allow_partial=arguments.allow_partial,
        )
        made = reproduce_aimstf(study, settings)
    except (ValueError, OSError) as error:
        parser.exit(2, f"edaemo: error: {error}\n")
    _print_tables(made, format_aimstf(made), place, as_json=arguments.json)
    made.audits.to_csv(place / "audit.csv", index=False)
    if arguments.json:
        for line in made.audits.to_json(orient="records", lines=True).splitlines():
            print(f'{{"audit": {line}}}')
    return 0


def _print_tables(
    made: MAETReproduction | AIMSTFReproduction, text: str, place: Path, *, as_json: bool
) -> None:
    """Print the tables over people of a paper, and write them."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "table.md").write_text(text, encoding="utf-8")
    made.table.to_csv(place / "table.csv", index=False)
    made.people.to_csv(place / "people.csv", index=False)
    if as_json:
        for line in made.table.to_json(orient="records", lines=True).splitlines():
            print(f'{{"row": {line}}}')
        for remark in made.remarks:
            print(json.dumps({"remark": remark}))
    else:
        print_text(text)
        print(f"Written to {place}")


def _add_muse(actions: argparse._SubParsersAction) -> None:
    muse = actions.add_parser(
        "muse",
        help="results of the MuSe LSTM with self-attention on continuous ratings",
        description="Print the published results of the MuSe LSTM with self-attention and those of "
        "edaemo, with the split of each number.",
        epilog="Exit status: 0; 2 for wrong arguments or unreadable data; 130 after Ctrl-C.",
        formatter_class=HelpFormatter,
    )
    muse.set_defaults(run=_reproduce_muse, interrupted="Nothing was changed.")
    muse.add_argument(
        "study", metavar="STUDY", nargs="?", default="muse-car", help="a study, or generated"
    )
    muse.add_argument("--path", metavar="DIR", help="original folder or zip of the corpus")
    add_plugins(muse, "studies")
    muse.add_argument("--folds", type=int, default=5, metavar="K", help="folds without partitions")
    muse.add_argument("--seeds", type=int, default=5, metavar="N", help="number of networks")
    muse.add_argument("--epochs", type=int, metavar="N", help="maximum epochs of each network")
    muse.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random numbers")
    muse.add_argument("--out", default="results", metavar="DIR", help="folder for table and rows")
    muse.add_argument("--json", action="store_true", help="print a line of JSON for each row")


def _reproduce_muse(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from edaemo.evaluation import load_continuous
    from edaemo.reproduction.muse import format_results, reproduce_results

    try:
        import_plugins(arguments.plugin)
        study = load_continuous(arguments.study, arguments.path)
        table = reproduce_results(
            study,
            n_splits=arguments.folds,
            n_seeds=arguments.seeds,
            max_epochs=arguments.epochs,
            random_state=arguments.seed,
        )
    except ValueError as error:  # base of all errors about arguments and data
        parser.exit(2, f"edaemo: error: {error}\n")
    place = Path(arguments.out) / safe_name(study.name) / "muse"
    place.mkdir(parents=True, exist_ok=True)
    text = format_results(table)
    (place / "table.md").write_text(text, encoding="utf-8")
    table.to_csv(place / "table.csv", index=False)
    if arguments.json:
        for line in table.to_json(orient="records", lines=True).splitlines():
            print(f'{{"row": {line}}}')
    else:
        print_text(text)
        print(f"Written to {place}")
    return 0


def _add_table(actions: argparse._SubParsersAction, name: str, what: str) -> None:
    table = actions.add_parser(
        name,
        help=what.replace("%", "%%"),
        description=f"{name.capitalize()} of the RTCAN-1D paper: {what}.",
        epilog="Exit status: 0; 1 if some folds failed; 2 for wrong arguments, unreadable data or "
        "an unusable store; 130 after Ctrl-C.",
        formatter_class=HelpFormatter,
    )
    trains = name not in RATINGS_ALONE
    kept = "Finished folds are stored: repeat the same command to resume."
    table.set_defaults(
        run=_reproduce, name=name, interrupted=kept if trains else "Nothing was changed."
    )
    count = {"nargs": "?", "default": "hku956"} if trains else {"nargs": "*", "default": ["hku956"]}
    study = table.add_argument("study", metavar="STUDY", **count)
    study.help = CorporaHelp(
        "studies: %(corpora)s, if you have the files; or the artificial studies generated and "
        "generated-pmemo-size"
    )
    table.add_argument("--path", metavar="DIR", help="original folder or zip of the corpus")
    add_plugins(table, "studies")
    table.add_argument(
        "--people",
        default="evaluation" if trains else "all",
        choices=["evaluation", "development", "all"],
        help="people whose trials are used; evaluation: all except the development people",
    )
    if name != "table1":
        table.add_argument(
            "--seed", type=int, default=0, metavar="N", help="seed of all random numbers"
        )
    if trains:
        _add_training(table, name)
    table.add_argument(
        "--out",
        default="results",
        metavar="DIR",
        help="folder for the Markdown, the rows and the figure; has a subfolder for each study and "
        "table",
    )
    table.add_argument("--json", action="store_true", help="print a line of JSON for each number")


def _add_training(table: argparse.ArgumentParser, name: str) -> None:
    """Add the arguments of the tables with trained models."""
    if name != "figure4":
        table.add_argument(
            "--protocol",
            nargs="+",
            default=["subject"],
            metavar="NAME",
            help="protocols: subject, subject+stimulus, paper, trial (as in the released code), or "
            "another protocol of `edaemo compare`",
        )
    if name in ("table4", "table5"):
        table.add_argument(
            "--signal",
            choices=["eda", "eda+music"],
            default="eda+music" if name == "table4" else None,
            help="input of the networks (table5: also music if the study has it)",
        )
    repeats = 3 if name == "figure4" else 1
    table.add_argument("--folds", type=int, default=10, metavar="K", help="number of folds")
    table.add_argument(
        "--repeats",
        type=int,
        default=repeats,
        metavar="R",
        help="number of repeats; each repeat has different folds, draws of people and seed",
    )
    table.add_argument(
        "--recipe",
        default="default",
        metavar="NAME",
        help="recipe of RTCAN: default, paper, paper-variance, published, published-deap, "
        "published-amigos",
    )
    table.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="epochs of all networks (default: those of the recipe and of the CNN)",
    )
    table.add_argument("--jobs", type=int, default=2, metavar="N", help="number of processes")
    table.add_argument(
        "--store", metavar="FILE", help="file of finished folds (default: results.sqlite in --out)"
    )


def _reproduce(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    try:
        with collect_notes() as notes:
            made, study = _make(arguments)
    except (ValueError, ImportError) as error:  # ValueError: about arguments, data and store
        parser.exit(2, f"edaemo: error: {error}\n")
    _print(made, Path(arguments.out) / safe_name(study) / made.name, as_json=arguments.json)
    for note in notes:
        if arguments.json:
            print(json.dumps({"note": note}))
        else:
            print_text(f"Note: {note}")
    return 1 if made.table["note"].str.contains("folds failed").any() else 0


def _make(arguments: argparse.Namespace) -> tuple[Reproduction, str]:
    """Return the table or figure, and the name of the study or of all studies."""
    from edaemo.reproduction import rtcan

    reproduce = getattr(rtcan, f"reproduce_{arguments.name}")
    if arguments.name in RATINGS_ALONE:
        studies = _load(arguments.study, arguments)
        seed = {} if arguments.name == "table1" else {"random_state": arguments.seed}
        made = reproduce(studies, people=arguments.people, **seed)
        return made, "+".join(study.name for study in studies)
    (study,) = _load([arguments.study], arguments)
    signal = {"signal": arguments.signal} if "signal" in arguments else {}
    return reproduce(study, _read_settings(arguments), **signal), study.name


def _load(names: list[str], arguments: argparse.Namespace) -> list[Bunch]:
    from edaemo.evaluation import STUDIES, find

    import_plugins(arguments.plugin)
    if arguments.path is not None and len(names) > 1:
        raise ValueError(f"--path is for one study, got {len(names)} studies.")
    names = [find(name, STUDIES, "study") for name in names]
    make_folder(Path(arguments.out))
    return [STUDIES[name](arguments.path) for name in names]


def _read_settings(arguments: argparse.Namespace) -> ReproductionSettings:
    from edaemo.reproduction.rtcan import ReproductionSettings

    protocols = {"protocols": tuple(arguments.protocol)} if "protocol" in arguments else {}
    return ReproductionSettings(
        **protocols,
        people=arguments.people,
        n_splits=arguments.folds,
        n_repeats=arguments.repeats,
        recipe=arguments.recipe,
        max_epochs=arguments.epochs,
        n_jobs=arguments.jobs,
        random_state=arguments.seed,
        store=arguments.store or Path(arguments.out) / "results.sqlite",
        progress=True,
    )


def _print(made: Reproduction, place: Path, *, as_json: bool) -> None:
    """Print a table; write it, its rows and, for figure 4, the plot."""
    from edaemo.reproduction.rtcan import format_reproduction

    place.mkdir(parents=True, exist_ok=True)
    text = format_reproduction(made)
    (place / "table.md").write_text(text, encoding="utf-8")
    made.table.to_csv(place / "table.csv", index=False)
    if made.name == "figure4":
        import matplotlib

        from edaemo.inspection import plot_learning_curve, save_figure

        matplotlib.use("Agg")  # figures are written to files only

        save_figure(plot_learning_curve(made)[0, 0], place / "figure.png")
    if as_json:
        for line in made.table.to_json(orient="records", lines=True).splitlines():
            print(f'{{"row": {line}}}')
        for remark in made.remarks:
            print(json.dumps({"remark": remark}))
    else:
        print_text(text)
        print(f"Written to {place}")
