"""Variants of a model in one call: order, starts, folders, and a factorial design."""

import functools
import json

import numpy as np
import pytest
from simple_losses import bowl

import jaxcmr as jc
from jaxcmr.front import make_plan, variant_grid
from jaxcmr.front._variants import is_nested, merge, order_variants
from jaxcmr.models import cru

__all__ = ["bowl"]

TINY = {"num_steps": 3, "pop_size": 2, "best_of": 1, "polish": False}
VARIANTS = {
    "all": {},
    "no primacy": {"fixed": cru.off("primacy")},
    "no primacy, no learning": {"fixed": cru.off("primacy", "feature_to_context")},
    "no learning": {"fixed": cru.off("feature_to_context")},
    "other loss": {"loss_options": {"events": "recalls"}, "loss": "sequence_likelihood"},
}


def origins(result):
    """Return where the runs of the first fit started."""
    return [run["origin"] for run in result["runs"][0]]


@pytest.fixture(scope="module")
def problems(small_data):
    """The problems of these variants."""
    common = {"model": "cru_cmr", "loss": "sequence_likelihood", "progress": False}
    return {
        name: make_plan(small_data, **merge(common, changes)).problem
        for name, changes in VARIANTS.items()
    }


def test_nesting_is_seen_by_names_bounds_and_values(problems):
    """A mechanism that is off is nested in the same with it on; other losses are not nested."""
    found = {
        (small, big)
        for small in problems
        for big in problems
        if is_nested(problems[small], problems[big], {})
    }
    both, one, other, everything = (
        "no primacy, no learning", "no primacy", "no learning", "all"
    )  # fmt: skip
    assert found == {
        (both, one), (both, other), (both, everything), (one, everything), (other, everything)
    }  # fmt: skip


def test_special_cases_come_first(problems):
    order = order_variants(problems, {})
    assert order[0] == "no primacy, no learning" and order[-2:] == ["all", "other loss"]


def test_a_value_outside_the_bounds_or_another_fixed_value_is_not_nested(small_data, problems):
    options = {"model": "cru_cmr", "progress": False}

    def nested(*variants):
        plans = [make_plan(small_data, **options, **each) for each in variants]
        return is_nested(plans[0].problem, plans[1].problem, {})

    half = {"fixed": {"learning_rate": 0.5}}
    assert nested(half, {})
    assert not nested(half, {"bounds": {"learning_rate": [0.6, 0.9]}})
    assert not nested({"fixed": {"learning_rate": 0.5, "item_support": 1.0}},
                      {"fixed": {"item_support": 2.0}})  # fmt: skip
    assert not nested({**half, "bounds": {"item_support": [0, 100]}},
                      {"bounds": {"item_support": [1, 2]}})  # fmt: skip


def test_each_variant_starts_from_its_largest_special_cases(small_data, bowl):
    """Those of one mechanism less, not of two; no variant is worse than its special cases."""
    variants = {name: VARIANTS[name] for name in list(VARIANTS)[:4]}
    options = {"model": "cru_cmr", "loss": bowl, "search": TINY, "progress": False}
    found = jc.fit_variants(small_data, variants, **options)
    assert list(found) == list(variants)
    starts = {name: len(origins(result)) - 1 for name, result in found.items()}
    assert starts == {"all": 2, "no primacy": 1, "no primacy, no learning": 0, "no learning": 1}
    alone = jc.fit_variants(small_data, variants, nest=False, **options)
    assert all(origins(result) == ["random"] for result in alone.values())


def test_a_model_that_lacks_a_parameter_is_lifted_at_its_neutral_value(small_data, bowl):
    """CMR is CMR with a slowing drift at which nothing slows; without that value it is not seen."""
    variants = {"big": {"model": "cru_cmr"}, "small": {"model": "cmr"}}
    options = {"loss": bowl, "search": TINY, "progress": False}
    found = jc.fit_variants(small_data, variants, neutral=NEUTRAL, **options)
    assert origins(found["big"]) == ["random", "start_from[0]"]
    unseen = jc.fit_variants(small_data, variants, **options)
    assert origins(unseen["big"]) == ["random"]
    assert set(found["small"]["fits"]) == set(unseen["small"]["fits"])  # is not changed


