"""What each choice of configs/tiktok.py gives: one change at a time to it.

python -m mmssl_jax.compare --config configs/tiktok.py --settings configs/studies/best.py \
    --seeds 3 --workdir runs/studies/best
"""

from typing import Any


def get_settings() -> dict[str, dict[str, Any]]:
    return {
        "best": {},
        "no content": {"data.modalities": "none"},
        "published L2": {"train.embedding_l2": 1e-5},
        "contrast with neighbours": {
            "mmssl.modality_graph": "observed",
            "mmssl.id_weight": 0.0,
            "mmssl.contrastive_weight": 0.003,
            "mmssl.temperature": 0.1,
        },
        "critic of width 64": {
            "critic.enabled": True,
            "critic.hidden": 64,
            "mmssl.adversarial_weight": 1.8e-3,
            "mmssl.real_temperature": 0.002,
        },
    }
