"""All models on TikTok, with their own defaults; MMSSL in its best setting and as released.

python -m mmssl_jax.compare --config configs/tiktok_released.py \
    --settings configs/studies/models.py --seeds 5 --workdir runs/studies/models

`mmssl` is configs/tiktok.py; its embeddings are twice as wide as the others' 64, so it and LightGCN
are compared at both widths. `mmssl released` has its critic off.
"""

import runpy
from pathlib import Path
from typing import Any

from mmssl_jax.config import flatten

CONFIGS = Path(__file__).parents[1]
BASELINES = ("lightgcn", "lattice", "ngcf", "vbpr", "mf", "ease", "popularity", "micro")


def get_settings() -> dict[str, dict[str, Any]]:
    released, best = (
        flatten(runpy.run_path(str(CONFIGS / file))["get_config"]())
        for file in ("tiktok_released.py", "tiktok.py")
    )
    mmssl = {field: value for field, value in best.items() if value != released[field]}
    settings = {
        "mmssl": mmssl,
        "mmssl 64 wide": mmssl | {"model.embedding_dim": 64},
        "mmssl released": {"critic.enabled": False},
        "lightgcn 128 wide": {"model.name": "lightgcn", "model.embedding_dim": 128},
    }
    return settings | {name: {"model.name": name} for name in BASELINES}
