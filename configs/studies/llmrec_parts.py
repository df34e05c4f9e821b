"""What each part of LLMRec gives, on data that has them all.

mmssl compare --config configs/llmrec.py --config.data.path=FOLDER \
    --settings configs/studies/llmrec_parts.py --seeds 5 --workdir runs/studies/llmrec-parts
"""

from typing import Any

PARTS = {
    "pairs": {"llmrec.augmented_share": 0.0},
    "profiles": {"llmrec.profile_weight": 0.0},
    "attributes": {"llmrec.attribute_weight": 0.0, "llmrec.augmented_loss": 0.0},
}


def get_settings() -> dict[str, dict[str, Any]]:
    weights = ("augmented_share", "profile_weight", "attribute_weight")
    everything = {f"llmrec.{name}": 0.0 for name in weights}
    return {
        "llmrec": {},
        "without all": everything,
        **{f"without {name}": values for name, values in PARTS.items()},
        "paper": {"model.variant": "paper"},
        "lightgcn": {"model.name": "lightgcn"},
        "mmssl": {"model.name": "mmssl", "critic.enabled": False},
    }
