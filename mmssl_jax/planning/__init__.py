"""What a run would need before it is run: memory, bytes sent, arithmetic, time. Nothing is computed
on a device here.

The formulas are derived in docs/scale.md, and benchmarks/plan.py holds them against compiled
programs.
"""

from mmssl_jax.planning.hardware import DEVICES
from mmssl_jax.planning.plan import MODELS, Data, Plan, planned
from mmssl_jax.planning.report import as_json, lines, tables

__all__ = ["DEVICES", "MODELS", "Data", "Plan", "as_json", "lines", "planned", "tables"]
