"""What each choice of configs/tiktok.py gives: one change at a time to it.

python -m mmssl_jax.compare --config configs/tiktok.py --settings configs/studies/best.py \
    --seeds 3 --workdir runs/studies/best
"""

from typing import Any


def get_settings() -> dict[str, dict[str, Any]]:
    return {
        "best": {},
        "64 wide": {"model.embedding_dim": 64},
        "2 layers": {"model.layers": 2},
        "patience 7": {"train.patience": 7},
        "no content": {"data.modalities": "none"},
        "no contrast": {"mmssl.contrastive_weight": 0.0},
        "one-sided norm": {"mmssl.normalization": "one_sided"},
        "last softmax": {"mmssl.last_softmax": True},
        "features as they are": {"data.standardize": False},
        "views added": {"mmssl.id_weight": 0.36},
        "graph top 10": {"mmssl.modality_graph": "top_k"},
        "feature weight .55": {"mmssl.modality_weight": 0.55},
        "critic of width 64": {
            "critic.enabled": True,
            "critic.hidden": 64,
            "mmssl.adversarial_weight": 1.8e-3,
            "mmssl.real_temperature": 0.002,
        },
    }
