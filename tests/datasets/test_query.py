"""A condition in a string selects the trials that NumPy would, and can do nothing else."""

import numpy as np
import pytest

from jaxcmr.datasets import generate_trial_mask

DATA = {
    "subject": np.array([[1], [1], [2], [3]]),
    "session": np.array([[1], [2], [3], [-1]]),
    "recalls": np.array([[2, 1, 0], [3, 2, 1], [0, 0, 0], [1, 0, 0]]),
    "pass": np.array([[True], [False], [True], [True]]),
    "age": np.array([20.5, 20.5, np.nan, 33.0]),
}

# Each condition with the trials that meet it, by hand from the table above.
CONDITIONS = {
    "data['session'] == -1": [3],
    'data["session"] != -1': [0, 1, 2],
    "session == -1": [3],
    "  session >= 2\n": [1, 2],
    "1 <= session < 3": [0, 1],
    "1 < session < 3 != subject": [1],
    "age > 20": [0, 1, 3],
    "age == 20.5": [0, 1],
    "data['pass']": [0, 2, 3],
    "~data['pass']": [1],
    "data['pass'] == True": [0, 2, 3],
    "(subject == 1) & (session == 2)": [1],
    "(subject == 1) | (session == 3)": [0, 1, 2],
    "(subject == 1) ^ (session == 2)": [0],
    "~(subject == 1)": [2, 3],
    "subject == 1 and session == 2": [1],
    "subject == 2 or session == 1 or session == -1": [0, 2, 3],
    "subject == 1 and session == 2 or subject == 3": [1, 3],
    "not subject == 1": [2, 3],
    "subject in [1, 3]": [0, 1, 3],
    "subject not in (1, 3)": [2],
    "session in [-1, +2]": [1, 3],
    "subject in []": [],
    "np.isin(data['subject'], [1, 2])": [0, 1, 2],
    "np.logical_and(subject == 1, session == 1)": [0],
    "np.logical_or(subject == 2, session == 1)": [0, 2],
    "np.logical_xor(subject == 1, session == 2)": [0],
    "np.logical_not(subject == 1)": [2, 3],
    "session + subject == 3": [1],
    "session - 1 == subject": [1, 2],
    "2 * session - subject >= 3": [1, 2],
    "session / 2 == 0.5": [0],
    "session // 2 == 1": [1, 2],
    "session % 2 == 1": [0, 2, 3],
    "-session > 0": [3],
    "(subject == 1) + (session == 2) == 1": [0],
    "data['pass'] + 1 == 2": [0, 2, 3],
    "-data['pass'] == -1": [0, 2, 3],
    "data['pass'] - (subject == 1) == -1": [1],
    "data['recalls'][:, 0] == 3": [1],
    "recalls[:, -1] > 0": [1],
    "recalls[:, 0] > recalls[:, 1]": [0, 1, 3],
    "recalls[:, 0] == session + 1": [0, 1],
    "recalls[:, 1:2] == subject": [0],
    "recalls[:, ::-1][:, 0] == 1": [1],
}


def trials(query):
    return np.flatnonzero(generate_trial_mask(DATA, query)).tolist()


@pytest.mark.parametrize("query, expected", CONDITIONS.items())
def test_a_condition_selects_the_trials_that_meet_it(query, expected):
    """Catches swapped operators, wrong pairs in chains, and columns that broadcast against fields
    to (trials, trials)."""
    assert trials(query) == expected


MIXED = [
    "(subject == 1) | (session == 3) & (age > 30)",
    "~(subject == 1) ^ (session >= 2) | data['pass']",
    "session - subject - 1 == -1",
    "session * 2 - subject // 2 % 2 >= 1",
    "-session // 2 == -1",
    "(data['pass'] == (session > 1)) & ~(subject != 1)",
]


@pytest.mark.parametrize("query", MIXED)
def test_python_agrees_on_what_both_can_read(query):
    """Precedence, association and floor division are Python's own: Python is the oracle."""
    fields = {name: array.reshape(4, -1) for name, array in DATA.items()}
    assert trials(query) == np.flatnonzero(eval(query, {"data": fields, **fields})).tolist()


