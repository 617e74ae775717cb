"""The command line: ``jaxcmr fit DATA ...`` and other commands (see ``jaxcmr --help``).

``jaxcmr fit`` is `jaxcmr.fit` with a folder for the results: every argument of one is a setting of
the other. Modules that take long to import are imported when a command needs them.
"""

from __future__ import annotations

import argparse
import gc
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from jaxcmr._version import __version__

if TYPE_CHECKING:
    from jaxcmr.models import NamedModel

__all__ = ["main"]

HYPERPARAMETERS = {
    "best_of": "independent searches per subject, of which the best is kept",
    "num_steps": "most generations of a search",
    "pop_size": "members of a population per free parameter",
}
"""Hyperparameters of the search that have an option of their own, with its help."""

VALUES = (
    "data",
    "model",
    "loss",
    "where",
    "subjects",
    "pooled",
    "features",
    "similarities",
    "distances",
    "fitter",
    "precision",
    "seed",
    "start_from",
    "progress",
)
"""Settings with one value."""

TABLES = ("fixed", "bounds", "loss_options")
"""Settings with a value per name."""

INTERRUPTED = {
    "fit": "interrupted before the search began",
    "diagnose": "interrupted",
    "models": "interrupted",
    "report": "interrupted",
}
"""What Ctrl-C is answered with, by command."""

WIDTH = 100
"""Most characters of a printed line."""

MANY_OBJECTS = 100_000
"""New objects after which Python looks for those that can be deleted; 700 by default."""

EXAMPLES = """\
examples:
  jaxcmr fit peers_notask --subjects 5
  jaxcmr fit mystudy.csv --where "list > 1" --model cru --search quick
  jaxcmr fit --config results/mystudy-cmr-sequence_likelihood/config.toml --out again

exit status:
  0    done
  1    done, but with --strict: not every fit is trustworthy
  2    a mistake in the settings; nothing was fitted
  130  interrupted
"""

DIAGNOSE_EXAMPLES = """\
examples:
  jaxcmr diagnose results/peers_notask-cmr-sequence_likelihood
  jaxcmr diagnose results/* --quick --strict
  jaxcmr diagnose fits/result.json --data mystudy.csv

exit status:
  0    done
  1    done, but with --strict: not every fit is trustworthy
  2    a mistake in the arguments, or data other than those fitted
  130  interrupted
"""