NEUTRAL = {"encoding_drift_decrease": 1.0}


def test_interrupted_variants_go_on_to_the_same_results(small_data, bowl, tmp_path):
    """A folder per variant. The second call makes no run that is in one, and has equal numbers."""
    variants = {name: VARIANTS[name] for name in ("no primacy", "all")}
    options = {"model": "cru_cmr", "loss": bowl, "search": TINY, "progress": False}
    whole = jc.fit_variants(small_data, variants, checkpoint=tmp_path / "whole", **options)
    jc.fit_variants(
        small_data, {"no primacy": VARIANTS["no primacy"]}, checkpoint=tmp_path / "cut", **options
    )
    kept = count_lines(tmp_path / "cut" / "no primacy")
    again = jc.fit_variants(small_data, variants, checkpoint=tmp_path / "cut", **options)
    assert count_lines(tmp_path / "cut" / "no primacy") == kept > 0
    for name in variants:
        assert again[name]["fitness"] == whole[name]["fitness"]
        assert again[name]["fits"] == whole[name]["fits"]


def count_lines(folder):
    """Return how many finished runs a folder keeps."""
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    return sum(b'"record"' in line for line in lines)


def test_a_grid_has_a_variant_per_combination_of_levels():
    grid = variant_grid(
        {"model": "cru_cmr", "fixed": {"start_drift_rate": 1.0}},
        {
            "primacy": {"on": {}, "off": {"fixed": cru.off("primacy")}},
            "stop": {"positional": {}, "competing": {"model": "cru_cmr_context_stop"}},
            "start": {"fixed": {}, "free": {"bounds": {"start_drift_rate": [0, 1]}}},
        },
    )
    assert len(grid) == 8
    variant = grid["primacy=off, stop=competing, start=free"]
    assert variant["model"] == "cru_cmr_context_stop"
    assert variant["fixed"] == cru.off("primacy")  # bounds take the place of the fixed value
    assert grid["primacy=on, stop=positional, start=fixed"]["fixed"] == {"start_drift_rate": 1.0}
    json.dumps(grid)


@pytest.mark.parametrize(
    "factors", [{}, {"a": {}}, {"a": {"x": {"model": "cru"}}, "b": {"y": {"model": "cmr"}}}]
)
def test_an_invalid_grid_is_an_error(factors):
    with pytest.raises(ValueError, match=r"levels|as another factor"):
        variant_grid({}, factors)


@pytest.mark.parametrize(
    ("variants", "options", "message"),
    [
        ({}, {}, "dict by name"),
        ({"a": {"subjects": 3}}, {}, "same for all variants"),
        ({"a/b": {}}, {"checkpoint": "unused"}, "name of its folder"),
        ({"..": {}}, {"checkpoint": "unused"}, "name of its folder"),
        ({"a": {}, "A": {}}, {"checkpoint": "unused"}, "in case only"),
        ({"a": {}}, {"part": "1/2"}, "does not take part"),
        ({"a": {"modle": "cmr"}}, {}, "modle"),
        ({"a": {"model": "cmrr"}}, {}, "cmrr"),
    ],
)
def test_invalid_variants_are_told(small_data, variants, options, message):
    call = functools.partial(jc.fit_variants, small_data, variants, progress=False, **options)
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.full
def test_variants_of_likelihoods_are_not_worse_than_their_special_cases(small_data):
    """By polished fits, to the last thousandth of a nat."""
    variants = {name: VARIANTS[name] for name in list(VARIANTS)[:4]}
    search = {"num_steps": 5, "pop_size": 4, "best_of": 1}
    found = jc.fit_variants(
        small_data, variants, model="cru_cmr", search=search, subjects=[3], progress=False
    )
    best = {name: np.array(result["fitness"]) for name, result in found.items()}
    for small in ("no primacy", "no learning"):
        assert (best["all"] <= best[small] + 1e-3).all()
        assert (best[small] <= best["no primacy, no learning"] + 1e-3).all()
