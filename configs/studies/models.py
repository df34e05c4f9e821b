"""All models on TikTok, with their own defaults; MMSSL in its best setting and as released.

python -m mmssl_jax.compare --config configs/tiktok.py --settings configs/studies/models.py \
    --seeds 5 --workdir runs/studies/models

`mmssl` is configs/tiktok.py as it is. `mmssl released` has the settings that the authors published,
with the critic off.
"""

import runpy
from pathlib import Path
from typing import Any

BASELINES = ("lattice", "micro", "lightgcn", "ngcf", "vbpr", "mf", "ease", "popularity")


def get_settings() -> dict[str, dict[str, Any]]:
    released = runpy.run_path(str(Path(__file__).with_name("parts.py")))["get_settings"]()
    settings = {"mmssl": {}, "mmssl released": released["released"]}
    # What configs/tiktok.py chooses for MMSSL does not hold for the others.
    for name in BASELINES:
        settings[name] = {"model.name": name, "data.standardize": None}
    return settings
