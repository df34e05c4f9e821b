"""Scores the best checkpoint of a run: python evaluate.py --config configs/demo.py"""

from mmssl_jax.commands import cli, running

if __name__ == "__main__":
    running.run(cli.evaluate_main)
