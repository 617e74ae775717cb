"""The plan of the house: which room may import which, what is public, and which words are used."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcmr

ROOT = Path(jaxcmr.__file__).parent
PROJECT = ROOT.parent

MAY_IMPORT = {
    "typing": {"parameters"},  # for annotations only
    "files": set(),
    "names": {"models", "loss"},  # a shelf is imported when one of its names is asked for
    "math": set(),
    "parameters": {"names", "optimize", "typing"},
    "results": {"_result_words", "files"},
    "_result_words": {"_tables", "results"},
    "datasets": {"files", "names", "typing"},
    "_scan": {"typing"},
    "_values": {"parameters", "typing"},
    "simulation": {
        "_scan",
        "_values",
        "datasets",
        "math",
        "names",
        "optimize",
        "parameters",
        "typing",
    },
    "trials": {"names", "parameters", "simulation", "typing"},
    "components": {"math", "parameters", "typing"},
    "models": {"components", "math", "names", "parameters", "simulation", "typing"},
    "analyses": {"datasets", "names", "typing"},  # measures are of data sets
    "loss": {
        "_scan",
        "analyses",
        "math",
        "optimize",
        "parameters",
        "simulation",
        "trials",
        "typing",
    },
    "optimize": set(),
    "fitting": {
        "_cache",
        "_version",
        "datasets",
        "files",
        "names",
        "optimize",
        "parameters",
        "results",
        "typing",
    },
    "comparison": {
        "_differences",
        "_result_words",
        "_tables",
        "datasets",
        "fitting",
        "names",
        "optimize",
        "parameters",
        "results",
        "simulation",
        "typing",
        "uncertainty",
    },
    "plots": {
        "_tables",
        "analyses",
        "comparison",
        "datasets",
        "names",
        "parameters",
        "recovery",
        "results",
        "typing",
        "uncertainty",
    },
    "recovery": {
        "_differences",
        "_result_words",
        "comparison",
        "diagnostics",
        "fitting",
        "names",
        "optimize",
        "parameters",
        "results",
        "simulation",
        "typing",
        "uncertainty",
    },
    "diagnostics": {
        "_differences",
        "_result_words",
        "fitting",
        "names",
        "optimize",
        "parameters",
        "results",
        "typing",
    },
    "bayes": {
        "_tables",
        "_version",
        "fitting",
        "names",
        "optimize",
        "parameters",
        "results",
        "typing",
    },
    "reporting": {
        "_result_words",
        "_tables",
        "_version",
        "names",
        "parameters",
        "results",
        "typing",
    },
    "uncertainty": {
        "_differences",
        "_result_words",
        "_tables",
        "fitting",
        "names",
        "optimize",
        "parameters",
        "results",
        "simulation",
        "typing",
    },
    "_cache": set(),
    "_tables": set(),
    "_differences": {"parameters", "typing"},
}
"""What each room may import of ours, beside itself. `front` and `cli` put everything together."""

FRONT_DOOR = {
    "fit": "fit a model to each subject, or to all together",
    "fit_variants": "fit several variants of a model, special cases first",
    "load": "read a data set by name or path",
    "compare": "several models of the same trials",
    "diagnose": "how far each fit can be trusted",
    "recover": "whether fits find known parameters, or the model that made the data",
    "report": "results into one HTML file",
    "simulate": "let a fitted model recall the lists of a data set",
    "FitResult": "estimates, losses and the evidence for them",
    "FitInterrupted": "Ctrl-C, with the fits that had finished",
    "MODELS": "models by name",
    "usual_bounds": "bounds of a model's parameters, as published fits use them",
    "LOSSES": "losses by name",
    "SEARCHES": "hyperparameters of searches by name",
    "JaxDE": "the fitter, for loops of your own",
    "ScipyDE": "the same fits by SciPy, as a cross-check",
    "FitProblem": "data, model, loss and parameters: a fit without its search",
    "make_subject_trial_masks": "one trial mask per subject",
    "differential_evolution": "minimize any function in a box",
    "serial_position_curve": "recall probability by study position",
    "check_data": "make a data set of a mapping of arrays, or say what is wrong",
    "first_recalls": "leave out intrusions and repeats",
    "from_psifr": "make a data set of a table of events",
    "generate_trial_mask": "choose trials by a condition",
    "save_data": "write a data set to an HDF5 file",
    "select_trials": "keep the trials of a mask",
    "to_psifr": "make a table of events of a data set",
    "analyses": "room: measures of behavior",
    "comparison": "room: which model describes the subjects",
    "components": "room: parts of models",
    "datasets": "room: data in and out",
    "diagnostics": "room: whether fits can be trusted",
    "fitting": "room: fitters and searches",
    "loss": "room: losses",
    "models": "room: models",
    "optimize": "room: differential evolution",
    "plots": "room: figures, and the tables behind them",
    "recovery": "room: recovery of parameters and models",
    "simulation": "room: models played forward",
    "uncertainty": "room: how well each parameter is known",
    "__version__": "of this installation",
}
"""Every name of `import jaxcmr as jc`, and what it is for."""

SURFACE = {
    "datasets": "BUNDLED align_features as_fields check_data check_mask fingerprint "
    "first_recalls from_bids from_cml from_events from_mat from_psifr from_quail "
    "generate_trial_mask load load_bundled load_data save_data select_trials "
    "to_psifr",
    "fitting": "CheckpointMismatch DEFAULTS Fit FitInterrupted FitProblem JaxDE RunReport "
    "SEARCHES ScipyDE Status Watcher Workers defaults_for make_subject_trial_masks "
    "resolve_search status_of",
    "models": "CATALOGUE MODELS NamedModel usual_bounds",
    "components": "ContextCompetition ExponentialChoice InstanceMemory LinearMemory NoTermination "
    "PositionalTermination PowerChoice RecallState SemanticCue SemanticCueMaker "
    "SourceCue SourceCueMaker SupportRatioTermination TemporalContext "
    "context_to_item instance_context_to_item instance_item_to_context "
    "item_to_context per_unit_context power_choice_scaled_by_all "
    "published_context_competition",
    "loss": "ConfusableLikelihoodFnGenerator LOSSES MemorySearchCategorySpcMseFnGenerator "
    "MemorySearchLikelihoodFnGenerator MemorySearchSetLikelihoodFnGenerator "
    "MemorySearchSpcMseFnGenerator MemorySearchSummaryMseFnGenerator",
    "simulation": "check_count check_seed compiled_once items_at make_model_factory positions_of "
    "recall_by_draws recall_freely simulate_dataset study",
    "bayes": "HierarchicalMAP Laplace LogDensity NumpyroModel Prior hierarchical_map laplace "
    "log_density numpyro_model to_datatree",
    "diagnostics": "CHECKS Criterion Curvature PredictedCounts chance_log_likelihood "
    "describe_direction diagnose is_trustworthy measure_curvature predictive_scores "
    "verdict",
    "comparison": "ApproximateCrossValidation Comparison CrossValidation LikelihoodRatioTest "
    "ModelSelection PairedDifferences akaike_weights approximate_cross_validation "
    "bayesian_model_selection compare cross_validate information_criteria "
    "likelihood_ratio_test log_evidence paired_differences",
    "analyses": "MEASURES Measure as_summary by_subject category_clustering category_crp "
    "distance_crp distance_rank first_recall intrusions lag_crp lag_crp_compound "
    "lag_rank make_measure nth_recall recall_positions recalled_positions "
    "recalls_per_list repeats serial_position_curve stop_probability to_ratio",
    "recovery": "ModelRecovery PowerCurve Recovery inversion_matrix power_curve recover_models "
    "recover_parameters wilson_interval",
    "plots": "comparison_table confusion_table differences_table fit_table "
    "frequencies_table intervals_table mean_over_subjects optimism_table paired_differences_table "
    "parameters_table plot_comparison plot_confusion plot_differences plot_fit "
    "plot_fit_by_subject plot_intervals plot_measure plot_model_frequencies "
    "plot_optimism plot_paired_differences plot_parameters plot_power plot_profiles "
    "plot_recalls_per_list plot_recovery plot_recovery_correlations "
    "plot_restart_estimates plot_restarts plot_shrinkage plot_spectrum plot_sweep "
    "plot_weights power_table profiles_table recovery_correlations_table recovery_table "
    "restarts_table shrinkage_table spectrum_table sweep_table weights_table",
    "optimize": "Box LaneReport OptimizeResults POPULATIONS PolishResult Polisher STRATEGIES "
    "State check_not_forked differential_evolution evolve_lanes in_double "
    "program_fingerprint works_in_double",
    "typing": "Bounds Cue CueCreator CueMaker Declared DeclaredModel Draws Features Loss "
    "LossFn LossFnGenerator MemorySearch MemorySearchFactory Model Parameters "
    "PartCreator Pattern RecallDataset Replay Subject Sweep TrialMask Vectorized",
    "parameters": "ABOVE_0 BELOW_1 DECADES Parameter ParameterSpace as_candidates bind "
    "check_given check_limits check_names count_axes declared_by function_of merge "
    "names_of reads to_double",
    "reporting": "About Chapter DataFacts Figure Guide Numbers Section Table WORKS cite "
    "criteria_table describe_data differences_table drawing_style to_html to_svg",
    "results": "FitInterrupted FitResult POOLED SCHEMA",
    "uncertainty": "Bootstrap Covariance Profiles STATUSES bootstrap covariance profile_likelihood",
}
"""Every public name of a room. A name that is not here is private, or has been forgotten here."""

COUNTED = "row|line|number|integer|unit|vector|trace|column|entry|value|one|file|curve|word"
UNITS = "trial|subject|candidate|row|unit|line|list|event|member|category|parameter|item|fit|run"
BANNED = {
    r"\brefuse_\w+": "check_...",
    r"\bhas_slope\b": "differentiable",
    r"\bslopes?\b": "gradient",
    r"\bchallengers?\b": "trial vector",
    r"(?<!population_)\benerg(y|ies)\b": "loss",
    rf"\b({COUNTED}) an? ({UNITS})\b": "one row per trial",
    r"(?<![Tt]here )\bis no\b(?! longer| more)": "is not a",
    r"\b(is|are|was|were) none\b": "missing, or None",
    r"\b(whatever|in any case|as yet|by turns|makes no sense)\b": "plain words",
    r"\b(nobody|one's own)\b": "no member; your own",
    r"\bwhat [\w ]+ makes? of\b": "the result of",
    r"\breckons?\b": "computes",
    r"\b(minimi|optimi|summari|maximi|generali|normali|recogni|organi)s(e|es|ed|er|ing)\b": "-ize",
    r"\b(behaviour|colour|favour|neighbour|towards|labelled|modelling|misspelt)\b": "American form",
    r"\b(people|persons?)\b": "subjects",
}
"""Words that are not used, and what is used instead."""

ALLOWED = {
    "jaxcmr/datasets/_load.py": "names of people, places and objects",
    "examples/03_your_own_model.ipynb": "ax.axline",
}
"""Lines that may say such a word."""


def rooms_imported(file):
    """Yield the rooms of this package that `file` imports from."""
    for node in ast.walk(ast.parse(file.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        for module in modules:
            parts = module.split(".")
            if parts[0] == "jaxcmr" and len(parts) > 1:
                yield parts[1]


def files_of(room):
    """Return the files of a room."""
    single = ROOT / f"{room}.py"
    return [single] if single.exists() else sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_plan_allows(room):
    """Machines never import shelves: models and losses are handed in as arguments."""
    files = files_of(room)
    assert files
    for file in files:
        forbidden = set(rooms_imported(file)) - MAY_IMPORT[room] - {room}
        assert not forbidden, f"{file.relative_to(ROOT)} imports {forbidden}"


def test_every_room_is_in_the_plan():
    """A new room needs a line above."""
    rooms = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    together = {"__init__", "__main__", "_version", "__pycache__", "front", "cli"}
    assert rooms - together == set(MAY_IMPORT)


def test_the_front_door_is_what_the_table_says():
    assert set(jaxcmr.__all__) == set(FRONT_DOOR)


@pytest.mark.parametrize("room", SURFACE)
def test_public_names_are_in_the_table_and_documented(room):
    """The first line of a docstring is a sentence of at most 100 columns, indentation included."""
    module = importlib.import_module(f"jaxcmr.{room}")
    assert set(module.__all__) == set(SURFACE[room].split())
    for name in module.__all__:
        thing = getattr(module, name)
        is_ours = getattr(thing, "__module__", "").startswith("jaxcmr")
        if is_ours and (inspect.isfunction(thing) or inspect.isclass(thing)):
            assert thing.__doc__, f"jaxcmr.{room}.{name} has no docstring"
            first = thing.__doc__.strip().splitlines()[0]
            assert len(first) <= 95 and first[-1] in ".:", f"jaxcmr.{room}.{name}: {first}"


@pytest.mark.parametrize("room", SURFACE)
def test_every_public_function_shows_a_run(room):
    """A doctest in its docstring; of a class, in its own or a method's."""
    module = importlib.import_module(f"jaxcmr.{room}")
    for name in module.__all__:
        if inspect.isfunction(thing := getattr(module, name)):
            assert ">>> " in (thing.__doc__ or ""), f"jaxcmr.{room}.{name} shows no run"


