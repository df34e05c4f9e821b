"""Whether the critic's width matters: five epochs of the released settings, full, narrow and off.

python -m mmssl_jax.compare --config configs/tiktok_released.py \
    --settings configs/studies/critic_width.py --config.train.epochs=5 --seeds 1 \
    --workdir runs/studies/critic_width

A seed gives all three the same generator to start from.
"""

from typing import Any


def get_settings() -> dict[str, dict[str, Any]]:
    return {"full": {}, "width 64": {"critic.hidden": 64}, "off": {"critic.enabled": False}}
