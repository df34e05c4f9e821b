"""All settings of MMSSL: their ranges and defaults, and where the paper and the release differ."""

from mmssl_jax.config.sections import (
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Rule,
    Section,
    one_of,
    section,
    setting,
)


@section
class MMSSL(Section):
    """The generator: propagation, views of the modalities, and the weights of its losses."""

    learning_rate: float = setting(5.5e-4, POSITIVE)  # where train.learning_rate is not set
    feature_dropout: float = setting(0.2, FRACTION)
    id_weight: float = setting(0.36, NOT_NEGATIVE)  # eta: fused view added to the ID embeddings
    modality_weight: float = setting(0.55, NOT_NEGATIVE)  # omega: propagated features added last
    heads: int = setting(4, POSITIVE)  # of the cross-modal attention
    normalization: str = setting("one_sided", one_of("one_sided", "symmetric"))  # of the graphs
    modality_graph: str = setting(None, one_of("none", "observed", "top_k", "released"))
    graph_items: int = setting(10, POSITIVE)  # top_k: k
    graph_rate: float = setting(1e-4, FRACTION)  # released: k as a share of the items
    graph_refresh: int = setting(
        0, NOT_NEGATIVE
    )  # steps between rebuilds; 0: top_k 1 epoch, released 1
    attention: bool = setting(None)  # across modalities; the release's softmax runs over constants
    last_softmax: bool = setting(None)  # over the embedding axis in the last propagation layer
    contrast_fused: bool = setting(None)  # contrast with the fused users, not with the final ones
    temperature: float = setting(0.5, POSITIVE)  # tau of the contrastive loss
    contrastive_weight: float = setting(0.03, NOT_NEGATIVE)
    adversarial_weight: float = setting(1e-4, NOT_NEGATIVE)  # of -mean D(fake)
    feature_l2: float = setting(1e-5, NOT_NEGATIVE)
    real_temperature: float = setting(0.005, POSITIVE)  # of the Gumbel softmax of real rows
    real_relation_weight: float = setting(100.0, NOT_NEGATIVE)  # zeta: their relation term
    temper_all: bool = setting(None)  # the temperature divides the real rows' logit, not its noise


@section
class Critic(Section):
    """The critic: its size, its optimiser, and the weight of its gradient penalty."""

    enabled: bool = True
    hidden: int = setting(  # width of the first layer; 0 is a quarter of the items
        0, NOT_NEGATIVE, Rule("0 (a quarter of the items) or above 1", lambda value: value != 1)
    )
    slope: float = setting(None, NOT_NEGATIVE)  # of the leaky ReLU; 1 is the identity
    precision: str = setting("float32", one_of("float32", "bfloat16"))  # of large products
    item_block: int = setting(0, NOT_NEGATIVE)  # items of real rows made at a time; 0: all at once
    penalty_weight: float = setting(0.3, NOT_NEGATIVE)
    learning_rate: float = setting(3e-4, POSITIVE)
    beta1: float = setting(0.5, FRACTION)
    beta2: float = setting(0.9, FRACTION)


DEFAULTS = {
    "data.standardize": False,
    "model.embedding_dim": 64,
    "model.layers": 2,
    "train.epochs": 250,
    "train.steps_per_epoch": 0,
    "train.learning_rate": "mmssl.learning_rate",
    "train.lr_decay": 1.0,
    "train.weight_decay": 1e-2,
    "train.embedding_l2": 1e-5,
    "train.evaluate_every": 1,
    "train.patience": 7,
}

# Every place in which MMSSL's public release and its paper differ, as the values of fields that
# nobody set; design choices that neither makes, such as a symmetric norm, are fields as well.
VARIANTS = {
    "released": {
        "mmssl.modality_graph": "released",
        "mmssl.attention": False,
        "mmssl.last_softmax": True,
        "mmssl.contrast_fused": False,
        "mmssl.temper_all": False,
        "critic.slope": 1.0,
    },
    "paper": {
        "mmssl.modality_graph": "top_k",
        "mmssl.attention": True,
        "mmssl.last_softmax": False,
        "mmssl.contrast_fused": True,
        "mmssl.temper_all": True,
        "critic.slope": 0.2,
    },
}