@pytest.mark.parametrize("room", ["comparison", "uncertainty", "recovery", "bayes"])
def test_a_problem_comes_first_in_the_rooms(room):
    """Then its result, or what was drawn from it: `f(problem, result)`, in every function."""
    module = importlib.import_module(f"jaxcmr.{room}")
    for thing in filter(inspect.isfunction, map(vars(module).get, module.__all__)):
        names = list(inspect.signature(thing).parameters)
        if {"problem", "problems"} & {*names}:
            assert names[0] in ("problem", "problems"), f"{thing.__name__}{tuple(names)}"


def test_a_result_comes_first_at_the_front_door():
    """Then the data: `jc.diagnose(result, data)`; `report` has the path to write in between."""
    functions = filter(inspect.isfunction, (getattr(jaxcmr, name) for name in jaxcmr.__all__))
    for thing in functions:
        names = list(inspect.signature(thing).parameters)
        if "result" in names and "data" in names:
            assert names[:2] == ["result", "data"], f"{thing.__name__}{tuple(names)}"


TEXTS = [
    *ROOT.rglob("*.py"),
    *(path for path in (PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "examples").glob("*.ipynb")),
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md")),
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_one_word_per_concept(path):
    """The glossary names each concept; its synonyms, and old words for it, are not used."""
    name = str(path.relative_to(PROJECT))
    if name == "docs/glossary.md":
        return  # which lists the synonyms
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for banned, instead in BANNED.items():
            found = re.search(banned, line)
            if found and ALLOWED.get(name, "\n") not in line:
                pytest.fail(f"{name}:{number}: {found[0]!r}: write {instead!r} in: {line.strip()}")


def test_importing_makes_no_array():
    """An array at import time would start JAX's backend before the user can configure it."""
    code = (
        "import jaxcmr.fitting, jaxcmr.models, jaxcmr.loss, jaxcmr.simulation, jaxcmr.datasets\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
