"""All settings of LLMRec: their ranges and defaults, and where the paper and the release differ."""

from mmssl_jax.config.sections import (
    FRACTION,
    NOT_NEGATIVE,
    Rule,
    Section,
    one_of,
    section,
    setting,
)


@section
class LLMRec(Section):
    """Weights of the side information and of the losses, pruning, masks and restoration."""

    dropout: float = setting(0.0, FRACTION)  # of the projected side information
    modality_weight: float = setting(0.02, NOT_NEGATIVE)  # of each modality in the embeddings
    profile_weight: float = setting(2.8, NOT_NEGATIVE)  # of the users' features
    attribute_weight: float = setting(0.005, NOT_NEGATIVE)  # of each attribute
    cross_terms: bool = True  # items get users' features as well, users the items' attributes
    last_softmax: bool = True  # over the embedding axis in the last propagation layer
    augmented_share: float = setting(0.1, FRACTION)  # of a batch, whose augmented pairs are added
    augmented_loss: float = setting(0.012, NOT_NEGATIVE)  # users' features against attributes
    modality_loss: float = setting(1e-4, NOT_NEGATIVE)  # each modality's own BPR
    prune: str = setting("hardest", one_of("hardest", "easiest", "none"))  # the triples kept
    pruned: float = setting(0.71, FRACTION)  # share of the triples that each BPR leaves out
    inverse_l2: bool = setting(None)  # of the embeddings: 1 / squares, as the release has it
    feature_l2: float = setting(1e-5, NOT_NEGATIVE)
    mask_share: float = setting(None, FRACTION)  # of users and items whose features are hidden
    mask_users: bool = True  # their features are among what is hidden; so are the next
    mask_attributes: bool = True
    mask_modalities: bool = False
    mask_in_place: bool = setting(None)  # masks pile up over steps, and in evaluation
    restore_weight: float = setting(None, NOT_NEGATIVE)  # of the loss of decoding hidden features
    # Hidden features from decoded embeddings, or their projections from embeddings as they are.
    restore: str = setting("decoded", one_of("decoded", "projected"))
    restore_loss: str = setting("sce", one_of("sce", "mse"))  # (1 - cosine)^power, or squares
    restore_power: float = setting(2.0, Rule("1 or greater", lambda value: value >= 1))
    train_decoders: bool = setting(None)  # and let the gradient of the users' part through
    decoder_slope: float = setting(1.0, NOT_NEGATIVE)  # of its leaky ReLU; 1 is the identity


DEFAULTS = {
    "data.standardize": False,
    "model.embedding_dim": 64,
    "model.layers": 2,
    "train.epochs": 1000,
    "train.steps_per_epoch": 0,
    "train.learning_rate": 1e-4,
    "train.lr_decay": 1.0,
    "train.weight_decay": 1e-2,
    "train.embedding_l2": 1e-5,
    "train.evaluate_every": 1,
    "train.patience": 7,
}

# Every place in which LLMRec's public release and its paper differ, but for pruning: the paper's
# argument is for the easiest, but every public state of its code keeps the hardest.
VARIANTS = {
    "released": {
        "llmrec.inverse_l2": True,
        "llmrec.mask_share": 0.0,
        "llmrec.mask_in_place": True,
        "llmrec.restore_weight": 0.0,
        "llmrec.train_decoders": False,
    },
    "paper": {
        "llmrec.inverse_l2": False,
        "llmrec.mask_share": 0.1,
        "llmrec.mask_in_place": False,
        "llmrec.restore_weight": 1e-5,
        "llmrec.train_decoders": True,
    },
}
