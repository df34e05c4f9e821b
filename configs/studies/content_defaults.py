"""What content gains on any data set with the hybrid's defaults, beside others with theirs.

mmssl compare --config configs/movielens.py --config.data.path=data/book-crossing \
    --settings configs/studies/content_defaults.py --seeds 5 --workdir runs/studies/book-crossing

Nothing is searched, but for EASE, which is tried with twenty L2 values.
"""

from typing import Any

HYBRID = {"model.name": "hybrid"}


def get_settings() -> dict[str, dict[str, Any]]:
    return {
        "hybrid": HYBRID,
        "hybrid of 3": HYBRID | {"hybrid.members": 3},
        "without content": HYBRID | {"hybrid.content": (0.0,)},
        "lightgcn": {"model.name": "lightgcn"},
        "lattice": {"model.name": "lattice"},
        "vbpr": {"model.name": "vbpr"},
        "ease": {"model.name": "ease", "ease.l2": tuple(2.0**power for power in range(-5, 15))},
    }
