from mmssl_jax.config import Config


def get_config():
    config = Config()
    config.data.path = "data"
    config.model.embedding_dim = 8
    config.model.layers = 1
    config.mmssl.graph_items = 3
    config.train.batch_size = 16
    config.train.epochs = 2
    config.train.learning_rate = 3e-3
    config.train.steps_per_call = 5
    config.model.variant = "paper"
    config.mmssl.modality_graph = "top_k"
    config.critic.hidden = 8
    config.evaluation.cutoffs = (5, 20)
    return config
