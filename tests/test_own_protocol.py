"""A protocol that is defined here, outside the package, goes wherever the package's own go."""

import inspect

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from edaemo.benchmark import ResultStore, audit, evaluate, load_predictions
from edaemo.cli import main
from edaemo.datasets import load_induced_stress
from edaemo.evaluation._audit import leaks
from edaemo.model_selection import (
    PROTOCOLS,
    FewerPeople,
    FewerTrainingPeople,
    Protocol,
    SubjectKFold,
    make_protocol,
    register_protocol,
    share_of,
)
from edaemo.report import write_report


class EveryOtherPerson(Protocol):
    """Hold out every other person, in the order of their names."""

    name = "every-other"
    summary = "hold out every other person"
    may_share = frozenset({"stimulus"})
    warning = "is made for a test"
    uses = {"subject": True}  # noqa: RUF012
    unit = "subject"

    @classmethod
    def make(cls, n_splits, random_state):
        return cls()

    @classmethod
    def n_splits_of(cls, n_folds, n_people):
        return None

    def inner(self, n_splits):
        return SubjectKFold(n_splits)

    def folds(self, trials):
        odd = trials.people % 2 == 1
        return [
            (np.flatnonzero(~odd), np.flatnonzero(odd)),
            (odd.nonzero()[0], (~odd).nonzero()[0]),
        ]


@pytest.fixture
def registered():
    register_protocol(EveryOtherPerson)
    yield
    PROTOCOLS.pop("every-other")


@pytest.fixture(scope="module")
def study():
    return load_induced_stress()


def test_it_is_made_by_name_and_splits(registered):
    protocol = make_protocol("every-other", 7, 3)
    folds = list(protocol.split([0] * 6, subject=["d", "a", "b", "b", "c", "a"]))
    assert [part.tolist() for fold in folds for part in fold] == [
        [1, 4, 5],  # a and c
        [0, 2, 3],
        [0, 2, 3],
        [1, 4, 5],
    ]
    with pytest.raises(ValueError, match="EveryOtherPerson needs to know the subject"):
        next(protocol.split([0] * 6))
    with pytest.raises(ValueError, match="did you mean 'every-other'"):
        make_protocol("every-othr")


def test_scikit_learn_and_searches_take_it():
    X, y = make_classification(60, random_state=0)
    people = np.repeat(np.arange(6), 10)
    model = LogisticRegression()
    assert len(cross_val_score(model, X, y, groups=people, cv=EveryOtherPerson())) == 2
    search = GridSearchCV(model, {"C": [0.1, 1]}, cv=EveryOtherPerson())
    assert search.fit(X, y, groups=people).n_splits_ == 2


def test_audit_counts_what_it_announces(study):
    table = audit(EveryOtherPerson(), study.trials, study.targets["task"])
    assert len(table) == 2
    assert (table["subjects_shared"] == 0).all()
    assert (table["stimuli_shared"] > 0).all()
    assert leaks(table, EveryOtherPerson.may_share) == []
    assert len(leaks(table, ())) == 2


def test_folds_are_stored_with_what_it_shares_and_reported(study, registered, tmp_path):
    store = tmp_path / "results.sqlite"
    table = evaluate(
        ["logistic-eda"], study, "task", "every-other", n_splits=3, n_jobs=1, store=store
    )
    assert set(table["protocol"]) == {"every-other"}
    assert set(table["warning"]) == {"is made for a test"}
    with ResultStore(store) as opened:
        folds = opened.folds()
    assert folds["fold"].nunique() == 2
    assert all(about["may_share"] == ["stimulus"] for about in folds["audit"])
    assert all(about["share"] is None for about in folds["audit"])
    subjects = sorted(set().union(*folds["test_subjects"]))  # those who are not development people
    assert len(subjects) > 10
    assert {tuple(sorted(people)) for people in folds["test_subjects"]} == {
        tuple(subjects[::2]),
        tuple(subjects[1::2]),
    }
    n_trials = study.trials["subject"].isin(subjects).sum()
    assert len(load_predictions(store).query("pipeline == 'logistic-eda'")) == n_trials
    write_report(store, tmp_path)
    page = (tmp_path / "tables.md").read_text()
    assert "Protocol every-other: hold out every other person." in page
    command = next(line for line in page.splitlines() if "--protocol every-other" in line)
    assert "--folds" not in command


def test_compare_knows_it_from_a_plugin(tmp_path, monkeypatch, capsys):
    source = inspect.getsource(EveryOtherPerson)
    (tmp_path / "every_other.py").write_text(
        "import numpy as np\n"
        "from edaemo.model_selection import Protocol, SubjectKFold, register_protocol\n\n\n"
        f"@register_protocol\n{source}"
    )
    monkeypatch.chdir(tmp_path)
    arguments = ["induced-stress", "--target", "task", "--pipelines", "trial-order", "--jobs", "1"]
    asked = ["compare", *arguments, "--protocol", "every-other", "--out", "here"]
    with pytest.raises(SystemExit):
        main(asked)
    assert "Unknown protocol 'every-other'" in capsys.readouterr().err
    try:
        assert main([*asked, "--plugin", "every_other"]) == 0
    finally:
        PROTOCOLS.pop("every-other", None)
    assert "protocol every-other, 2 folds" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "here" / "induced-stress" / "task" / "every-other" / "table.csv")
    assert set(table["protocol"]) == {"every-other"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "subject"}, "A protocol 'subject' is already registered"),
        ({"may_share": {"song"}}, r"may_share holds \['song'\]: allowed are"),
        ({"uses": {"session": True}}, r"uses holds \['session'\]"),
    ],
)
def test_what_is_no_protocol_is_refused(changes, message):
    before = dict(PROTOCOLS)
    with pytest.raises(ValueError, match=message):
        register_protocol(type("Odd", (EveryOtherPerson,), changes))
    with pytest.raises(ValueError, match="must be a subclass of Protocol"):
        register_protocol(EveryOtherPerson())
    with pytest.raises(ValueError, match="Bare has no attribute name"):
        register_protocol(type("Bare", (Protocol,), {}))
    assert before == PROTOCOLS


def test_share_is_read_from_what_is_stored_and_from_the_name_of_older_folds():
    for protocol, expected in [
        (FewerPeople("trial", percent=40), ("trial", 40, "of the people")),
        (FewerTrainingPeople(percent=12.5), ("subject", 12.5, "of the training people")),
    ]:
        assert protocol.share == expected
        assert share_of({"share": protocol.share._asdict()}, "whatever") == expected
        assert share_of({}, protocol.name) == expected
    assert share_of({"share": None}, "subject, 40 % of the people") is None
    assert share_of(None, "subject") is None


def test_registered_protocols_are_made_with_the_folds_and_seed_that_are_asked_for():
    assert_array_equal(
        [getattr(make_protocol(name, 4, 9), "n_splits", None) for name in PROTOCOLS],
        [4, None, 4, 4, 4, 4, 10, 4, None, None],
    )
    assert_array_equal(
        [getattr(make_protocol(name, 4, 9), "random_state", None) for name in PROTOCOLS],
        [9, None, 9, 9, 9, 9, 9, 9, None, None],
    )
