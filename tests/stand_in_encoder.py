"""An encoder that needs neither torch nor weights."""

import zlib

import numpy as np

from mmssl_jax.data.encoding import encoders


class Fake:
    """An encoder whose rows depend on the input and on all that is encoded with it."""

    width = 3

    def __init__(self):
        self.chunks: list[list] = []

    def encode(self, inputs) -> np.ndarray:
        self.chunks.append([getattr(each, "size", each) for each in inputs])
        numbers = [self.number(each) for each in inputs]
        return np.array([[n, sum(numbers) % 97, place] for place, n in enumerate(numbers)])

    @staticmethod
    def number(each) -> int:
        return zlib.crc32(each.encode() if isinstance(each, str) else each.tobytes()) % 1000

    def load(self, modality, name, batch_size, device) -> encoders.Encoder:
        def encode(inputs):
            return self.encode(inputs).astype(np.float32)

        return encoders.Encoder(encode, self.width, f"fake {name}")
