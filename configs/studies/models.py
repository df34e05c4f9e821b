"""All models on TikTok, with their own defaults; MMSSL in its best setting and as released.

python -m mmssl_jax.compare --config configs/tiktok.py --settings configs/studies/models.py \
    --seeds 5 --workdir runs/studies/models

`mmssl` is configs/tiktok.py as it is; its embeddings are twice as wide as the others' 64, so it and
LightGCN are compared at both widths. `mmssl released` has the settings that the authors published,
with the critic off.
"""

import runpy
from pathlib import Path
from typing import Any

BASELINES = ("lightgcn", "lattice", "ngcf", "vbpr", "mf", "ease", "popularity", "micro")


def get_settings() -> dict[str, dict[str, Any]]:
    released = runpy.run_path(str(Path(__file__).with_name("parts.py")))["get_settings"]()
    # What configs/tiktok.py chooses for MMSSL does not hold for the others.
    plain = {"model.embedding_dim": 64}
    plain |= dict.fromkeys(["data.standardize", "model.layers", "train.patience"])
    wide = {"model.name": "lightgcn"} | plain | {"model.embedding_dim": 128}
    settings = {
        "mmssl": {},
        "mmssl 64 wide": {"model.embedding_dim": 64},
        "mmssl released": released["released"],
        "lightgcn 128 wide": wide,
    }
    return settings | {name: {"model.name": name} | plain for name in BASELINES}
