"""Random-effects selection: published numbers in both priors, exact integrals, and properties."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import gammaln, logsumexp

from jaxcmr.comparison import _exact, akaike_weights, bayesian_model_selection
from jaxcmr.comparison._dirichlet import exceedance, mixture_exceedance

WEIGHTS = """
2.50809867187394e-22 0.000146611855314775 4.58668624689671e-25 4.10535400464176e-07
0.0686634208305935 0.0367833971579169 0.000110346493359948 1.68129802885811e-08
0.108275519613786 3.9578164134093e-11 0.0367837099909541 1.08999881504e-07
0.0343412062159018 0.00446326510403562 0.00172330666747482 0.000990826155243488
0.158393579220946 0.0295386936257688 0.00012552265085804 0.0272190104668559
0.0530936016907313 2.07255371227757e-10 0.0214823528123676 4.73437495302293e-05
0.677938621542126 5.20954432898137e-08 0.000627393517771912 0.000388486329012404
3.17565869877651e-18 0.191176500286399 3.83899865682068e-07 0.0619217494201652
0.559188952807853 5.06676447796227e-09 0.0418921682773635 0.702014475355336
0.249399681241455 0.862817395918837 0.864775715064725 0.865617369930796
0.147322698727657 0.643610120435765 0.866608545004982 0.789544918511435
0.207285291019464 0.866813333179825 0.779961587662899 0.258256692887969
0.0337525764999333 0.116769634805204 0.117034665657295 0.11714857188609
0.497854787795748 0.0871031579431148 0.117282712780637 0.106853285174707
0.0635553531488496 0.117310426702891 0.105556322380037 0.0349512426797482
0.00456791450058339 0.0158030402211649 0.0158389190927326 0.0158543351634575
0.127765513425055 0.0117881305510349 0.0158724891702976 0.0144610196138568
0.00860128171931599 0.0158762348036855 0.0143238588763795 0.00473013632753477
"""
"""Akaike weights of six models for twelve subjects, model by model, published with bmsR (CC BY)."""

PUBLISHED = np.log(np.array(WEIGHTS.split(), float).reshape(6, 12).T)


def close(found, digits, expected):
    """Compare to so many decimals, as printed."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.6 * 10.0**-digits)


def test_the_numbers_of_spm_in_its_prior():
    """SPM stops when alpha moves by less than 0.001; the further digits are those at rest."""
    found = bayesian_model_selection(PUBLISHED)
    spm = [1.043623, 1.064976, 1.720754, 11.835847, 1.290641, 1.044160]
    np.testing.assert_allclose(found.alpha, spm, atol=5e-4)
    np.testing.assert_allclose(
        found.expected_frequency,
        [0.05797903, 0.05916533, 0.09559743, 0.65754706, 0.07170226, 0.05800889],
        atol=3e-5,
    )
    close(found.alpha, 8, [1.04362315, 1.06497498, 1.72039005, 11.83624363, 1.29061000, 1.04415820])
    close(found.log_evidence_unequal, 7, -15.6576406)
    close(found.log_evidence_equal, 7, -21.5011136)
    close(found.bor, 11, 0.00289037917)
    close(
        found.exceedance,
        8,
        [0.00029507, 0.00031065, 0.00117917, 0.99740353, 0.00051613, 0.00029546],
    )
    close(
        found.protected_exceedance,
        8,
        [0.00077595, 0.00079148, 0.00165749, 0.99500238, 0.00099637, 0.00077633],
    )
    sampled = [0.000279, 0.000319, 0.001173, 0.997441, 0.000514, 0.000274]  # of a million draws
    np.testing.assert_allclose(found.exceedance, sampled, atol=7e-5)


def test_the_numbers_of_the_vba_prior():
    """With one prior count in all, the same data have a fiftieth of the omnibus risk."""
    found = bayesian_model_selection(PUBLISHED, prior="vba")
    alpha = [0.16683419, 0.16691034, 0.16803938, 12.16392503, 0.16745706, 0.16683401]
    close(found.alpha, 8, alpha)
    close(found.bor, 10, 5.37846e-5)
    close(found.exceedance["4"], 8, 0.99995906)
    close(found.protected_exceedance["4"], 8, 0.99991424)
    numbers = bayesian_model_selection(PUBLISHED, prior=1 / 6)
    np.testing.assert_array_equal(numbers.alpha, found.alpha)
    assert numbers.prior == "numbers"


