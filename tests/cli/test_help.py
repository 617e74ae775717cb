"""Every command explains itself, with examples that work, and imports little for it."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcmr
from jaxcmr.cli import COMMANDS, main
from jaxcmr.cli._completion import NAMES, commands_of, names_in
from jaxcmr.cli._parsers import FIGURES, make_parser
from jaxcmr.cli._plot import OF_DATA, OF_RESULTS
from jaxcmr.fitting import SEARCHES
from jaxcmr.loss import LOSSES
from jaxcmr.models import MODELS

PAGE = Path(jaxcmr.__file__).parents[1] / "docs" / "how-to" / "command-line.md"


def calls_in(text):
    """Return the words after ``jaxcmr`` of each call in the lines of a text."""
    parts = [part.strip() for line in text.splitlines() for part in line.split(" && ")]
    calls = [re.sub(r" > \S+$", "", part) for part in parts if re.match(r"jaxcmr \w", part)]
    return [shlex.split(call)[1:] for call in calls]


@pytest.fixture
def shown(capsys):
    """Returns what a call prints before it ends."""

    def shown(*arguments):
        with pytest.raises(SystemExit):
            main(arguments)
        return capsys.readouterr().out

    return shown


def test_every_command_has_a_line(shown):
    lines = [line.split() for line in shown("--help").splitlines()]
    assert set(COMMANDS) <= {line[0] for line in lines if line}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_statuses(shown, command):
    """The examples are valid calls of the command."""
    text = shown(command, "--help")
    assert re.search(r"exit status:\n  0 +done\n(  1 .*\n)?  2 .*\n  130 +interrupted", text)
    assert ("  1    done, but with --strict" in text) == ("--strict" in text.split("examples:")[0])
    examples = calls_in(text.split("examples:")[1])
    for words in examples:
        assert make_parser().parse_args(words).command == command
    assert examples
    if command != "completion":
        assert "--json" in text and "--quiet" in text


def test_the_page_shows_every_command():
    """Its examples are valid calls."""
    calls = calls_in(PAGE.read_text(encoding="utf-8"))
    assert {make_parser().parse_args(words).command for words in calls} == set(COMMANDS)


def test_each_figure_of_the_help_can_be_drawn():
    assert set(FIGURES) == {*OF_RESULTS, *OF_DATA, "sweep"}


def test_names_that_are_completed_are_those_that_exist():
    assert names_in("jaxcmr.models", "CATALOGUE") == list(MODELS)
    assert names_in("jaxcmr.loss", "LOSSES") == list(LOSSES)
    assert NAMES["search"] == list(SEARCHES)
    assert len(commands_of(make_parser())) == len(COMMANDS)


@pytest.fixture
def script(capsys, tmp_path):
    """The file with the completion of a shell."""
    pytest.importorskip("shtab")

    def script(shell):
        assert main(["completion", shell]) == 0
        path = tmp_path / f"completion.{shell}"
        path.write_text(capsys.readouterr().out)
        return path

    return script


@pytest.mark.skipif(shutil.which("bash") is None, reason="takes bash")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("jaxcmr sim", {"simulate"}),
        ("jaxcmr models semantic_cmr_", {name for name in MODELS if name[:13] == "semantic_cmr_"}),
        ("jaxcmr fit --loss set", {"set_likelihood"}),
        ("jaxcmr fit --search th", {"thorough"}),
        ("jaxcmr plot --figure restart", {"restarts", "restart_estimates"}),
        ("jaxcmr diagnose --str", {"--strict"}),
    ],
)
def test_bash_completes(script, words, completed):
    path = script("bash")
    code = f"source {path}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
    code += '$(complete -p jaxcmr | sed "s/.*-F \\([^ ]*\\).*/\\1/"); echo "${COMPREPLY[@]}"'
    subprocess.run(["bash", "-n", path], check=True)
    found = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == completed


def test_zsh_has_a_script_too(script):
    text = script("zsh").read_text()
    assert text.startswith("#compdef jaxcmr") and "semantic_cmr_associative" in text
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n", script("zsh")], check=True)


def test_completion_without_its_library_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert 'In your copy of jaxcmr: pip install ".[completion]"' in capsys.readouterr().err


def test_help_and_completion_import_little():
    """They answer at once: without JAX, NumPy or pandas."""
    pytest.importorskip("shtab")
    code = f"""
import sys
from jaxcmr.cli import main
for arguments in (["--help"], ["completion", "bash"], *([c, "--help"] for c in {list(COMMANDS)})):
    try:
        main(arguments)
    except SystemExit:
        pass
assert not {{"jax", "numpy", "pandas"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_stops_is_not_an_error(reader):
    """As in ``jaxcmr models | head``."""
    command = f"{shlex.quote(sys.executable)} -m jaxcmr models | {reader}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
