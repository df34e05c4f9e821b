from mmssl_jax.config import Config


def get_config() -> Config:
    config = Config()
    config.data.path = "data/tiktok"
    config.train.learning_rate = 5.4e-4
    config.mmssl.adversarial_weight = 1.8e-3
    config.mmssl.real_temperature = 0.002
    return config
