"""What each part of MMSSL gives: one change at a time to the released variant, critic off.

mmssl compare --config configs/tiktok_released.py \
    --settings configs/studies/parts.py --seeds 3 --workdir runs/studies/parts

The rows with a graph change one thing to `graph observed` or `graph top 10`, and one row joins two
changes. Attention and the fused users need `graph top 10`: on the observed graph all modalities
have the same view, and there is nothing to fuse. The critic is off but in the row that is about it,
as it takes nearly all of the time; `paper` is without it as well.
"""

from typing import Any

OBSERVED = {"mmssl.modality_graph": "observed"}
TOP_K = {"mmssl.modality_graph": "top_k"}

# Label -> what is changed.
CHANGES: dict[str, dict[str, Any]] = {
    "released": {},
    "paper": {"model.variant": "paper"},
    "no content": {"data.modalities": "none"},
    "no last softmax": {"mmssl.last_softmax": False},
    "symmetric norm": {"mmssl.normalization": "symmetric"},
    "standardized features": {"data.standardize": True},
    "no last softmax + standardized": {"mmssl.last_softmax": False, "data.standardize": True},
    "graph observed": OBSERVED,
    "graph top 10": TOP_K,
    "graph top 3": TOP_K | {"mmssl.graph_items": 3},
    "graph top 30": TOP_K | {"mmssl.graph_items": 30},
    "graph top 10 every 30 steps": TOP_K | {"mmssl.graph_refresh": 30},
    "graph top 10 + attention": TOP_K | {"mmssl.attention": True},
    "graph top 10 + contrast with fused": TOP_K | {"mmssl.contrast_fused": True},
    "graph observed without contrast": OBSERVED | {"mmssl.contrastive_weight": 0.0},
    "graph observed + contrast .1": OBSERVED | {"mmssl.contrastive_weight": 0.1},
    "graph observed + temperature .2": OBSERVED | {"mmssl.temperature": 0.2},
    "1 layer": {"model.layers": 1},
    "3 layers": {"model.layers": 3},
    "learning rate .001": {"mmssl.learning_rate": 1e-3},
    "learning rate .003": {"mmssl.learning_rate": 3e-3},
    "learning rate decay .96": {"train.lr_decay": 0.96},
    "feature weight 0": {"mmssl.modality_weight": 0.0},
    "feature weight .2": {"mmssl.modality_weight": 0.2},
    "patience 20": {"train.patience": 20},
    "critic of width 64": {"critic.enabled": True, "critic.hidden": 64},
}


def get_settings() -> dict[str, dict[str, Any]]:
    return {label: {"critic.enabled": False} | changes for label, changes in CHANGES.items()}
