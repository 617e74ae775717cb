"""The command line: ``jaxcmr fit DATA ...`` and ``jaxcmr models`` (see ``--help`` of each).

``jaxcmr fit`` is `jaxcmr.fit` and a folder for what it finds: every argument of one is a setting of
the other. What takes long to import is imported when a command needs it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxcmr._version import __version__

__all__ = ["main"]

HYPERPARAMETERS = {"best_of": int, "num_steps": int, "pop_size": int}
"""Hyperparameters of the search with an option of their own."""

VALUES = (
    "data",
    "model",
    "loss",
    "where",
    "subjects",
    "pooled",
    "features",
    "fitter",
    "precision",
    "seed",
    "start_from",
    "progress",
)
TABLES = ("fixed", "bounds", "loss_options")

EXAMPLES = """\
examples:
  jaxcmr fit peers_notask --subjects 5
  jaxcmr fit mystudy.csv --where "list > 1" --model cru --search quick
  jaxcmr fit --config results/mystudy-cmr-sequence_likelihood/config.toml --out again
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (2: a mistake in the request; 130: Ctrl-C)."""
    options = make_parser().parse_args(arguments)
    try:
        if options.command == "models":
            print(list_models(options.model))
            return 0
        from jaxcmr.cli._run import run

        return run(gather(options), options.out)
    except KeyboardInterrupt:
        print("jaxcmr: interrupted before the search began", file=sys.stderr)
        return 130
    except (ValueError, ImportError, OSError) as error:
        print(f"jaxcmr: error: {error}", file=sys.stderr)
        return 2


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="jaxcmr", description="Fit models of memory search.")
    parser.add_argument("--version", action="version", version=f"jaxcmr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    models = commands.add_parser("models", help="list the models, their parameters and bounds")
    models.add_argument("model", nargs="?", metavar="MODEL", help="only this one")
    fit = commands.add_parser(
        "fit",
        help="fit a model to each subject of a data set",
        description="Fit a model to each subject of a data set. Writes config.toml (the complete "
        "configuration), result.json and spc.png.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(fit)
    fit.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; options here win")
    fit.add_argument("--out", type=Path, metavar="DIR", help="default: results/DATA-MODEL-LOSS")
    return parser


def add_settings(fit: argparse.ArgumentParser) -> None:
    """Add the arguments of `jaxcmr.fit` as options. What is not given is left out."""
    add = fit.add_argument
    add("data", nargs="?", metavar="DATA", help="an .h5 file, a .csv in psifr's form, or the name "
        "of a bundled data set")  # fmt: skip
    add("--model", help="see 'jaxcmr models'; default: cmr")
    add("--loss", help="default: sequence_likelihood")
    add("--loss-option", action="append", metavar="NAME=VALUE", dest="loss_options",
        help="option of the loss")  # fmt: skip
    add("--where", "--query", metavar="CONDITION", help='trials to use, e.g. "listtype == -1"')
    add("--subjects", type=parse_subjects, metavar="all|N|ID,ID,...", help="every subject, the "
        "first N, or those with these ids (one id: 'ID,'); default: all")  # fmt: skip
    add(
        "--pooled", action=argparse.BooleanOptionalAction, help="one parameter set for all subjects"
    )
    add("--fixed", action="append", metavar="NAME=VALUE", help="hold a parameter at a value")
    add("--bounds", action="append", metavar="NAME=LOW:HIGH", help="bounds of a parameter")
    add("--features", metavar="FILE", help="what the model needs of items: .npy or .csv")
    add("--search", help="thorough (default), quick or classic")
    for name, kind in HYPERPARAMETERS.items():
        flag = f"--{name.replace('_', '-')}"
        add(flag, type=kind, metavar="N", help=f"hyperparameter {name} of the search")
    add("--fitter", help="jax (default) or scipy")
    add("--precision", help="float32 (default) or float64, of the search")
    add("--seed", type=int, metavar="N", help="of all randomness; default: 0")
    add("--start-from", action="append", metavar="RESULT.json", help="an earlier run, e.g. of a "
        "special case of the model; may be given more than once")  # fmt: skip
    add("--progress", action=argparse.BooleanOptionalAction, help="show a bar (default)")


def gather(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the configuration file, overridden by those of the command line."""
    from jaxcmr.cli._config import read_config

    config = read_config(options.config) if options.config else {}
    if options.data is not None:
        config.pop("data_fingerprint", None)  # of other data
    for name in VALUES:
        if getattr(options, name) is not None:
            config[name] = getattr(options, name)
    for name in TABLES:
        pairs = [parse_pair(name, text) for text in getattr(options, name) or []]
        if pairs:
            config[name] = {**config.get(name, {}), **dict(pairs)}
    search = config.get("search", {})
    search = {"preset": search} if isinstance(search, str) else dict(search)
    if options.search is not None:
        search = {"preset": options.search}
    given = {name: getattr(options, name) for name in HYPERPARAMETERS}
    search.update({name: value for name, value in given.items() if value is not None})
    if search:
        config["search"] = search
    return config


def parse_pair(table: str, text: str) -> tuple[str, Any]:
    """Return name and value of ``NAME=VALUE``; a value ``LOW:HIGH`` is two numbers."""
    name, is_pair, value = text.partition("=")
    if not is_pair:
        raise ValueError(f"--{table.replace('_', '-')} takes NAME=VALUE; got '{text}'.")
    numbers = [parse_value(part) for part in value.split(":")]
    return name.strip(), numbers if table == "bounds" else numbers[0]


def parse_value(text: str) -> Any:
    """Return a number, or the text if it is not one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_subjects(text: str) -> Any:
    """Return ``all``, a number, or a list of ids."""
    if text == "all":
        return text
    if "," in text:
        return [int(subject) for subject in text.split(",") if subject]
    return int(text)


def list_models(only: str | None) -> str:
    """Return the models with their parameters and usual bounds, a line per parameter."""
    from jaxcmr.models import CATALOGUE
    from jaxcmr.names import find_named

    if only is not None:
        find_named("model", only)
    lines = []
    for name, model in CATALOGUE.items():
        if only in (None, name):
            lines += [f"{name}: {model.about}"]
            lines += [
                f"    {each.name:26}{each.symbol:>9}{each.low:>10.2g}{each.high:>8.4g}"
                f"  {each.meaning if only else ''}".rstrip()
                for each in model.parameters
            ]
    return "\n".join(lines)