REPORT_EXAMPLES = """\
examples:
  jaxcmr report results/peers_notask-cmr-sequence_likelihood
  jaxcmr report results/* --out all.html --title "Three models of the PEERS lists"
  jaxcmr report fits/result.json --data mystudy.csv

exit status:
  0    done
  2    a mistake in the arguments, or data other than those fitted
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: words after ``jaxcmr``; by default those that the shell gave.

    Returns:
        0; 1 if fits are not trustworthy, with ``--strict``; 2 for a mistake in the arguments; 130
        after Ctrl-C.

    >>> main(["models", "cru"])  # doctest: +ELLIPSIS
    cru: CRU: CMR without its associations, free recall
        encoding_drift_rate ... 2.2e-16 to 1
            How far context moves ...
    0
    """
    options = make_parser().parse_args(arguments)
    try:
        if options.command == "models":
            print(list_models(options.model))
            return 0
        if options.command in ("check", "convert"):
            from jaxcmr.cli import _data

            return _data.run(options)
        with rare_collections():
            if options.command == "diagnose":
                from jaxcmr.cli._diagnose import diagnose_folders

                return diagnose_folders(options)
            if options.command == "report":
                from jaxcmr.cli._report import report_folders

                return report_folders(options)
            from jaxcmr.cli._run import run

            return run(gather_settings(options), options.out, options.strict)
    except KeyboardInterrupt:
        print(f"jaxcmr: {INTERRUPTED[options.command]}", file=sys.stderr)
        return 130
    except (ValueError, ImportError, OSError) as error:
        print(f"jaxcmr: error: {error}", file=sys.stderr)
        return 2


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python look less often for objects that only refer to each other.

    Importing and tracing make hundreds of thousands of objects, of which nearly all are kept: to
    look through them again and again takes a tenth of the time to the first fit.
    """
    before = gc.get_threshold()
    gc.set_threshold(MANY_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="jaxcmr", description="Fit models of memory search.")
    parser.add_argument("--version", action="version", version=f"jaxcmr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    models = commands.add_parser(
        "models",
        help="list the models, their parameters and usual bounds",
        description="List the models with symbol and usual bounds of each parameter. With the name "
        "of a model, also what each of its parameters means.",
    )
    models.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="show only this model, with what its parameters mean",
    )
    fit = commands.add_parser(
        "fit",
        help="fit a model to each subject of a data set",
        description="Fit a model to each subject of a data set. Writes the estimates\n"
        "(result.json), the complete settings (config.toml), and first recalls,\n"
        "lag-CRP and serial position curve of data and model (fit.png) into a folder.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(fit)
    fit.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="a file of settings; options given here override it",
    )
    fit.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the results; default: results/DATA-MODEL-LOSS",
    )
    add_strict(fit)
    diagnose = commands.add_parser(
        "diagnose",
        help="tell how far fits can be trusted",
        description="Check each fit of a result: whether its runs agree, which estimates are on\n"
        "bounds or undetermined, and whether it predicts the subject's recall. Writes all\n"
        "checks (diagnostics.csv, diagnostics.json) beside the result, and prints the ten\n"
        "worst.",
        epilog=DIAGNOSE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_diagnose(diagnose)
    report = commands.add_parser(
        "report",
        help="write results into one HTML file",
        description="Write a report of one result or several: one HTML file that needs no\n"
        "network, with a verdict, methods to paste, figures of data and model, tables, and code\n"
        "that repeats the fit. Its numbers go into a JSON file beside it.",
        epilog=REPORT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_report(report)
    add_data_commands(commands)
    return parser


def add_strict(command: argparse.ArgumentParser) -> None:
    """Add the option that makes doubtful fits an error."""
    command.add_argument(
        "--strict",
        action="store_true",
        help="exit with status 1 unless runs of every fit agree, and no check of the search fails",
    )


def add_sources(command: argparse.ArgumentParser) -> None:
    """Add the options that say what was fitted, where no settings beside the result do."""
    add = command.add_argument
    add("--data", metavar="DATA", help="the data that were fitted; default: those that config.toml "
        "beside the result names")  # fmt: skip
    for name in ("features", "similarities", "distances"):
        add(f"--{name}", metavar="FILE", help=f"the {name} that were fitted; default: as for "
            "--data")  # fmt: skip


def add_diagnose(diagnose: argparse.ArgumentParser) -> None:
    """Add the arguments of ``jaxcmr diagnose``."""
    add = diagnose.add_argument
    add("results", nargs="+", type=Path, metavar="RESULT", help="a folder of 'jaxcmr fit', or a "
        "result in .json")  # fmt: skip
    add_sources(diagnose)
    add("--quick", action="store_true", help="make only the checks that need no data: no curvature "
        "and no simulation")  # fmt: skip
    add("--copies", type=int, default=100, metavar="N", help="simulated recalls of each list; "
        "default: 100")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="seed of the simulation; default: 0")
    add("--json", action="store_true", help="print the content of diagnostics.json instead")
    add("--quiet", action="store_true", help="print nothing")
    add_strict(diagnose)


def add_report(report: argparse.ArgumentParser) -> None:
    """Add the arguments of ``jaxcmr report``."""
    add = report.add_argument
    add("results", nargs="+", type=Path, metavar="FOLDER", help="a folder of 'jaxcmr fit', or a "
        "result in .json")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="the file to write; default: report.html in the "
        "first folder")  # fmt: skip
    add_sources(report)
    add("--no-data", action="store_true", help="report without the data: no curves, and only the "
        "checks that need none")  # fmt: skip
    add("--no-curvature", action="store_true", help="do not compute the loss around the estimates, "
        "for a faster report with fewer checks")  # fmt: skip
    add("--title", default="Report of fits", metavar="TEXT", help="heading of the report")
    add("--copies", type=int, default=100, metavar="N", help="simulated recalls of each list; "
        "default: 100")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="seed of the simulation; default: 0")
    add("--json", action="store_true", help="print the content of the JSON file instead")
    add("--quiet", action="store_true", help="print nothing")


def add_data_commands(commands: Any) -> None:
    """Add ``check`` and ``convert`` to the commands of the parser."""
    source = (
        "an .h5, .csv, .tsv, .mat or .json file, a BIDS folder, or the name of a bundled data set"
    )
    check = commands.add_parser(
        "check",
        help="say what a data set holds",
        description="Read data as jaxcmr fit does and print subjects, lists, their lengths, "
        "recalls, intrusions, repeats, and which fields were kept or dropped. Exits with 2 "
        "if the data are invalid.",
    )
    check.add_argument("data", metavar="DATA", help=source)
    convert = commands.add_parser(
        "convert",
        help="write a data set as .h5, or as a psifr table",
        description="Read data of any format and write them as .h5, or as a psifr table in .csv or "
        ".tsv, by the suffix of OUT.",
    )
    convert.add_argument("data", metavar="IN", help=source)
    convert.add_argument("out", metavar="OUT", help="an .h5, .csv or .tsv file")
    convert.add_argument("--force", action="store_true", help="replace OUT if it exists")


def add_settings(fit: argparse.ArgumentParser) -> None:
    """Add the arguments of `jaxcmr.fit` as options. Options that are not given are None."""
    add = fit.add_argument
    add("data", nargs="?", metavar="DATA", help="an .h5 file, a .csv file in psifr's format, or "
        "the name of a bundled data set")  # fmt: skip
    add("--model", metavar="NAME", help="model to fit ('jaxcmr models' lists them); default: cmr")
    add("--loss", metavar="NAME", help="loss to minimize; default: sequence_likelihood")
    add("--loss-option", action="append", metavar="NAME=VALUE", dest="loss_options",
        help="an option of the loss, e.g. events=recalls; may be repeated")  # fmt: skip
    add("--where", "--query", metavar="CONDITION", help='trials to fit, e.g. "listtype == -1"; '
        "default: all")  # fmt: skip
    add("--subjects", type=parse_subjects, metavar="all|N|ID,ID,...", help="every subject, the "
        "first N, or those with these ids (one id: 'ID,'); default: all")  # fmt: skip
    add("--pooled", action=argparse.BooleanOptionalAction, help="fit one parameter set to the "
        "trials of all subjects; default: one per subject")  # fmt: skip
    add("--fixed", action="append", metavar="NAME=VALUE", help="hold a parameter at a value; may "
        "be repeated")  # fmt: skip
    add("--bounds", action="append", metavar="NAME=LOW:HIGH", help="bounds of a parameter, in "
        "place of its usual ones; may be repeated")  # fmt: skip
    add("--features", metavar="FILE", help="features of the items, such as word vectors, "
        "for models that need them: .npy, or .csv of numbers, or .csv with the words in its first "
        "column and a header")  # fmt: skip
    add("--similarities", metavar="FILE", help="similarity of each pair of words, in place of "
        "features")  # fmt: skip
    add("--distances", metavar="FILE", help="in place of similarities, which are 1 - distance")
    add("--search", metavar="NAME", help="thorough (default), quick or classic")
    for name, meaning in HYPERPARAMETERS.items():
        add(f"--{name.replace('_', '-')}", type=int, metavar="N", help=meaning)
    add("--fitter", metavar="NAME", help="jax (default), or scipy to cross-check a fit")
    add("--precision", metavar="NAME", help="of the search: float32 (default) or float64")
    add("--seed", type=int, metavar="N", help="seed of all random numbers; default: 0")
    add("--start-from", action="append", metavar="RESULT.json", help="an earlier result to start "
        "one more search from, e.g. of a special case of the model; may be repeated")  # fmt: skip
    add("--progress", action=argparse.BooleanOptionalAction, help="show a progress bar (default)")


def gather_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the configuration file, overridden by the options given."""
    from jaxcmr.cli._config import read_config

    config = read_config(options.config) if options.config else {}
    if options.data is not None:
        config.pop("data_fingerprint", None)  # it is of the data in the file
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
    """Return name and value of ``NAME=VALUE``. Bounds, ``LOW:HIGH``, are a list of numbers."""
    name, is_pair, value = text.partition("=")
    if not is_pair:
        raise ValueError(f"--{table.replace('_', '-')} takes NAME=VALUE; got '{text}'.")
    numbers = [parse_value(part) for part in value.split(":")]
    return name.strip(), numbers if table == "bounds" else numbers[0]


