"""The plan of the house: which room may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcmr

ROOT = Path(jaxcmr.__file__).parent

MAY_IMPORT = {
    "typing": set(),
    "files": set(),
    "names": {"models", "loss"},
    "math": set(),
    "parameters": {"names", "typing"},
    "results": {"_result_words", "files"},
    "_result_words": {"results"},
    "datasets": {"files", "names", "typing"},
    "simulation": {"datasets", "names", "optimize", "parameters", "typing"},
    "trials": {"names", "parameters", "simulation", "typing"},
    "components": {"math", "typing"},
    "models": {"components", "math", "parameters", "typing"},
    "analyses": {"typing"},
    "loss": {"analyses", "math", "optimize", "parameters", "simulation", "trials", "typing"},
    "optimize": set(),
    "fitting": {"datasets", "names", "optimize", "parameters", "results", "typing"},
    "_cache": set(),
}
"""What each room may import of ours, beside itself. `front` and `cli` put everything together.
`names` imports a shelf only when it is asked for one of its names."""


def rooms_imported(file):
    """The rooms of this package that `file` imports from."""
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


def test_importing_makes_no_array():
    """An array at import time would start JAX's backend before the user can configure it."""
    code = (
        "import jaxcmr.fitting, jaxcmr.models, jaxcmr.loss, jaxcmr.simulation, jaxcmr.datasets\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
