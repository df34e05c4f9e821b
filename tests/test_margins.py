"""The margin that worlds are built with is refused where it is not."""

import numpy as np
import pytest
from margins import assert_margin

TIED_FIRST, TIED_EDGE = [[3.0, 3.0, 2.0, 1.0]], [[3.0, 2.0, 2.0, 1.0]]


@pytest.mark.parametrize(
    ("scores", "k", "options", "stands"),
    [
        (TIED_FIRST, 2, {}, True),
        (TIED_FIRST, 2, {"ordered": True}, False),
        (TIED_FIRST, 1, {}, False),
        (TIED_EDGE, 2, {}, False),
        (TIED_EDGE, 3, {}, True),
        (TIED_EDGE, 3, {"ordered": True}, False),
        ([[5.0, 4.0, 1.0], [2.0, 2.0 - 1e-6, 1.0]], 1, {}, False),
        ([[2.0, 2.0 - 1e-3, 1.0]], 1, {"share": 1e-4}, True),
        ([[2.0, 1.0, -np.inf, -np.inf]], 3, {"ordered": True}, True),
        ([[-np.inf, -np.inf]], 1, {}, True),
        ([[0.0, 0.0]], 1, {}, False),
    ],
)
def test_a_margin(scores, k, options, stands):
    if stands:
        assert_margin(scores, k, **options)
    else:
        with pytest.raises(AssertionError, match=r"row \d has no margin"):
            assert_margin(scores, k, **options)
