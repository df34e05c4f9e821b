"""The settings of the hybrid, and what it takes for shared ones that nobody set."""

from mmssl_jax.config.sections import (
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    POSITIVE_OR_OFF,
    Section,
    section,
    setting,
)
from mmssl_jax.models import cf


@section
class Hybrid(Section):
    """How the parts are trained, and what each counts for."""

    members: int = setting(1, POSITIVE)  # models of other seeds, whose scores are averaged
    user_exponent: float = setting(0.75, NOT_NEGATIVE)  # a user: the sum of his n items / n**this
    l2_exponent: float = setting(0.5, NOT_NEGATIVE)  # L2 of a pair: train.embedding_l2 / n**this
    hidden: float = setting(0.5, FRACTION)  # share of pairs whose item is left out of its user
    average: float = setting(0.995, FRACTION)  # decay, by step, of the parameters' moving average
    graph: float = setting(0.0, NOT_NEGATIVE)  # weight of the graph's scores; 0 trains no graph
    content: tuple[float, ...] = setting(
        (0.2, 0.6), POSITIVE_OR_OFF
    )  # weights, in turn; (0.0,) is without
    content_exponent: float = setting(0.75, NOT_NEGATIVE)  # of `Content.item_scale`
    shrinkage: float = setting(100.0, POSITIVE)  # of what items without a pair inherit: `Content`
    sharpness: float = setting(11.0, POSITIVE)  # of `content_graph`, as the two that follow
    rank: int = setting(64, POSITIVE)
    neighbors: int = setting(20, POSITIVE)


# An epoch is short, as the best one may come early.
DEFAULTS = cf.DEFAULTS | {
    "model.embedding_dim": 256,
    "train.embedding_l2": 5e-2,
    "data.standardize": True,
    "train.epochs": 200,
    "train.steps_per_epoch": 40,
    "train.patience": 20,
}