HOSTILE = [
    "__import__('os').system('touch pwned')",
    "open('pwned', 'w')",
    "eval('1')",
    "exec('x = 1')",
    "print(subject)",
    "data.__class__",
    "data.__class__.__mro__[1].__subclasses__()",
    "data['subject'].tofile('pwned')",
    "data['subject'].__class__",
    "np.__loader__",
    "np.load('pwned')",
    "np.lib",
    "np",
    "np.isin(subject, np.load('pwned'))",
    "np.isin(subject, [1], invert=True)",
    "np.isin(*[subject, [1]])",
    "np.isin(subject, **{'test_elements': [1]})",
    "np.isin(subject)",
    "np.logical_not(subject == 1, out=data['pass'])",
    "np['isin'](subject, [1])",
    "np.isin.__call__(subject, [1])",
    "(np.isin)(subject, [1])[0]",
    "numpy.isin(subject, [1])",
    "getattr(data, 'pop')('subject')",
    "data.pop('subject')",
    "lambda: 1",
    "(lambda: True)()",
    "[x for x in data]",
    "{x for x in data}",
    "{x: 1 for x in data}",
    "any(x for x in subject)",
    "{'a': 1}",
    "{1, 2}",
    "[True, False, True, True]",
    "(True, False, True, True)",
    "f'{data}'",
    "f\"{__import__('os')}\"",
    "(y := subject) == 1",
    "subject == 1 if True else subject == 2",
    "await subject",
    "yield subject",
    "*subject",
    "subject = 1",
    "import os",
    "subject == 1; import os",
    "subject == 1\nimport os",
    "del data",
    "assert False",
    "'subject'",
    "b'subject'",
    "None",
    "...",
    "1j",
    "subject == 'a'",
    "subject == None",
    "subject is 1",
    "subject is not 1",
    "subject == [1, 2]",
    "subject in 1",
    "subject in session",
    "subject in 'abc'",
    "subject in [session]",
    "subject in [[1]]",
    "subject in [1, *range(9)]",
    "subject in range(3)",
    "1 in subject",
    "subject in [1] in [True]",
    "subject ** 2 == 1",
    "9 ** 9 ** 9",
    "1 << 99999999 == subject",
    "subject >> 1 == 0",
    "subject @ subject == 1",
    "[1] * 999999999",
    "'a' * 999999999",
    "99999999999999999999 * subject == 1",
    "1 / 0 == subject",
    "data",
    "data['subject', 'session']",
    "data[0]",
    "data[subject]",
    "data['sub' + 'ject']",
    "data[f'subject']",
    "recalls[0]",
    "recalls[0, 0] == 1",
    "recalls[:2, 0] == 1",
    "recalls[:, subject] == 1",
    "recalls[:, 'a'] == 1",
    "recalls[:, 1.0] == 1",
    "recalls[:, True] == 1",
    "subject[:, True] == 1",
    "recalls[:, :1.0] == 1",
    "recalls[:, None] == 1",
    "recalls[:, 3] == 1",
    "recalls[:, ::0] == 1",
    "recalls[:, 0, 0] == 1",
    "recalls[..., 0] == 1",
    "recalls[recalls > 0]",
    "(recalls + 1)[:, 0] == 1",
    "recalls + subject[:, :0] == 1",
    "",
    "   ",
    "subject ==",
    "subject == 1)",
    "subject \0 == 1",
    "# subject == 1",
    "subject == 1 & session == 2",
    "subject and session",
    "not subject",
    "~subject == -2",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_anything_but_a_condition_is_an_error(query, tmp_path, monkeypatch):
    """Queries come from notebooks, files and command lines. Anything outside the grammar is an
    error before anything runs, with the grammar in the message. The usual slips (``&`` without
    parentheses, a bare field for a condition) are errors, too, not other conditions."""
    monkeypatch.chdir(tmp_path)
    before = {name: array.copy() for name, array in DATA.items()}
    with pytest.raises(ValueError, match="Allowed are fields"):
        generate_trial_mask(DATA, query)
    assert list(tmp_path.iterdir()) == []
    assert DATA.keys() == before.keys()
    for name, array in DATA.items():
        np.testing.assert_array_equal(array, before[name])


ENDLESS = [
    "-" * 9_999 + "1",
    "not " * 2_000 + "data['pass']",
    "(" * 9_000,
    "[" * 9_000,
    "subject" + " + 1" * 2_400 + " > 1",
    "recalls" + "[:, :]" * 1_600,
    "subject == 1" + " " * 10_000,
]


@pytest.mark.parametrize("query", ENDLESS, ids=lambda query: query[:12])
def test_a_huge_query_is_an_error(query):
    """Uncaught, deep nesting would end in a RecursionError or worse."""
    with pytest.raises(ValueError, match=r"[Tt]he query"):
        generate_trial_mask(DATA, query)


def test_a_field_of_three_axes_is_an_error():
    """(trials, 1, 2) against (trials, 1) would broadcast to trials by trials."""
    with pytest.raises(ValueError, match=r"'deep' has shape \(4, 1, 2\)"):
        generate_trial_mask(DATA | {"deep": np.zeros((4, 1, 2))}, "deep == subject")


def test_nested_comparisons_are_evaluated_once():
    """Twice would double the work at each of 60 levels."""
    query = "True"
    for _ in range(60):
        query = f"(False < {query} <= True)"
    assert trials(f"data['pass'] == {query}") == [0, 2, 3]


def test_the_message_shows_the_query_the_part_and_the_closest_field():
    with pytest.raises(ValueError, match=r"'sesion == 1': Unknown field 'sesion'.*'session'\?"):
        generate_trial_mask(DATA, "sesion == 1")
    with pytest.raises(ValueError, match=r"Unknown field 'SUBJECT'.*'subject'"):
        generate_trial_mask(DATA, "data['SUBJECT'] == 1")
    with pytest.raises(ValueError, match=r"'session\*\*2' uses an operator"):
        generate_trial_mask(DATA, "subject == session**2")
    with pytest.raises(ValueError, match=r"'1 & session' joins .*put \( \) around"):
        generate_trial_mask(DATA, "subject == 1 & session == 2")
