"""What content gains on TikTok: the hybrid, its controls, and other models as they were searched.

python -m benchmarks.controls --data data/tiktok --to data/tiktok-shuffled --shuffle-features 1
mmssl compare --config configs/tiktok_released.py \
    --settings configs/studies/content.py --seeds 5 --workdir runs/studies/content

`hybrid`, `mmssl` and `lightgcn` are configs/tiktok.py, configs/tiktok_mmssl.py and
configs/tiktok_lightgcn.py. `items searched` is the best of 12 trials of
configs/studies/search/items.py at commit 2147edea5f, when the L2 was the same for all users. EASE
is tried with twenty L2 values. The first row is what the others are tested against.
"""

import runpy
from pathlib import Path
from typing import Any

from mmssl_jax import models
from mmssl_jax.config import Config, flatten

CONFIGS = Path(__file__).parents[1]
EASE = {"model.name": "ease", "ease.l2": tuple(2.0**power for power in range(-5, 15))}


def row(file: str) -> dict[str, Any]:
    """All that a config of TikTok says to its model, but for the data and the seed."""
    config: Config = runpy.run_path(str(CONFIGS / file))["get_config"]()
    values = flatten(models.resolve(config))
    of_a_run = ("name", "data.path", "train.seed")
    return {field: value for field, value in values.items() if field not in of_a_run}


def get_settings() -> dict[str, dict[str, Any]]:
    hybrid = row("tiktok.py")
    return {
        "hybrid": hybrid,
        "hybrid of 3": hybrid | {"hybrid.members": 3},
        "without content": hybrid | {"hybrid.content": (0.0,)},
        "shuffled features": hybrid | {"data.path": "data/tiktok-shuffled"},
        "items searched": {
            "model.name": "hybrid",
            "data.modalities": "none",
            "train.learning_rate": 1.74e-3,
            "train.embedding_l2": 2.72e-2,
            "hybrid.user_exponent": 0.95,
            "hybrid.l2_exponent": 0.0,
        },
        "lightgcn": row("tiktok_lightgcn.py"),
        "mmssl": row("tiktok_mmssl.py"),
        "ease": EASE,
        "lattice": {"model.name": "lattice"},
        "vbpr": {"model.name": "vbpr"},
    }
