"""`__init__` made of fields: what scikit-learn reads parameters off."""

import inspect
from dataclasses import field
from typing import Any, ClassVar

import pytest
from sklearn.base import BaseEstimator, clone

from sktransfer.deep._parameters import parameters


@parameters
class Training:
    _parameter_constraints: ClassVar[dict[str, list[object]]] = {"rate": ["positive"]}

    rate: float = 0.1


@parameters
class Base(Training, BaseEstimator):
    _parameter_constraints: ClassVar[dict[str, list[object]]] = {"body": [None]}

    body: Any = field(default=None, kw_only=False)
    learned: ClassVar[int] = 3


@parameters
class Adversary:
    _parameter_constraints: ClassVar[dict[str, list[object]]] = {"penalty": ["number"]}

    penalty: float = 5.0


@parameters
class Method(Adversary, Base):
    rate: float = 0.5


def test_a_class_has_the_parameters_of_all_its_bases_and_its_own_defaults():
    assert Method().get_params() == {"body": None, "penalty": 5.0, "rate": 0.5}
    assert Base().get_params() == {"body": None, "rate": 0.1}


def test_constraints_of_the_bases_are_joined():
    assert Method._parameter_constraints == {
        "rate": ["positive"],
        "body": [None],
        "penalty": ["number"],
    }


def test_each_argument_stands_in_the_signature_and_only_the_first_goes_without_name():
    kinds = {name: p.kind for name, p in inspect.signature(Method).parameters.items()}
    assert kinds.pop("body") is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(TypeError, match="colour"):
        Method(colour=1)


def test_init_assigns_what_it_is_given_itself():
    body = [1]
    assert vars(Method(body, rate=2)) == {"body": body, "rate": 2, "penalty": 5.0}
    assert Method(body).body is body


def test_estimators_are_equal_by_identity_and_show_what_was_changed():
    assert Method() != Method()
    assert repr(clone(Method(rate=2))) == "Method(rate=2)"


def test_help_shows_what_a_method_adds_first_and_what_all_share_last():
    assert list(inspect.signature(Method).parameters) == ["body", "penalty", "rate"]


def test_an_argument_that_is_no_parameter_names_the_class_asked_for_and_what_was_meant():
    class Final(Method):  # which makes no __init__ of its own
        pass

    with pytest.raises(TypeError, match=r"^Final\(\) got .* 'penalties'\. Did you mean penalty=\?"):
        Final(penalties=1)
    with pytest.raises(TypeError, match=r"^Method\(\) got .* 'colour'\. It takes .*penalty, "):
        Method(colour=1)
    assert Final(rate=2.0).get_params() == {"body": None, "penalty": 5.0, "rate": 2.0}
    assert inspect.signature(Final) == inspect.signature(Method)
