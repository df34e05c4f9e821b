"""Trains a model: python train.py --config configs/demo.py"""

from mmssl_jax import cli, command

if __name__ == "__main__":
    command.run(cli.train_main, on_interrupt=cli.GOES_ON)
