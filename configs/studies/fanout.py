"""What training on sampled neighbours costs in accuracy: full propagation, and a few fan-outs.

mmssl compare --config configs/tiktok_lightgcn.py --settings configs/studies/fanout.py \
    --seeds 3 --workdir runs/studies/fanout
"""

from typing import Any

FANOUTS = ((10, 10), (5, 5), (2, 2))


def get_settings() -> dict[str, dict[str, Any]]:
    sampled = {f"fan-out {fanout[0]}": {"train.fanout": fanout} for fanout in FANOUTS}
    return {"full propagation": {}} | sampled
