"""What LLMRec, and its pairs in other models, give on TikTok with stand-ins for a language model.

mmssl compare --config configs/tiktok_released.py --config.data.path=data/tiktok-stand-in \
    --settings configs/studies/llmrec_tiktok.py --seeds 3 --workdir runs/studies/llmrec-tiktok

after, in a copy of TikTok's folder called data/tiktok-stand-in,

mmssl train --config tiktok_lightgcn --workdir runs/base
mmssl augment --config tiktok_lightgcn --workdir runs/base \
    --config.data.path=data/tiktok-stand-in --provider stand-in --profile-modality image

LLMRec has the setting with the best validation
of 20 trials of configs/studies/search/llmrec.py; the others are configs/tiktok_lightgcn.py and
configs/tiktok_mmssl.py.
"""

import runpy
from pathlib import Path
from typing import Any

_OF_CONFIG = runpy.run_path(str(Path(__file__).with_name("content.py")))["row"]
LLMREC = {
    "model.name": "llmrec",
    "model.variant": "released",
    "model.embedding_dim": 128,
    "model.layers": 3,
    "train.learning_rate": 0.013745,
    "train.weight_decay": 1.3037e-3,
    "train.patience": 20,
    "llmrec.profile_weight": 1.0073,
    "llmrec.modality_weight": 5.9195e-3,
    "llmrec.pruned": 0.21375,
    "llmrec.last_softmax": False,
}
WITHOUT = {"llmrec.augmented_share": 0.0, "llmrec.profile_weight": 0.0}
PAIRS = {"train.augmented_share": 0.1}


def get_settings() -> dict[str, dict[str, Any]]:
    lightgcn, mmssl = (_OF_CONFIG(f"tiktok_{name}.py") for name in ("lightgcn", "mmssl"))
    return {
        "llmrec": LLMREC,
        "llmrec without stand-ins": LLMREC | WITHOUT,
        "lightgcn": lightgcn,
        "lightgcn + pairs": lightgcn | PAIRS,
        "mmssl": mmssl,
    }