def test_the_exact_numbers_of_the_same_data(monkeypatch):
    """Six models are more than the door lets in, but not more than twelve subjects allow."""
    with pytest.raises(ValueError, match="up to 5 models"):
        bayesian_model_selection(PUBLISHED, method="exact")
    monkeypatch.setattr(_exact, "MOST_MODELS", 6)
    spm = bayesian_model_selection(PUBLISHED, method="exact")
    frequencies = [0.05953285, 0.0613051, 0.1047084, 0.63555692, 0.0793736, 0.05952315]
    close(spm.expected_frequency, 8, frequencies)
    close(spm.log_evidence_unequal, 7, -15.0889572)
    close(spm.bor, 8, 0.00163879)
    close(spm.exceedance["4"], 3, 0.984)
    vba = bayesian_model_selection(PUBLISHED, prior="vba", method="exact")
    close(vba.expected_frequency["4"], 8, 0.90726991)
    close(vba.log_evidence_unequal, 7, -11.3613085)
    close(vba.bor, 11, 3.947494e-5)


def test_exceedance_of_stephan_2009():
    """Of two models with alpha 11.8 and 2.2; a beta distribution for two, draws for three."""
    close(exceedance(np.array([11.8, 2.2])), 5, [0.99739, 0.00261])
    for a, b in ([11.8, 2.2], [0.2, 0.5], [80.0, 90.0], [1.0, 300.0]):
        np.testing.assert_allclose(
            exceedance(np.array([a, b]))[0], stats.beta.sf(0.5, a, b), atol=1e-12
        )
    alpha = np.array([3.0, 4.0, 2.5])
    draws = np.random.default_rng(1).dirichlet(alpha, 200_000).argmax(1)
    np.testing.assert_allclose(exceedance(alpha), np.bincount(draws) / 200_000, atol=4e-3)


def test_exceedance_of_a_mixture_is_the_mixture_of_exceedances():
    alpha = np.array([[3.0, 4.0, 2.5], [1.0, 9.0, 0.2], [5.0, 5.0, 5.0]])
    weights = np.array([0.2, 0.5, 0.3])
    expected = sum(w * exceedance(a) for w, a in zip(weights, alpha, strict=True))
    np.testing.assert_allclose(mixture_exceedance(alpha, weights), expected, atol=1e-12)


def test_fixed_effects():
    """SPM's own test: five subjects with evidence -10.3 and -9.7, a log group Bayes factor of 3."""
    found = bayesian_model_selection(np.tile([-10.3, -9.7], (5, 1)))
    np.testing.assert_allclose(found.fixed_effects, [1 - 0.9526, 0.9526], atol=5e-5)


def by_enumeration(evidence, prior):
    """Return log evidence, mean frequencies and responsibilities by a sum over assignments."""
    n_subjects, n_models = evidence.shape
    logs, counts, picks = [], [], list(itertools.product(range(n_models), repeat=n_subjects))
    for pick in picks:
        count = np.bincount(pick, minlength=n_models)
        a = prior + count
        beta = gammaln(a).sum() - gammaln(a.sum()) - gammaln(prior).sum() + gammaln(prior.sum())
        logs.append(evidence[np.arange(n_subjects), pick].sum() + beta)
        counts.append(a)
    total = logsumexp(logs)
    weights = np.exp(np.array(logs) - total)
    shares = [
        [weights[[p[n] == k for p in picks]].sum() for k in range(n_models)]
        for n in range(n_subjects)
    ]
    return total, weights @ np.array(counts) / (prior.sum() + n_subjects), np.array(shares)


@pytest.mark.parametrize("n_models", [2, 3, 4])
@pytest.mark.parametrize("in_logs", [False, True])
def test_the_exact_posterior_is_the_sum_over_all_assignments(n_models, in_logs, monkeypatch):
    """Of five subjects to models: 3125 and fewer terms, in both arithmetics."""
    if in_logs:
        monkeypatch.setattr(_exact, "SAFE", -1.0)
    evidence = 2 * np.random.default_rng(n_models).normal(size=(5, n_models))
    prior = np.linspace(0.3, 1.2, n_models)
    total, mean, shares = by_enumeration(evidence, prior)
    found = bayesian_model_selection(evidence, prior=prior, method="exact")
    np.testing.assert_allclose(found.log_evidence_unequal, total, rtol=1e-12)
    np.testing.assert_allclose(found.expected_frequency, mean, rtol=1e-12)
    np.testing.assert_allclose(found.responsibilities, shares, rtol=1e-10)


def test_sd_and_exceedance_of_the_exact_posterior_are_integrals():
    """Of two models: over one frequency, by SciPy's quadrature."""
    evidence = 2 * np.random.default_rng(3).normal(size=(7, 2)) + [0.8, 0.0]

    def density(r):
        return np.prod(np.exp(evidence[:, 0]) * r + np.exp(evidence[:, 1]) * (1 - r))

    def integral(f, low=0.0):
        return integrate.quad(lambda r: f(r) * density(r), low, 1, epsabs=0, epsrel=1e-11)[0]

    total, mean = integral(lambda r: 1.0), integral(lambda r: r)
    found = bayesian_model_selection(evidence, method="exact")
    np.testing.assert_allclose(found.log_evidence_unequal, np.log(total), rtol=1e-9)
    sd = np.sqrt(integral(lambda r: r**2) / total - (mean / total) ** 2)
    np.testing.assert_allclose(found.sd["1"], sd, rtol=1e-8)
    above = integral(lambda r: 1.0, 0.5) / total
    np.testing.assert_allclose(found.exceedance["1"], above, atol=1e-8)


