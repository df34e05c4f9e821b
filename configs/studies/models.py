"""All models on TikTok, with their own defaults; MMSSL in its best setting and as released.

mmssl compare --config configs/tiktok_released.py \
    --settings configs/studies/models.py --seeds 5 --workdir runs/studies/models

`mmssl` is configs/tiktok_mmssl.py, `lightgcn searched` configs/tiktok_lightgcn.py. Their embeddings
are twice as wide as the others' 64, so both models are there in both widths. `mmssl released` has
its critic off.
"""

import runpy
from pathlib import Path
from typing import Any

from mmssl_jax import models
from mmssl_jax.config import Config, flatten

CONFIGS = Path(__file__).parents[1]
BASELINES = ("lightgcn", "lattice", "ngcf", "vbpr", "mf", "ease", "popularity", "micro")


def values(config: Config) -> dict[str, Any]:
    """What a config says of all that its model reads; of the model's own sections the defaults too.

    So the row of a config undoes what the other, to which it is applied, sets there.
    """
    given = flatten(config)
    return {
        field: given.get(field, default)
        for field, default in flatten(models.resolve(config)).items()
    }


def get_settings() -> dict[str, dict[str, Any]]:
    released, best, lightgcn = (
        runpy.run_path(str(CONFIGS / file))["get_config"]()
        for file in ("tiktok_released.py", "tiktok_mmssl.py", "tiktok_lightgcn.py")
    )
    known = values(released)
    mmssl, searched = (
        {field: value for field, value in values(config).items() if value != known.get(field)}
        for config in (best, lightgcn)
    )
    settings = {
        "mmssl": mmssl,
        "mmssl 64 wide": mmssl | {"model.embedding_dim": 64},
        "mmssl released": {"critic.enabled": False},
        "lightgcn searched": searched,
        "lightgcn 128 wide": {"model.name": "lightgcn", "model.embedding_dim": 128},
    }
    return settings | {name: {"model.name": name} for name in BASELINES}
