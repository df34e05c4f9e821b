"""Hostile images: damaged ones, other kinds of files, and small ones that would become large."""

import io
import struct
import zlib

import numpy as np

Rng = np.random.Generator


def files() -> dict[str, bytes]:
    """Name -> a whole file: good images, other formats, and bombs."""
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = Image.fromarray(rng.integers(256, size=(40, 60, 3), dtype=np.uint8))
    found = {}
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "ICO", "PDF", "EPS"):
        file = io.BytesIO()
        pixels.save(file, kind)
        found[kind] = file.getvalue()
    still = io.BytesIO()
    pixels.save(still, "WEBP", save_all=True, append_images=[pixels.rotate(90)] * 50)
    found["animated WEBP"] = still.getvalue()
    found["grey PNG"] = _png(60, 40, b"\0" * 61 * 40)
    found["PNG of 80 megapixels"] = _png(8900, 8900, bytes(8901 * 8900))
    found["PNG of 4 gigapixels"] = _png(65_535, 65_535, bytes(1 << 20))
    found["PNG one pixel high"] = _png(2_000_000, 1, bytes(2_000_001))
    found["PNG of no pixel"] = _png(0, 0, b"")
    found["PNG whose text is a bomb"] = _png(
        60, 40, b"\0" * 61 * 40, (b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28), 9))
    )
    found["PNG whose profile is a bomb"] = _png(
        60, 40, b"\0" * 61 * 40, (b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 28), 9))
    )
    found["PNG of many chunks"] = _png(60, 40, b"\0" * 61 * 40, *[(b"tEXt", b"a\0b")] * 20_000)
    found["SVG"] = (
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    )
    found["PostScript"] = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch x) system\n"
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    sum_ = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_)


def _png(width: int, height: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A grey PNG of a byte a pixel."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    parts = [_chunk(kind, content) for kind, content in chunks]
    data = _chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(parts) + data + _chunk(b"IEND", b"")


def spoilt(rng: Rng, whole: dict[str, bytes]) -> tuple[str, bytes]:
    """What it is in words, and its bytes."""
    small = [name for name, content in whole.items() if len(content) < 100_000]
    name = small[rng.integers(len(small))]
    good = bytearray(whole[name])
    match rng.integers(8):
        case 0:
            name = list(whole)[rng.integers(len(whole))]
            return name, whole[name]
        case 1:
            return f"{name}, cut off", bytes(good[: rng.integers(len(good))])
        case 2:
            place, count = rng.integers(len(good)), int(rng.integers(1, 99))
            return f"{name}, spliced", bytes(good[:place]) + rng.bytes(count) + bytes(good[place:])
        case 3:  # a size in its head
            place = int(rng.integers(min(len(good) - 4, 64)))
            good[place : place + 4] = rng.choice(
                [b"\xff\xff\xff\xff", b"\0\0\xff\xff", b"\x7f\xff\xff\xff"]
            )
            return f"{name}, another head", bytes(good)
    for _ in range(rng.integers(1, 9)):
        good[rng.integers(len(good))] ^= 1 << rng.integers(8)
    return f"{name}, flipped", bytes(good)
