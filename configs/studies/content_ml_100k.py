"""What content gains on MovieLens-100K: the hybrid with its defaults, and other models as searched.

mmssl compare --config configs/tiktok_released.py --config.data.path=data/ml-100k \
    --settings configs/studies/content_ml_100k.py --seeds 5 --workdir runs/studies/content-ml-100k

The values of LightGCN, LATTICE and MMSSL are the best of 12 trials of `mmssl tune` with the configs
in configs/studies/search, one seed each: Recall@20 on validation was .3875, .3919 and .3867. EASE
is tried with twenty L2 values. The hybrid was not searched.
"""

import runpy
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def get_settings() -> dict[str, dict[str, Any]]:
    tiktok = runpy.run_path(str(HERE / "content.py"))
    row = tiktok["row"]
    lightgcn = {
        "train.learning_rate": 1.6e-3,
        "train.embedding_l2": 1.1e-6,
        "model.layers": 1,
    }
    lattice = {
        "train.learning_rate": 2.4e-3,
        "train.embedding_l2": 1.37e-2,
        "item_graph.neighbors": 18,
        "item_graph.raw_weight": 0.96,
        "model.layers": 2,
    }
    mmssl = {
        "mmssl.learning_rate": 3.8e-3,
        "train.embedding_l2": 2.16e-2,
        "mmssl.modality_weight": 0.88,
        "mmssl.feature_dropout": 0.18,
        "model.layers": 2,
    }
    hybrid = {"model.name": "hybrid"}
    return {
        "hybrid": hybrid,
        "hybrid of 3": hybrid | {"hybrid.members": 3},
        "without content": hybrid | {"hybrid.content": (0.0,)},
        "lightgcn": row("studies/search/lightgcn.py") | lightgcn,
        "mmssl": row("studies/search/mmssl.py") | mmssl,
        "lattice": row("studies/search/lattice.py") | lattice,
        "ease": tiktok["EASE"],
        "vbpr": {"model.name": "vbpr"},
    }
