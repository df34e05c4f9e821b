"""What the critic does in five epochs of the authors' settings: of full width, narrow, off.

mmssl compare --config configs/tiktok_released.py \
    --settings configs/studies/critic.py --config.train.epochs=5 --seeds 1 \
    --workdir runs/studies/critic

A seed gives all rows the same generator to start from. The last two give the critic what the paper
variant has.
"""

from typing import Any

NARROW = {"critic.hidden": 64}


def get_settings() -> dict[str, dict[str, Any]]:
    return {
        "off": {"critic.enabled": False},
        "full": {},
        "width 64": NARROW,
        "width 64 + slope .2": NARROW | {"critic.slope": 0.2},
        "width 64 + temperature on all": NARROW | {"mmssl.temper_all": True},
    }
