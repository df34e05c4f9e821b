"""Trains a model: python train.py --config configs/demo.py"""

from mmssl_jax.commands import cli, running

if __name__ == "__main__":
    running.run(cli.train_main, on_interrupt=cli.GOES_ON)
