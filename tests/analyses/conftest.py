"""Five lists, whose measures are worked by hand in the tests of this room."""

import numpy as np
import pytest


@pytest.fixture
def lists() -> dict[str, np.ndarray]:
    """Return four lists of four words and one of three.

    Words are the same in all lists; the first two are birds, the others trees::

        trial  subject  length  recalls
        0      1        4       3  4  1
        1      1        4       2  (intrusion)  3  3  1
        2      2        4       4  2
        3      2        3       1  2  3
        4      2        4       none
    """
    words = np.array([[1, 2, 3, 4]] * 3 + [[1, 2, 3, 0], [1, 2, 3, 4]])
    kinds = np.array(["", "bird", "bird", "tree", "tree"])
    recalls = [[3, 4, 1, 0, 0], [2, -1, 3, 3, 1], [4, 2, 0, 0, 0], [1, 2, 3, 0, 0], [0] * 5]
    return {
        "subject": np.array([[1], [1], [2], [2], [2]]),
        "listLength": np.array([[4], [4], [4], [3], [4]]),
        "pres_itemnos": words,
        "pres_itemids": words,
        "category": kinds[words],
        "recalls": np.array(recalls),
    }
