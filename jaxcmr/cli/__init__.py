"""The command line: ``jaxcmr fit DATA ...`` and ``jaxcmr models`` (see ``--help`` of each)."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcmr._version import __version__
from jaxcmr.cli._config import FITTERS, SETTINGS, complete, read_config
from jaxcmr.cli._run import run
from jaxcmr.loss import LOSSES
from jaxcmr.models import CATALOGUE, MODELS

__all__ = ["main"]

HYPERPARAMETERS = {"best_of": int, "num_steps": int, "pop_size": int, "seed": int}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status (2: a mistake in the request; 130: Ctrl-C)."""
    options = make_parser().parse_args(arguments)
    if options.command == "models":
        print(list_models(options.model))
        return 0
    try:
        config = complete(gather(options))
        return run(config, choose_folder(config, options.out))
    except KeyboardInterrupt:
        print("jaxcmr: interrupted before the search began", file=sys.stderr)
        return 130
    except (ValueError, ImportError, OSError) as error:
        print(f"jaxcmr: error: {error}", file=sys.stderr)
        return 2


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(prog="jaxcmr", description="Fit models of memory search.")
    parser.add_argument("--version", action="version", version=f"jaxcmr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    models = commands.add_parser("models", help="list the models, their parameters and bounds")
    models.add_argument("model", nargs="?", choices=MODELS, metavar="MODEL", help="only this one")
    fit = commands.add_parser(
        "fit",
        help="fit a model to each subject of a data set",
        description="Fit a model to each subject of a data set. Writes config.toml (the complete "
        "configuration), result.json and spc.png.",
    )
    fit.add_argument("data", nargs="?", metavar="DATA", help="HDF5 file or bundled data set")
    fit.add_argument("--model", choices=MODELS, help="default: cmr")
    fit.add_argument("--loss", choices=LOSSES, help="default: sequence_likelihood")
    fit.add_argument("--fitter", choices=FITTERS, help="default: jax")
    fit.add_argument("--precision", choices=("float32", "float64"), help="default: float32")
    fit.add_argument(
        "--subjects",
        type=parse_subjects,
        metavar="all|N|ID,ID,...",
        help="every subject, the first N, or those with these ids (one id: 'ID,'); default: all",
    )
    fit.add_argument("--query", help="trials to use, e.g. \"data['listtype'] == -1\"")
    fit.add_argument(
        "--features", metavar="FILE", help="what the model needs of items: .npy or .csv"
    )
    fit.add_argument(
        "--start-from",
        action="append",
        metavar="RESULT.json",
        help="an earlier run, e.g. of a special case of the model; may be given more than once",
    )
    fit.add_argument("--config", type=Path, metavar="FILE.toml", help="settings; options here win")
    fit.add_argument("--out", type=Path, metavar="DIR", help="default: results/DATA-MODEL-LOSS")
    for name, kind in HYPERPARAMETERS.items():
        flag = f"--{name.replace('_', '-')}"
        fit.add_argument(flag, type=kind, metavar="N", help=f"hyperparameter {name}")
    return parser


def list_models(only: str | None) -> str:
    """The models with their parameters and usual bounds, a parameter a line."""
    lines = []
    for name, model in CATALOGUE.items():
        if only in (None, name):
            lines += [f"{name}: {model.about}"]
            lines += [
                f"    {par:28}{low:>10.4g}{high:>8.4g}" for par, (low, high) in model.bounds.items()
            ]
    return "\n".join(lines)


def parse_subjects(text: str) -> Any:
    """``all``, a number, or a list of ids."""
    if text == "all":
        return text
    if "," in text:
        return [int(subject) for subject in text.split(",") if subject]
    return int(text)


def choose_folder(config: Mapping[str, Any], wanted: Path | None) -> Path:
    """The folder for the results: the one wanted, or one named after the run.

    A run may replace the results of the same run, but not those of another: its folder gets a
    number.

    Raises:
        ValueError: the folder wanted holds the results of another run.
    """

    def is_free(folder: Path) -> bool:
        written = folder / "config.toml"
        return not written.exists() or read_config(written) == config

    if wanted is not None:
        if not is_free(wanted):
            raise ValueError(f"{wanted} holds the results of another run; name another folder.")
        return wanted
    name = f"{Path(config['data']).stem}-{config['model']}-{config['loss']}"
    names = itertools.chain([name], (f"{name}-{i}" for i in itertools.count(2)))
    return next(folder for folder in map(Path("results").joinpath, names) if is_free(folder))


def gather(options: argparse.Namespace) -> dict[str, Any]:
    """Settings of the configuration file, overridden by those of the command line."""
    config = read_config(options.config) if options.config else {}
    for name in SETTINGS:
        value = getattr(options, name)
        if value is not None:
            config[name] = value
    given = {name: getattr(options, name) for name in HYPERPARAMETERS}
    given = {name: value for name, value in given.items() if value is not None}
    config["hyperparameters"] = {**config.get("hyperparameters", {}), **given}
    return config