def parse_value(text: str) -> int | float | str:
    """Return a number, or the text if it is not a number."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_subjects(text: str) -> str | int | list[int | str]:
    """Return ``all``, how many subjects, or a list of subject ids."""
    if text == "all":
        return text
    if "," in text:
        ids = [subject for subject in text.split(",") if subject]
        is_numbered = all(re.fullmatch(r"[+-]?\d+", subject) for subject in ids)
        return [int(subject) for subject in ids] if is_numbered else list(ids)
    return int(text)


def list_models(only: str | None) -> str:
    """Return the models with symbol and usual bounds of each parameter, one line per parameter.

    Args:
        only: name of a model, to list only this one, with what its parameters mean.
    """
    from jaxcmr.models import CATALOGUE
    from jaxcmr.names import find_named

    if only is not None:
        find_named("model", only)
    return "\n".join(
        line
        for name, model in CATALOGUE.items()
        if only in (None, name)
        for line in describe_model(name, model, has_meanings=only is not None)
    )


def describe_model(name: str, model: NamedModel, has_meanings: bool) -> Iterator[str]:
    """Yield the lines on a model: what it is, then its parameters, with or without meanings."""
    yield from wrap(f"{name}: {model.about}", WIDTH, subsequent_indent="  ")
    for each in model.parameters:
        yield f"    {each.name:24}{each.symbol:>8}{each.low:>12.2g} to {each.high:.4g}"
        if has_meanings:
            indent = " " * 8
            yield from wrap(each.meaning, WIDTH, initial_indent=indent, subsequent_indent=indent)
