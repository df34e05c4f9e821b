"""Trains a model: python train.py --config configs/demo.py"""

from mmssl_jax import cli

if __name__ == "__main__":
    cli.run(cli.train_main)
