"""What augmented pairs give to other models: a tenth of each batch, in place of sampled items.

mmssl compare --config configs/llmrec.py --config.data.path=FOLDER \
    --settings configs/studies/llmrec_pairs.py --seeds 3 --workdir runs/studies/llmrec-pairs
"""

from typing import Any

MODELS = {"mmssl": {"critic.enabled": False}, "lattice": {}, "micro": {}, "lightgcn": {}}


def get_settings() -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name, values in MODELS.items():
        rows[name] = {"model.name": name} | values
        rows[f"{name} + pairs"] = rows[name] | {"train.augmented_share": 0.1}
    return rows
