"""What the documents show is code that works: names exist, and the README and pages run."""

import ast
import re
from pathlib import Path

import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from conftest import quick_jit

import jaxcmr as jc
from jaxcmr import models
from jaxcmr.simulation import study

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
TINY = "{'num_steps': 2, 'pop_size': 2, 'best_of': 2, 'polish': False}"


def blocks(page):
    """Return the Python of a page, block by block."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def run(block, names, **changes):
    """Run a block in the namespace `names`, with each text in `changes` replaced once."""
    for old, new in changes.items():
        assert block.count(old) == 1, old
        block = block.replace(old, new)
    exec(block, names)


def test_pages_and_messages_install_from_a_copy_of_the_project():
    """The package of this name on the index is another one: ``pip install jaxcmr`` gets that."""
    for file in [*PAGES, *(ROOT / "jaxcmr").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert not re.findall(r"pip install [^`\n]*\bjaxcmr\b", text), file


def test_the_readme_installs_what_it_loads():
    """Bundled data need psifr, of the extra `demo`; a report needs the extra `report`."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "jc.load" in readme and "peers_notask" in readme and "jc.report(" in readme
    assert re.search(r'pip install "\.\[demo,report\]"', readme)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_on_a_page_can_be_imported(page):
    """Every block parses, and what it imports from jaxcmr is there: catches a name that changed."""
    for block in blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jaxcmr"):
                exec(ast.unparse(node), {})
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "jc":
                assert hasattr(jc, node.attr), f"jc.{node.attr}"


def test_every_work_that_is_cited_is_in_the_references():
    """Links to references are checked when the site is built; this finds names and years alone."""
    references = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")
    known = {
        (name, year)
        for authors, year in re.findall(
            r"^- (.*?) \((\d{4})\)", references, re.MULTILINE | re.DOTALL
        )
        for name in re.findall(r"[A-Z][a-z]{2,}", authors)
    }
    files = [*PAGES, *sorted((ROOT / "jaxcmr").rglob("*.py"))]
    for file in files:
        text = file.read_text(encoding="utf-8")
        for name, year in re.findall(r"([A-Z][a-z]+)(?: et al\.)?,? \(?((?:19|20)\d\d)\)", text):
            assert (name, year) in known, f"{file.name}: {name} ({year})"


def write_study(path):
    """Write four lists of two subjects of psifr's sample data as a table of events."""
    from psifr import fr

    events = fr.sample_data("peers_notask").query("subject in [63, 64] and session == 1")
    events.to_csv(path, index=False)


def test_the_readme_runs(tmp_path, monkeypatch):
    """Its study in ten lines, from a file to a report, and the fitter below it, with nothing
    changed but the search. The files hold what the comments say; the fitter gives the numbers of
    the front door, subject by subject."""
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    write_study("mystudy.csv")
    study_in_ten_lines, fitter, _ = blocks(ROOT / "README.md")
    assert len(study_in_ten_lines.split("\n\n")[1].splitlines()) < 10
    names = {}
    run(study_in_ten_lines, names, **{"jc.fit(data, ": f"jc.fit(data, search={TINY}, "})
    result, checks = names["result"], names["checks"]
    assert result["fits"]["subject"] == [63, 64] and result["n_trials"] == [4, 4]
    assert set(checks["subject"]) == {63, 64} and {"runs_agree", "at_rest"} <= set(checks["check"])
    assert len(names["simulated"]["recalls"]) == 8 * 20
    curve = jc.serial_position_curve(names["data"])
    np.testing.assert_allclose(names["panels"][2].lines[0].get_ydata(), curve)
    assert Path("fit.png").read_bytes().startswith(b"\x89PNG")
    page = Path("report.html").read_text(encoding="utf-8")
    assert all(f"{loss:.2f}" in page for loss in result["fitness"])
    run(fitter, names, **{'**jc.SEARCHES["thorough"]': f"**{TINY}"})
    alone = [fit["fitness"][0] for fit in names["fits"]]
    assert alone == names["together"]["fitness"] == result["fitness"]


@pytest.mark.full
def test_the_optimizer_of_the_readme_runs():
    """The last block; tests/optimize has the first guards of what it uses."""
    names = {"jc": jc}
    run(blocks(ROOT / "README.md")[2], names)
    np.testing.assert_allclose(names["found"].x, 0.3, atol=1e-3)


def test_the_study_of_the_home_page_runs():
    """From load to figure, with a tiny search of the lists that the README fits, which compiles
    nothing again: three panels, each with data and model at every position or lag. The lines that
    follow are those of the README."""
    matplotlib.use("agg")
    block, rest = blocks(ROOT / "docs" / "index.md")
    assert set(rest.splitlines()) <= set(blocks(ROOT / "README.md")[0].splitlines())
    names = {}
    tiny = f"subjects=[63, 64, 65], where='session <= 4', search={TINY})"
    changes = {"subjects=20)": tiny, "n_copies=5": "n_copies=1", "plt.show()": ""}
    run(block, names, **changes, **{"simulated})": "simulated}, where='session <= 4')"})
    lengths = [[len(line.get_xdata()) for line in ax.lines] for ax in names["axes"]]
    assert lengths == [[16, 16], [11, 11], [16, 16]]
    data = names["data"]
    mask = jc.generate_trial_mask(data, "session <= 4 and subject in [63, 64, 65]")
    curve = jc.serial_position_curve(data, mask)
    np.testing.assert_allclose(names["axes"][2].lines[0].get_ydata(), curve)


@pytest.mark.full
def test_the_gallery_is_drawn():
    """Every block runs, with a tiny search of two subjects; every image has a block above it."""
    matplotlib.use("agg")
    page = ROOT / "docs" / "gallery.md"
    names = {}
    setup, *figures = blocks(page)
    tiny = f"subjects=[63, 64], search={TINY})"
    run(setup, names, **{"subjects=12)": tiny, "n_copies=10": "n_copies=1"})
    for block in figures:
        changes = {", 65, 66]": "]", "n_copies=10": "n_copies=1", "subjects=12)": tiny}
        for old, new in changes.items():
            block = block.replace(old, new)
        exec(block, names)
        names["plt"].gcf().canvas.draw()
        names["plt"].close("all")
    images = re.findall(
        r"```\n\n!\[[^\]]+\]\(gallery/(\w+)\.svg\)", page.read_text(encoding="utf-8")
    )
    assert len(images) == len(set(images)) == len(figures)


def test_the_part_that_the_how_to_writes(small_data, parameters):
    """A stopping rule of one's own is a model with a name by one row. It has the parameter that it
    declares and no other for stopping; stopping is as likely at every output position."""
    part, row = blocks(ROOT / "docs" / "how-to" / "extend.md")[:2]
    names = {**vars(models), "CATALOGUE": {}}
    exec(part, names)
    exec(row, names)
    named = names["CATALOGUE"]["cmr_constant_stop"]
    read = [parameter.name for parameter in named.parameters]
    assert [name for name in read if name.startswith("stop")] == ["stop_probability"]
    assert (
        jc.FitProblem(small_data, named.factory, "sequence_likelihood").bounds["stop_probability"][
            1
        ]
        == 1.0
    )

    @quick_jit
    def recall(values):
        """Return the probabilities of all outcomes, before each of three recalls."""
        model = named.factory(small_data).create_trial_model(jnp.array(0), values)
        model = study(model, jnp.arange(1, 7))
        outcomes = []
        for item in (3, 4, 6):
            outcomes.append(model.outcome_probabilities())
            model = model.retrieve(jnp.array(item))
        return jnp.stack(outcomes)

    outcomes = recall({**parameters, "stop_probability": 0.25})
    np.testing.assert_allclose(outcomes[:, 0], 0.25, rtol=1e-6)
    np.testing.assert_allclose(outcomes.sum(1), 1, rtol=1e-6)