def test_the_variational_omnibus_risk_is_never_too_small():
    """With identical evidence the exact risk is one half; the bound makes it higher."""
    for n_subjects, n_models, risk in ((20, 2, 0.787), (20, 4, 0.950), (126, 3, 0.982)):
        same = np.zeros((n_subjects, n_models))
        close(bayesian_model_selection(same).bor, 3, risk)
        np.testing.assert_allclose(bayesian_model_selection(same, method="exact").bor, 0.5, 1e-9)
    some = np.random.default_rng(0).normal(size=(30, 3))
    exact = bayesian_model_selection(some, method="exact")
    bound = bayesian_model_selection(some)
    assert bound.log_evidence_unequal < exact.log_evidence_unequal and bound.bor > exact.bor


@pytest.mark.parametrize("method", ["variational", "exact"])
def test_swapping_models_swaps_the_answer(method):
    """And a duplicate has the frequency of the model it copies; a constant changes nothing."""
    evidence = pd.DataFrame(np.random.default_rng(5).normal(size=(15, 3)), columns=list("abc"))
    found = bayesian_model_selection(evidence, method=method)
    swapped = bayesian_model_selection(evidence[["c", "a", "b"]], method=method)
    shifted = evidence.add(1000.0 * np.random.default_rng(6).normal(size=15), axis=0)
    lifted = bayesian_model_selection(shifted, method=method)
    for other in (swapped, lifted):
        for name in ("alpha", "sd", "exceedance", "protected_exceedance"):
            one, two = getattr(found, name), getattr(other, name)[list("abc")]
            np.testing.assert_allclose(two, one, atol=1e-8)
        np.testing.assert_allclose(other.bor, found.bor, rtol=1e-8)
    double = evidence.assign(copy=evidence["a"])
    twin = bayesian_model_selection(double, method=method)
    np.testing.assert_allclose(twin.alpha["copy"], twin.alpha["a"], rtol=1e-8)
    np.testing.assert_allclose(twin.exceedance.sum(), 1, rtol=1e-8)


@pytest.mark.parametrize("method", ["variational", "exact"])
def test_families_share_the_prior(method):
    """A family of one model and one of three alike have the odds of two models."""
    pair = np.random.default_rng(7).normal(size=(12, 2))
    expanded = pd.DataFrame(pair[:, [0, 1, 1, 1]], columns=["a", "b1", "b2", "b3"])
    families = {"A": ["a"], "B": ["b1", "b2", "b3"]}
    found = bayesian_model_selection(expanded, families=families, method=method)
    plain = bayesian_model_selection(pair, method=method)
    assert found.prior_counts.tolist() == [1, 1 / 3, 1 / 3, 1 / 3]
    np.testing.assert_allclose(found.log_evidence_equal, plain.log_evidence_equal)
    assert list(found.exceedance.index) == ["A", "B"] and found.responsibilities.shape == (12, 4)
    if method == "exact":  # the prior of a family is that of a model; so is the posterior
        for name in ("alpha", "sd", "exceedance"):
            np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-7)
        np.testing.assert_allclose(found.bor, plain.bor, rtol=1e-9)


def test_invalid_input_is_told():
    evidence = np.zeros((3, 2))
    invalid = [
        (dict(log_evidence=np.zeros((3, 1))), "two models"),
        (dict(log_evidence=np.full((3, 2), np.inf)), "finite"),
        (dict(prior="smp"), "Did you mean 'spm'"),
        (dict(prior=[1, 2, 3]), "one per model"),
        (dict(prior=-1.0), "positive"),
        (dict(method="gibbs"), "Unknown method"),
        (dict(families={"A": ["1"]}), "two or more"),
        (dict(families={"A": ["1"], "B": ["1", "2"]}), "in one of them"),
    ]
    for changes, message in invalid:
        with pytest.raises(ValueError, match=message):
            bayesian_model_selection(**{"log_evidence": evidence, **changes})


def test_a_column_of_subjects_is_not_a_model():
    """Catches subject ids, or numbers of lists, that are the evidence of a model: the greatest."""
    table = pd.DataFrame({"subject": [63, 64], "A": [-100.0, -120.0], "B": [-105.0, -118.0]})
    for function in (bayesian_model_selection, akaike_weights):
        with pytest.raises(ValueError, match=r"'subject' is not a model.*set_index\('subject'\)"):
            function(table)
        with pytest.raises(ValueError, match="'n_lists' is not a model"):
            function(table.set_index("subject").assign(n_lists=28))
        function(table.set_index("subject"))


