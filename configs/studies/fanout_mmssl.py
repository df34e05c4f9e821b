"""What training on sampled neighbours costs MMSSL in accuracy, without critic and modality graphs.

mmssl compare --config configs/tiktok_released.py --settings configs/studies/fanout_mmssl.py \
    --seeds 3 --workdir runs/studies/fanout-mmssl
"""

from typing import Any

GENERATOR = {"critic.enabled": False, "mmssl.modality_graph": "none"}


def get_settings() -> dict[str, dict[str, Any]]:
    return {
        "full propagation": GENERATOR,
        "fan-out 5 3 2 2": GENERATOR | {"train.fanout": (5, 3, 2, 2)},
    }
