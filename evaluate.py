"""Scores the best checkpoint of a run: python evaluate.py --config configs/demo.py"""

from mmssl_jax import cli, command

if __name__ == "__main__":
    command.run(cli.evaluate_main)