def test_names_are_compared_as_text():
    """Models 1, 2 and 3 of an array, or of columns of numbers, are those of the families."""
    evidence = np.array([[0.0, -1.0, -2.0], [0.0, -3.0, -1.0]])
    expected = bayesian_model_selection(evidence, families={"a": ["1", "2"], "b": ["3"]})
    for table in (evidence, pd.DataFrame(evidence, columns=[1, 2, 3])):
        found = bayesian_model_selection(table, families={"a": [1, 2], "b": [3]})
        assert found.alpha.equals(expected.alpha)
        np.testing.assert_allclose(found.prior_counts, [0.5, 0.5, 1.0])
    with pytest.raises(ValueError, match="same name"):
        bayesian_model_selection(pd.DataFrame(evidence[:, :2], columns=[1, "1"]))


def test_a_model_that_is_ruled_out():
    """-inf is evidence: the subject has one of the others, and no number becomes NaN."""
    evidence = np.array([[0.0, -np.inf, -1.0], [0.0, -2.0, -np.inf], [-3.0, 0.0, 0.0]])
    for method in ("variational", "exact"):
        found = bayesian_model_selection(evidence, method=method)
        assert found.responsibilities.iloc[0, 1] == 0 and np.isfinite(found.bor)
        np.testing.assert_allclose(found.responsibilities.sum(axis=1), 1)


def test_the_verdict_names_the_prior_and_the_risk():
    words = bayesian_model_selection(PUBLISHED).verdict()
    assert "prior 'spm', variational; 12 subjects" in words and "4 is ahead" in words
    same = bayesian_model_selection(np.zeros((20, 2)))
    assert "cannot be ruled out" in same.verdict() and "<table" in same._repr_html_()
    assert same.table()["model"].tolist() == ["1", "2"]
    assert "1, 2 are equally frequent, each with an expected frequency of 0.50" in same.verdict()
    two = np.tile([[0.0, -9.0, -20.0], [-9.0, 0.0, -20.0]], (20, 1))  # each the best of 20
    assert "): 1, 2 are equally frequent" in bayesian_model_selection(two).verdict()
    assert "): 1 is the most frequent" in bayesian_model_selection(two[:-1]).verdict()


def one_better(n_first, n_second, by=6.0):
    """Return evidence of two models, the first of which is better for `n_first` subjects."""
    return np.array([[by, 0.0]] * n_first + [[0.0, by]] * n_second)


TWO_OF_FOUR = np.tile([[9.0, 0, -90, -90], [0, 9.0, -90, -90]], (10, 1))


@pytest.mark.parametrize(
    ("evidence", "certain", "said"),
    [
        (one_better(3, 2), (False, False, False), "are equally frequent cannot be ruled out."),
        (
            one_better(12, 0),
            (True, True, True),
            ": the models differ in frequency, and 1 is ahead.",
        ),
        (
            one_better(5, 0),
            (True, False, True),
            "if the models differ in frequency, 1 is ahead; that they do is likely, but not "
            "certain.",
        ),
        (
            TWO_OF_FOUR,
            (True, False, False),
            "the models probably differ in frequency, but which is ahead is not certain.",
        ),
    ],
)
def test_the_verdict_says_what_is_certain(evidence, certain, said):
    """Certain are: risk of .25 or less; protected exceedance of .95 or more; exceedance so."""
    found = bayesian_model_selection(evidence)
    highest = found.protected_exceedance.max(), found.exceedance.max()
    assert (found.bor <= 0.25, *(each >= 0.95 for each in highest)) == certain
    assert found.verdict().endswith(said)


def test_the_verdict_on_families_is_of_families():
    evidence = np.tile([9.0, 9.0, 0.0], (12, 1))
    found = bayesian_model_selection(evidence, families={"a": [1, 2], "b": [3]})
    assert found.verdict().endswith("the families differ in frequency, and a is ahead.")


def test_missing_evidence_names_subjects_and_models():
    """Without these subjects, as the message says, the rest is computed."""
    table = pd.DataFrame({"CMR": [1.0, np.nan, 2.0], "CRU": [0.0, 1.0, 0.5]}, index=[7, 66, 8])
    with pytest.raises(
        ValueError, match=r"subject 66, of the models CMR.*log_evidence\.dropna\(\)"
    ):
        bayesian_model_selection(table)
    assert bayesian_model_selection(table.dropna()).n_subjects == 2
    with pytest.raises(ValueError, match=r"rows \(from 0\) 1, of the models 1: .*np\.isnan"):
        bayesian_model_selection(table.to_numpy())
