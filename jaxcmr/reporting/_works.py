"""The works that a report cites. docs/references.md lists the same works, with the same DOIs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jaxcmr.names import describe_unknown

__all__ = ["WORKS", "Work", "cite"]


class Work(NamedTuple):
    """A published work: how a text cites it, its entry in a list of references, and its DOI."""

    short: str
    entry: str
    doi: str | None = None

    @property
    def full(self) -> str:
        """Return the entry with its DOI as an address."""
        return f"{self.entry} https://doi.org/{self.doi}" if self.doi else self.entry


WORKS: Mapping[str, Work] = {
    "akaike-1974": Work(
        "Akaike, 1974",
        "Akaike, H. (1974). A new look at the statistical model identification. IEEE Transactions"
        " on Automatic Control, 19(6), 716–723.",
        "10.1109/TAC.1974.1100705",
    ),
    "andrews-2000": Work(
        "Andrews, 2000",
        "Andrews, D. W. K. (2000). Inconsistency of the bootstrap when a parameter is on the "
        "boundary of the parameter space. Econometrica, 68(2), 399–405.",
        "10.1111/1468-0262.00114",
    ),
    "bertsekas-1982": Work(
        "Bertsekas, 1982",
        "Bertsekas, D. P. (1982). Projected Newton methods for optimization problems with simple "
        "constraints. SIAM Journal on Control and Optimization, 20(2), 221–246.",
        "10.1137/0320018",
    ),
    "cohen-kahana-2022": Work(
        "Cohen & Kahana, 2022",
        "Cohen, R. T., & Kahana, M. J. (2022). A memory-based theory of emotional disorders. "
        "Psychological Review, 129(4), 742–776.",
        "10.1037/rev0000334",
    ),
    "efron-1987": Work(
        "Efron, 1987",
        "Efron, B. (1987). Better bootstrap confidence intervals. Journal of the American "
        "Statistical Association, 82(397), 171–185.",
        "10.1080/01621459.1987.10478410",
    ),
    "gershman-2016": Work(
        "Gershman, 2016",
        "Gershman, S. J. (2016). Empirical priors for reinforcement learning models. Journal of "
        "Mathematical Psychology, 71, 1–6.",
        "10.1016/j.jmp.2016.01.006",
    ),
    "gunn-polyn-2025": Work(
        "Gunn & Polyn, 2025",
        "Gunn, J. B., & Polyn, S. M. (2025). Bridging CRU and CMR in free and serial recall: A "
        "factorial comparison of retrieved-context models. The American Journal of Psychology, "
        "138(2), 203–230.",
    ),
    "hintzman-1984": Work(
        "Hintzman, 1984",
        "Hintzman, D. L. (1984). MINERVA 2: A simulation model of human memory. Behavior Research "
        "Methods, Instruments, & Computers, 16(2), 96–101.",
        "10.3758/BF03202365",
    ),
    "hintzman-1986": Work(
        "Hintzman, 1986",
        "Hintzman, D. L. (1986). “Schema abstraction” in a multiple-trace memory model. "
        "Psychological Review, 93(4), 411–428.",
        "10.1037/0033-295X.93.4.411",
    ),
    "howard-kahana-2002": Work(
        "Howard & Kahana, 2002",
        "Howard, M. W., & Kahana, M. J. (2002). A distributed representation of temporal context. "
        "Journal of Mathematical Psychology, 46(3), 269–299.",
        "10.1006/jmps.2001.1388",
    ),
    "hurvich-tsai-1989": Work(
        "Hurvich & Tsai, 1989",
        "Hurvich, C. M., & Tsai, C.-L. (1989). Regression and time series model selection in "
        "small samples. Biometrika, 76(2), 297–307.",
        "10.1093/biomet/76.2.297",
    ),
    "huys-2011": Work(
        "Huys et al., 2011",
        "Huys, Q. J. M., Cools, R., Gölzer, M., Friedel, E., Heinz, A., Dolan, R. J., & Dayan, P."
        " (2011). Disentangling the roles of approach, activation and valence in instrumental and"
        " Pavlovian responding. PLoS Computational Biology, 7(4), e1002028.",
        "10.1371/journal.pcbi.1002028",
    ),
    "jaeckel-1972": Work(
        "Jaeckel, 1972",
        "Jaeckel, L. A. (1972). The infinitesimal jackknife (Memorandum MM 72-1215-11). Bell "
        "Laboratories.",
    ),
    "kragel-2015": Work(
        "Kragel et al., 2015",
        "Kragel, J. E., Morton, N. W., & Polyn, S. M. (2015). Neural activity in the medial "
        "temporal lobe reveals the fidelity of mental time travel. The Journal of Neuroscience, "
        "35(7), 2914–2926.",
        "10.1523/JNEUROSCI.3378-14.2015",
    ),
    "logan-2021": Work(
        "Logan, 2021",
        "Logan, G. D. (2021). Serial order in perception, memory, and action. Psychological "
        "Review, 128(1), 1–44.",
        "10.1037/rev0000253",
    ),
    "morton-polyn-2016": Work(
        "Morton & Polyn, 2016",
        "Morton, N. W., & Polyn, S. M. (2016). A predictive framework for evaluating models of "
        "semantic organization in free recall. Journal of Memory and Language, 86, 119–140.",
        "10.1016/j.jml.2015.10.002",
    ),
    "polyn-2009": Work(
        "Polyn et al., 2009",
        "Polyn, S. M., Norman, K. A., & Kahana, M. J. (2009). A context maintenance and retrieval "
        "model of organizational processes in free recall. Psychological Review, 116(1), 129–156.",
        "10.1037/a0014420",
    ),
    "rigoux-2014": Work(
        "Rigoux et al., 2014",
        "Rigoux, L., Stephan, K. E., Friston, K. J., & Daunizeau, J. (2014). Bayesian model "
        "selection for group studies – Revisited. NeuroImage, 84, 971–985.",
        "10.1016/j.neuroimage.2013.08.065",
    ),
    "schwarz-1978": Work(
        "Schwarz, 1978",
        "Schwarz, G. (1978). Estimating the dimension of a model. The Annals of Statistics, 6(2),"
        " 461–464.",
        "10.1214/aos/1176344136",
    ),
    "self-liang-1987": Work(
        "Self & Liang, 1987",
        "Self, S. G., & Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood "
        "estimators and likelihood ratio tests under nonstandard conditions. Journal of the "
        "American Statistical Association, 82(398), 605–610.",
        "10.1080/01621459.1987.10478472",
    ),
    "shepard-1987": Work(
        "Shepard, 1987",
        "Shepard, R. N. (1987). Toward a universal law of generalization for psychological "
        "science. Science, 237(4820), 1317–1323.",
        "10.1126/science.3629243",
    ),
    "stephan-2009": Work(
        "Stephan et al., 2009",
        "Stephan, K. E., Penny, W. D., Daunizeau, J., Moran, R. J., & Friston, K. J. (2009). "
        "Bayesian model selection for group studies. NeuroImage, 46(4), 1004–1017.",
        "10.1016/j.neuroimage.2009.03.025",
    ),
    "storn-price-1997": Work(
        "Storn & Price, 1997",
        "Storn, R., & Price, K. (1997). Differential evolution – A simple and efficient heuristic "
        "for global optimization over continuous spaces. Journal of Global Optimization, 11(4), "
        "341–359.",
        "10.1023/A:1008202821328",
    ),
    "talmi-2019": Work(
        "Talmi et al., 2019",
        "Talmi, D., Lohnas, L. J., & Daw, N. D. (2019). A retrieved context model of the emotional "
        "modulation of memory. Psychological Review, 126(4), 455–485.",
        "10.1037/rev0000132",
    ),
    "tanabe-fukunaga-2014": Work(
        "Tanabe & Fukunaga, 2014",
        "Tanabe, R., & Fukunaga, A. S. (2014). Improving the search performance of SHADE using "
        "linear population size reduction. 2014 IEEE Congress on Evolutionary Computation, "
        "1658–1665.",
        "10.1109/CEC.2014.6900380",
    ),
    "varadhan-roland-2008": Work(
        "Varadhan & Roland, 2008",
        "Varadhan, R., & Roland, C. (2008). Simple and globally convergent methods for "
        "accelerating the convergence of any EM algorithm. Scandinavian Journal of Statistics, "
        "35(2), 335–353.",
        "10.1111/j.1467-9469.2007.00585.x",
    ),
    "venzon-moolgavkar-1988": Work(
        "Venzon & Moolgavkar, 1988",
        "Venzon, D. J., & Moolgavkar, S. H. (1988). A method for computing "
        "profile-likelihood-based confidence intervals. Applied Statistics, 37(1), 87–94.",
        "10.2307/2347496",
    ),
    "white-1982": Work(
        "White, 1982",
        "White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica, "
        "50(1), 1–25.",
        "10.2307/1912526",
    ),
    "wilson-collins-2019": Work(
        "Wilson & Collins, 2019",
        "Wilson, R. C., & Collins, A. G. E. (2019). Ten simple rules for the computational "
        "modeling of behavioral data. eLife, 8, e49547.",
        "10.7554/eLife.49547",
    ),
}
"""The works by key, as the anchors in docs/references.md name them."""


def cite(keys: Iterable[str]) -> str:
    """Return a citation of several works in parentheses, with a space before; or nothing.

    Raises:
        ValueError: a work is unknown.

    >>> cite(["polyn-2009", "kragel-2015"])
    ' (Kragel et al., 2015; Polyn et al., 2009)'
    """
    keys = list(keys)
    for key in keys:
        if key not in WORKS:
            raise ValueError(describe_unknown("work", key, WORKS))
    return f" ({'; '.join(sorted(WORKS[key].short for key in keys))})" if keys else ""
