"""The options of each command, and what its ``--help`` says. Imports nothing that takes long."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jaxcmr._version import __version__
from jaxcmr.cli._settings import HYPERPARAMETERS, parse_subjects, parse_value

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["FIGURES", "make_parser"]

EXIT_STATUS = """\
exit status:
  0    done{failure}
  2    a mistake in the arguments or in the data
  130  interrupted
"""

STRICT = "\n  1    done, but with --strict: not every fit is trustworthy"

MISSING = "\n  1    runs are missing"

DIFFERS = "\n  1    a loss differs by more than rounding"

OF_ALL = f"{STRICT};\n       status: runs are missing; verify: a loss differs by more than rounding"
"""What exit status 1 means, by command."""

SOURCE = "an .h5, .csv, .tsv, .mat or .json file, a BIDS folder, or the name of a bundled data set"
"""Data that every command reads."""

FIGURES = {
    "fit": "three curves of data and model",
    "fit_by_subject": "the same for each subject",
    "parameters": "the estimates between their bounds",
    "restarts": "how far above the best loss each run ended",
    "restart_estimates": "where the runs of one fit ended",
    "recalls_per_list": "how many items are recalled",
    "sweep": "a curve at several values of a parameter",
}
"""Figures of ``jaxcmr plot`` by name."""

CURVES = ["serial_position_curve", "first_recall", "lag_crp", "recalls_per_list"]
"""Measures that a sweep draws: those of one bin that need only recalls."""

PRIORS = ["spm", "vba"]
"""Priors of model selection; the first is the default."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    >>> make_parser().parse_args(["models", "cru"]).model
    'cru'
    """
    parser = argparse.ArgumentParser(
        prog="jaxcmr",
        description="Fit models of memory search to recall data, and work with the fits.",
        epilog="'jaxcmr COMMAND --help' shows the options of a command, with examples.\n\n"
        + EXIT_STATUS.format(failure=OF_ALL),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"jaxcmr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for add in (
        add_fit,
        add_status,
        add_verify,
        add_models,
        add_check,
        add_convert,
        add_diagnose,
        add_simulate,
        add_plot,
        add_compare,
        add_recover,
        add_report,
        add_completion,
    ):
        add(commands)
    return parser


def add_command(
    commands: Commands,
    name: str,
    about: str,
    description: str,
    examples: str,
    strict: bool = False,
    failure: str = "",
) -> argparse.ArgumentParser:
    """Add a command, and return its parser.

    Args:
        commands: of the program.
        name: of the command.
        about: what it does, in a line.
        description: the same at more length.
        examples: a line each.
        strict: whether it has the option ``--strict``.
        failure: what exit status 1 means, if it is not that of ``--strict``.
    """
    lines = "".join(f"  {line.strip()}\n" for line in examples.strip().splitlines())
    command = commands.add_parser(
        name,
        help=about,
        description=description,
        epilog=f"examples:\n{lines}\n{EXIT_STATUS.format(failure=failure or STRICT * strict)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if strict:
        command.add_argument("--strict", action="store_true", help="exit with status 1 unless "
            "runs of every fit agree, and no check of the search fails")  # fmt: skip
    return command


def add_output(command: argparse.ArgumentParser, shown: str) -> None:
    """Add the options that say what is printed: with --json, `shown`."""
    command.add_argument("--json", action="store_true", help=f"print {shown} instead, as JSON")
    command.add_argument("--quiet", action="store_true", help="print nothing but errors")


def add_results(command: argparse.ArgumentParser) -> None:
    """Add the results that a command reads."""
    command.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="a folder of "
        "'jaxcmr fit', or a result in .json")  # fmt: skip


def add_sources(command: argparse.ArgumentParser) -> None:
    """Add the options that say what was fitted, where no settings beside the result do."""
    add = command.add_argument
    add("--data", metavar="DATA", help="the data that were fitted; default: those that config.toml "
        "beside the result names")  # fmt: skip
    for name in ("features", "similarities", "distances"):
        add(f"--{name}", metavar="FILE", help=f"the {name} that were fitted; default: as for "
            "--data")  # fmt: skip


def add_simulation(command: argparse.ArgumentParser, copies: int | None) -> None:
    """Add the options of simulated recall."""
    add = command.add_argument
    add("--copies", type=int, default=copies, metavar="N", help="simulated recalls of each list; "
        f"default: {copies or 1}")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="seed of the simulation; default: 0")


def add_sweep(command: argparse.ArgumentParser, repeated: str) -> None:
    """Add the options that choose trials and values of parameters to simulate.

    Args:
        command: the command.
        repeated: why ``--vary`` may be repeated.
    """
    add = command.add_argument
    add("--where", metavar="CONDITION", help='trials to simulate, e.g. "session <= 4"; default: '
        "those that were fitted")  # fmt: skip
    add("--vary", action="append", default=[], type=parse_sweep, metavar="NAME=V1,V2,...",
        help="simulate at each of these values of a parameter, in place of the estimates; may be "
        f"repeated, for {repeated}")  # fmt: skip


def add_fit(commands: Commands) -> None:
    """Add ``jaxcmr fit``, whose options are the arguments of `jaxcmr.fit`.

    Options that are not given are None.
    """
    fit = add_command(
        commands,
        "fit",
        "fit a model to each subject of a data set",
        "Fit a model to each subject of a data set. Writes the estimates\n"
        "(result.json), the complete settings (config.toml), and first recalls,\n"
        "lag-CRP and serial position curve of data and model (fit.png) into a folder.",
        """
        jaxcmr fit peers_notask --subjects 5
        jaxcmr fit mystudy.csv --where "list > 1" --model cru --search quick
        jaxcmr fit --config results/mystudy-cmr-sequence_likelihood/config.toml --out again
        """,
        strict=True,
    )
    add = fit.add_argument
    add("data", nargs="?", metavar="DATA", help=SOURCE)
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
    add("--config", type=Path, metavar="FILE.toml", help="a file of settings; options given here "
        "override it")  # fmt: skip
    add("--out", type=Path, metavar="DIR", help="folder for the results; default: "
        "results/DATA-MODEL-LOSS. Finished runs are kept there: the same command goes on where it "
        "was interrupted or killed")  # fmt: skip
    add("--part", metavar="K/N", help="make the K-th of N shares of the runs first, then what no "
        "other part has made; all parts have the same --out")  # fmt: skip
    add("--fresh", action="store_true", help="begin anew, in a new folder")
    add_output(fit, "estimates, losses and trust")


def add_status(commands: Commands) -> None:
    """Add ``jaxcmr status``."""
    status = add_command(
        commands,
        "status",
        "say how far fits are",
        "Print how many subjects and runs of a fit are done, in which environments, how\n"
        "fast, and when the rest will be done; also of a fit that other machines make.\n"
        "Exits with 1 while runs are missing.",
        """
        jaxcmr status results/mystudy-cmr-sequence_likelihood
        watch -n 60 jaxcmr status results/*
        """,
        failure=MISSING,
    )
    status.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a folder of "
        "'jaxcmr fit', or the checkpoint of a fit in Python")  # fmt: skip
    add_output(status, "the numbers")


def add_verify(commands: Commands) -> None:
    """Add ``jaxcmr verify``."""
    verify = add_command(
        commands,
        "verify",
        "compute every loss of a result anew",
        "Compute the loss of every run of a result anew, at the estimates in the file, and\n"
        "print the largest difference. Exits with 1 if it is more than rounding. Results\n"
        "may come from other machines.",
        """
        jaxcmr verify results/mystudy-cmr-sequence_likelihood
        jaxcmr verify fits/result.json --data mystudy.csv
        """,
        failure=DIFFERS,
    )
    add_results(verify)
    add_sources(verify)
    add_output(verify, "the numbers")


def add_models(commands: Commands) -> None:
    """Add ``jaxcmr models``."""
    models = add_command(
        commands,
        "models",
        "list the models, their parameters and usual bounds",
        "List the models with symbol and usual bounds of each parameter. With the name\n"
        "of a model, also what each of its parameters means.",
        """
        jaxcmr models
        jaxcmr models cmr
        jaxcmr models cmr --json
        """,
    )
    models.add_argument("model", nargs="?", metavar="MODEL", help="show only this model, with what "
        "its parameters mean")  # fmt: skip
    add_output(models, "models and parameters")


def add_check(commands: Commands) -> None:
    """Add ``jaxcmr check``."""
    check = add_command(
        commands,
        "check",
        "say what a data set holds",
        "Read data as jaxcmr fit does and print subjects, lists, their lengths, recalls,\n"
        "intrusions, repeats, and which fields were kept or dropped. Exits with 2 if the\n"
        "data are invalid.",
        """
        jaxcmr check mystudy.csv
        jaxcmr check bids_folder
        jaxcmr check peers_notask --json
        """,
    )
    check.add_argument("data", metavar="DATA", help=SOURCE)
    add_output(check, "the counts")


def add_convert(commands: Commands) -> None:
    """Add ``jaxcmr convert``."""
    convert = add_command(
        commands,
        "convert",
        "write a data set as .h5, or as a psifr table",
        "Read data of any format and write them as .h5, or as a psifr table in .csv or\n"
        ".tsv, by the suffix of OUT.",
        """
        jaxcmr convert mystudy.mat mystudy.h5
        jaxcmr convert mystudy.h5 mystudy.csv
        """,
    )
    convert.add_argument("data", metavar="IN", help=SOURCE)
    convert.add_argument("out", metavar="OUT", help="an .h5, .csv or .tsv file")
    convert.add_argument("--force", action="store_true", help="replace OUT if it exists")
    add_output(convert, "the file and its number of lists")


def add_diagnose(commands: Commands) -> None:
    """Add ``jaxcmr diagnose``."""
    diagnose = add_command(
        commands,
        "diagnose",
        "tell how far fits can be trusted",
        "Check each fit of a result: whether its runs agree, which estimates are on\n"
        "bounds or undetermined, and whether it predicts the subject's recall. Writes all\n"
        "checks (diagnostics.csv, diagnostics.json) beside the result, and prints the ten\n"
        "worst.",
        """
        jaxcmr diagnose results/peers_notask-cmr-sequence_likelihood
        jaxcmr diagnose results/* --quick --strict
        jaxcmr diagnose fits/result.json --data mystudy.csv
        """,
        strict=True,
    )
    add_results(diagnose)
    add_sources(diagnose)
    diagnose.add_argument("--quick", action="store_true", help="make only the checks that need no "
        "data: no curvature and no simulation")  # fmt: skip
    add_simulation(diagnose, 100)
    add_output(diagnose, "the content of diagnostics.json")


def add_simulate(commands: Commands) -> None:
    """Add ``jaxcmr simulate``."""
    simulate = add_command(
        commands,
        "simulate",
        "let fitted models recall the lists again",
        "Simulate recall of the lists that were fitted, each subject with its own\n"
        "estimates, as a data set (simulated.h5, or a psifr table by the suffix of --out).\n"
        "Counts, recalls per list and settings go into simulated-numbers.json beside it.",
        """
        jaxcmr simulate results/peers_notask-cmr-sequence_likelihood --copies 50
        jaxcmr simulate results/mystudy-cmr-sequence_likelihood --vary learning_rate=0.1,0.5,0.9
        jaxcmr simulate fits/result.json --data mystudy.csv --out simulated.csv
        """,
    )
    add_results(simulate)
    add_sources(simulate)
    add_simulation(simulate, None)
    add_sweep(simulate, "each combination")
    add = simulate.add_argument
    add("--model-stops", action="store_true", help="let the model decide when to stop. By default "
        "lists are cut off after as many recalls as the subject made, if the loss of the fit takes "
        "their number from the data")  # fmt: skip
    add("--draws", type=Path, metavar="FILE.csv", help="parameter values in place of the "
        "estimates, such as draws from a posterior: a column per parameter and the column subject; "
        "copy k has draw k of each subject")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="an .h5, .csv or .tsv file, for one result; "
        "default: simulated.h5 beside the result")  # fmt: skip
    add("--force", action="store_true", help="replace the file of --out if it exists")
    add_output(simulate, "the content of the JSON file")


def add_plot(commands: Commands) -> None:
    """Add ``jaxcmr plot``."""
    names = "".join(f"\n  {name:18} {about}" for name, about in FIGURES.items())
    plot = add_command(
        commands,
        "plot",
        "draw figures of fits",
        f"Draw figures of fits, and write the numbers in each into a JSON file beside it\n"
        f"(NAME-numbers.json).\n\nfigures:{names}",
        """
        jaxcmr plot results/peers_notask-cmr-sequence_likelihood
        jaxcmr plot results/* --figure restarts --figure parameters --format pdf
        jaxcmr plot results/mystudy-cmr-sequence_likelihood --figure restart_estimates --subject 3
        jaxcmr plot fits/result.json --data mystudy.csv --figure sweep --vary learning_rate=0.2,0.8
        """,
    )
    add_results(plot)
    add = plot.add_argument
    add("--figure", action="append", choices=list(FIGURES), dest="figures", metavar="NAME",
        help="which figure, as listed above; may be repeated; default: fit, parameters and "
        "restarts")  # fmt: skip
    add("--subject", metavar="ID", help="draw only the fit of this subject; restart_estimates "
        "needs one")  # fmt: skip
    add_sources(plot)
    add_simulation(plot, 20)
    add_sweep(plot, "a figure of each parameter")
    add("--measure", default=CURVES[0], choices=CURVES, metavar="NAME", help="the curve of a "
        f"sweep: {', '.join(CURVES[:-1])} or {CURVES[-1]}; default: {CURVES[0]}")  # fmt: skip
    add("--format", default="png", choices=["png", "svg", "pdf"], help="default: png")
    add("--out", type=Path, metavar="DIR", help="folder for the figures of one result; default: "
        "that of the result")  # fmt: skip
    add_output(plot, "the numbers in the figures")


def add_compare(commands: Commands) -> None:
    """Add ``jaxcmr compare``."""
    compare = add_command(
        commands,
        "compare",
        "tell which model describes the subjects best",
        "Compare fits of several models to the same trials by AICc, AIC or BIC: sums,\n"
        "differences per subject with intervals, and a verdict in words. Results of other\n"
        "trials, losses or precision are refused.",
        """
        jaxcmr compare fits/cmr fits/cru
        jaxcmr compare results/* --criterion bic --bms vba
        jaxcmr compare results/* --out comparison
        """,
    )
    add_results(compare)
    add = compare.add_argument
    add("--criterion", default="aicc", choices=["aic", "aicc", "bic"], help="default: aicc")
    add("--reference", metavar="NAME", help="folder of the model that differences are taken from; "
        "default: the best")  # fmt: skip
    add("--count", default="events", choices=["events", "trials"], help="what n counts in AICc and "
        "BIC: scored recalls and stops (default), or trials")  # fmt: skip
    add_selection(compare)
    add("--out", type=Path, metavar="DIR", help="write comparison.md, comparison-numbers.json and "
        "figures (.png) into this folder")  # fmt: skip
    add_output(compare, "all numbers")


def add_recover(commands: Commands) -> None:
    """Add ``jaxcmr recover``. Options that only parameters, or only models, have are None."""
    recover = add_command(
        commands,
        "recover",
        "tell whether fits find known parameters, or the right model",
        "Simulate subjects with known parameters on the lists that were fitted, and fit them\n"
        "by the same search. Writes truth and estimates (recovery.csv), how well they agree\n"
        "(recovery.json) and a figure (recovery.png) beside the result.\n\n"
        "With --models, simulate with each of several models, fit all of them, and count which\n"
        "one is best: recovery-models.csv, .json and .png, beside the first result.\n\n"
        "Finished runs are kept there: the same command goes on where it was interrupted or\n"
        "killed. 'jaxcmr report' takes the files up.",
        """
        jaxcmr recover results/peers_notask-cmr-sequence_likelihood
        jaxcmr recover results/mystudy-cmr-sequence_likelihood --copies 5 --intervals
        jaxcmr recover fits/result.json --data mystudy.csv --lists 7,14,28
        jaxcmr recover fits/cmr --models fits/cru fits/ecmr -n 100
        """,
    )
    add_results(recover)
    add_sources(recover)
    add = recover.add_argument
    add("--models", nargs="+", type=Path, metavar="RESULT", help="results of other models of the "
        "same trials, named after their folders: recover models, not parameters")  # fmt: skip
    add("-n", type=int, metavar="N", help="with --models: simulated subjects per model; "
        "default: 50")  # fmt: skip
    add("--criterion", choices=["aic", "aicc", "bic"], help="with --models: by which the best "
        "model is found; default: aicc")  # fmt: skip
    add("--copies", type=int, metavar="N", help="simulated subjects per fit; default: 1")
    add("--seed", type=int, default=0, metavar="N", help="seed of the simulation; default: 0")
    add("--lists", type=parse_lists, metavar="N,N,...", help="lists per simulated subject, one "
        "number or several (with --models one); default: those that were fitted")  # fmt: skip
    add("--parameters", choices=["fitted", "uniform", "normal"], help="where true parameters come "
        "from: the estimates (default), uniform between the bounds, or a normal distribution "
        "around the estimates")  # fmt: skip
    add("--intervals", nargs="?", const="profile", choices=["profile", "hessian"], help="also give "
        "95 %% intervals, and how many hold the truth: by profiles of the likelihood (default), or "
        "by its curvature, quicker and too short")  # fmt: skip
    add("--search", metavar="NAME", help="thorough, quick or classic; default: the search of the "
        "result")  # fmt: skip
    add("--force", action="store_true", help="replace the files of a recovery with other settings")
    add_output(recover, "the numbers of the JSON file")


def add_selection(command: argparse.ArgumentParser) -> None:
    """Add options on how frequent each model is among subjects."""
    add = command.add_argument
    add("--bms", nargs="?", const="spm", type=parse_prior, choices=PRIORS, metavar="PRIOR",
        help="also show how frequent each model is among subjects (Bayesian model selection), with "
        "the prior of spm (default) or vba")  # fmt: skip
    add("--exact", action="store_true", help="with --bms: the exact posterior, for up to five "
        "models, in place of the variational one")  # fmt: skip


def add_report(commands: Commands) -> None:
    """Add ``jaxcmr report``."""
    report = add_command(
        commands,
        "report",
        "write results into one HTML file",
        "Write a report of one result or several: one HTML file that needs no\n"
        "network, with a verdict, methods to paste, figures of data and model, tables, standard\n"
        "errors, and code that repeats the fit. What 'jaxcmr recover' has written beside a\n"
        "result is in it too. Its numbers go into a JSON file beside it.",
        """
        jaxcmr report results/peers_notask-cmr-sequence_likelihood
        jaxcmr report results/* --out all.html --title "Three models of the PEERS lists"
        jaxcmr report fits/result.json --data mystudy.csv
        """,
    )
    add_results(report)
    add = report.add_argument
    add("--out", type=Path, metavar="FILE", help="the file to write; default: report.html in the "
        "first folder")  # fmt: skip
    add_sources(report)
    add("--no-data", action="store_true", help="report without the data: no curves, and only the "
        "checks that need none")  # fmt: skip
    add("--no-curvature", action="store_true", help="do not compute the loss around the estimates, "
        "for a faster report with fewer checks and without standard errors")  # fmt: skip
    add("--criterion", choices=["aic", "aicc", "bic"], help="by which several results are "
        "compared; default: aicc")  # fmt: skip
    add("--reference", metavar="NAME", help="folder of the model that differences are taken from; "
        "default: the best")  # fmt: skip
    add_selection(report)
    add("--title", default="Report of fits", metavar="TEXT", help="heading of the report")
    add_simulation(report, 100)
    add_output(report, "the content of the JSON file")


def add_completion(commands: Commands) -> None:
    """Add ``jaxcmr completion``."""
    completion = add_command(
        commands,
        "completion",
        "print a script that completes commands in a shell",
        "Print a script by which bash or zsh completes commands, options, and names of\n"
        "models, losses and figures. Needs shtab; in your copy of jaxcmr:\n"
        'pip install ".[completion]"',
        """
        eval "$(jaxcmr completion bash)"
        jaxcmr completion bash > ~/.local/share/bash-completion/completions/jaxcmr
        jaxcmr completion zsh > ~/.zfunc/_jaxcmr
        """,
    )
    completion.add_argument("shell", choices=["bash", "zsh"], help="for which shell")


def parse_lists(text: str) -> int | list[int]:
    """Return the number in ``N``, or the numbers in ``N,N,...``.

    >>> parse_lists("14"), parse_lists("7,14,28")
    (14, [7, 14, 28])
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and int(word) for word in words):
        raise argparse.ArgumentTypeError(f"expected numbers of lists, such as 7,14; got '{text}'")
    numbers = [int(word) for word in words]
    return numbers[0] if len(numbers) == 1 else numbers


def parse_prior(text: str) -> str:
    """Return the name of a prior.

    >>> parse_prior("vba")
    'vba'
    """
    if text not in PRIORS:
        raise argparse.ArgumentTypeError(
            f"the prior is {' or '.join(PRIORS)}; got '{text}'. If this is a result, put --bms "
            f"behind the results, or write --bms={PRIORS[0]}"
        )
    return text


def parse_sweep(text: str) -> tuple[str, list[float]]:
    """Return the name and the values of ``NAME=V1,V2,...``.

    >>> parse_sweep("learning_rate=0.1,0.5")
    ('learning_rate', [0.1, 0.5])
    """
    name, _, listed = text.partition("=")
    values = [parse_value(value) for value in listed.split(",") if value.strip()]
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if not name.strip() or not numbers or len(numbers) != len(values):
        raise argparse.ArgumentTypeError(f"expected NAME=V1,V2,... with numbers; got '{text}'")
    return name.strip(), numbers
