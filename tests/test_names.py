"""A misspelled name leads to the right one, and a name to the model or loss it stands for."""

import pytest

from jaxcmr.names import describe_unknown, did_you_mean, find_named, name_of, table_of


@pytest.mark.parametrize(
    "name, known, sentence",
    [
        ("listlength", ["listLength", "subject"], "Did you mean 'listLength'?"),
        ("sesion", ["session", "subject"], "Did you mean 'session'?"),
        ("xyz", ["b", "a"], "There are: a, b."),
        (3, ["a"], "There are: a."),
        ("a", [], "There are: none."),
    ],
)
def test_the_closest_name_is_given_or_else_all(name, known, sentence):
    assert did_you_mean(name, known) == sentence
    assert describe_unknown("field", name, known) == f"Unknown field {name!r}. {sentence}"


@pytest.mark.parametrize("kind", ["model", "loss"])
def test_a_name_and_what_it_stands_for_lead_to_each_other(kind):
    for name, thing in table_of(kind).items():
        assert find_named(kind, name) is thing
        assert name_of(kind, thing) == name_of(kind, name) == name


def test_callables_and_none_are_not_looked_up():
    assert find_named("model", print) is print
    assert find_named("model", None) is None
    assert name_of("model", print) is None


@pytest.mark.parametrize(
    "thing, message",
    [("cmrr", "Unknown model 'cmrr'. Did you mean 'cmr'"), (3, "by its name .*got 3")],
)
def test_unknown_models_are_errors(thing, message):
    with pytest.raises(ValueError, match=message):
        find_named("model", thing)
