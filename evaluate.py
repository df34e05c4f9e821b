"""Scores the best checkpoint of a run: python evaluate.py --config configs/demo.py"""

import sys

from mmssl_jax.commands import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
