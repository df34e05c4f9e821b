"""Whether the critic's width matters: five epochs of the released settings, full, narrow and off.

python -m mmssl_jax.compare --config configs/tiktok.py --settings configs/studies/critic_width.py \
    --config.train.epochs=5 --seeds 1 --workdir runs/studies/critic_width

A seed gives all three the same generator to start from.
"""

import runpy
from pathlib import Path
from typing import Any


def get_settings() -> dict[str, dict[str, Any]]:
    parts = runpy.run_path(str(Path(__file__).with_name("parts.py")))
    released = parts["get_settings"]()["released"]
    return {
        "full": released | {"critic.enabled": True},
        "width 64": released | {"critic.enabled": True, "critic.hidden": 64},
        "off": released,
    }
