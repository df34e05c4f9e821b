"""Trains a model: python train.py --config configs/demo.py"""

import sys

from mmssl_jax.commands import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
