"""The softmax of the last layer on Amazon-Baby, on its interactions alone.

mmssl compare --config configs/baby.py --settings configs/studies/baby.py \
    --seeds 1 --workdir runs/studies/baby

LightGCN is there for scale.
"""

from typing import Any


def get_settings() -> dict[str, dict[str, Any]]:
    alone = {"data.modalities": "none", "critic.enabled": False}
    return {
        "no last softmax": alone,
        "last softmax": alone | {"mmssl.last_softmax": True},
        "lightgcn": {"model.name": "lightgcn", "data.modalities": "none"},
    }
