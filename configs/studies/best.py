"""What each choice of configs/tiktok.py gives: one change at a time to it.

python -m mmssl_jax.compare --config configs/tiktok.py --settings configs/studies/best.py \
    --seeds 3 --workdir runs/studies/best
"""

from typing import Any


def get_settings() -> dict[str, dict[str, Any]]:
    return {
        "best": {},
        "2 layers": {"model.layers": 2},
        "no content": {"data.modalities": "none"},
        "no contrast": {"mmssl.contrastive_weight": 0.0},
        "one-sided norm": {"mmssl.normalization": "one_sided"},
        "last softmax": {"mmssl.last_softmax": True},
        "features as they are": {"data.standardize": False},
        "critic of width 64": {
            "critic.enabled": True,
            "critic.hidden": 64,
            "mmssl.adversarial_weight": 1.8e-3,
            "mmssl.real_temperature": 0.002,
        },
    }
