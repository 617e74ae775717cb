"""The command line: ``jaxcmr fit DATA ...`` and other commands (see ``jaxcmr --help``).

``jaxcmr fit`` is `jaxcmr.fit` with a folder for the results: every argument of one is a setting of
the other. Modules that take long to import are imported when a command needs them.

Data and numbers go to the standard output, progress and errors to the standard error.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module

from jaxcmr.cli._parsers import make_parser

__all__ = ["main"]

COMMANDS: Mapping[str, tuple[str, str]] = {
    "fit": ("_run", "fit_to_folder"),
    "status": ("_status", "show_status"),
    "verify": ("_status", "verify_results"),
    "models": ("_models", "show_models"),
    "check": ("_data", "check"),
    "convert": ("_data", "convert"),
    "diagnose": ("_diagnose", "diagnose_folders"),
    "simulate": ("_simulate", "simulate_results"),
    "plot": ("_plot", "plot_results"),
    "compare": ("_compare", "compare_folders"),
    "recover": ("_recover", "recover_results"),
    "report": ("_report", "report_folders"),
    "completion": ("_completion", "print_completion"),
}
"""The module and the function ``options -> exit status`` of each command."""

INTERRUPTED = {"fit": "interrupted before the search began"}
"""The answer to Ctrl-C, by command; "interrupted" for the others."""

CLOSED = 141
"""The exit status of programs whose output is closed before they end, as shells count it."""

MANY_OBJECTS = 100_000
"""New objects after which Python looks for those that can be deleted; 700 by default."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: words after ``jaxcmr``; by default those that the shell gave.

    Returns:
        0; 1 if fits are not trustworthy, with ``--strict``, if runs are missing (``status``), or
        if a loss differs (``verify``); 2 for a mistake in the arguments or the
        data; 130 after Ctrl-C.

    >>> main(["models", "cru"])  # doctest: +ELLIPSIS
    cru: CRU: CMR without its associations, free recall
        encoding_drift_rate ... 2.2e-16 to 1
            How far context moves ...
    0
    """
    options = make_parser().parse_args(arguments)
    module, function = COMMANDS[options.command]
    try:
        with rare_collections(), plain_warnings():
            status = getattr(import_module(f"jaxcmr.cli.{module}"), function)(options)
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        print(f"jaxcmr: {INTERRUPTED.get(options.command, 'interrupted')}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except (ValueError, ImportError, OSError) as error:
        print("\n".join([f"jaxcmr: error: {error}", *notes_of(error)]), file=sys.stderr)
        return 2


def notes_of(error: Exception) -> list[str]:
    """Return what was added to an error on its way, without what concerns Python only."""
    return [note for note in getattr(error, "__notes__", []) if "exception" not in note]


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings as sentences, without the lines of code that they come from."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *rest: f"jaxcmr: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


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
