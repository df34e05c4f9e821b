"""Hostile inputs that are led by coverage: Atheris changes bytes, and keeps what reaches new code.

    PYTHONPATH=tests/data:tests:. python tests/faults/hostile_guided.py FOLDER SEED RUNS

It is asked only where Atheris is installed (an extra: pip install ".[fuzz]"). The first byte of an
input says which parser reads the rest. The corpus is made from good files. What the parsers are
written in has to be Python, as only that is measured.
"""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RUNS = 30_000
_LEAST = 0.02  # of the campaign: few runs reach nothing that the grammars do not
KIND = "inputs led by coverage"
_LONGEST = 4096  # bytes


def jobs(share: float) -> Iterator[tuple[str, list[str]]]:
    """The script and its arguments; none without Atheris, or for a small share of a campaign."""
    if share < _LEAST:
        return
    if importlib.util.find_spec("atheris") is None:
        print('no inputs are led by coverage: pip install ".[fuzz]"', file=sys.stderr)
        return
    yield "faults/hostile_guided.py", ["FOLDER", "SEED", str(round(RUNS * share))]


def main(folder: Path, seed: int, runs: int) -> None:
    """Never returns: libFuzzer ends the process, with another code than 0 where a parser failed."""
    import atheris

    with atheris.instrument_imports(include=["mmssl_jax"], enable_loader_override=False):
        readers = _readers()
    from faults.hostile_child import Watch
    from mmssl_jax.errors import InputError

    corpus = folder / "corpus"
    corpus.mkdir()
    names = sorted(readers)
    for place, name in enumerate(names):
        _, _, good = readers[name]
        for number, content in enumerate(good):
            (corpus / f"{place}-{number}").write_bytes(bytes([place]) + content[: _LONGEST - 1])
    watch = Watch()

    def one(content: bytes) -> None:
        if not content:
            return
        name, read, _ = readers[names[content[0] % len(names)]]
        path = folder / name
        path.write_bytes(content[1:])
        watch.on = True
        refusal = ""
        try:
            read(path)
        except InputError as error:
            refusal = str(error)
        finally:
            watch.on = False
        assert refusal.isprintable(), refusal
        assert not watch.seen, watch.seen

    limits = [f"-runs={runs}", f"-seed={seed % 2**31 or 1}"]
    limits += [f"-max_len={_LONGEST}", "-timeout=20", "-rss_limit_mb=8192", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", str(corpus)], one)
    print(json.dumps({"tally": {KIND: {"read": runs}}, "failures": []}), flush=True)
    atheris.Fuzz()


Reader = tuple[str, Callable[[Path], Any], list[bytes]]  # file, what reads it, good files


def _readers() -> dict[str, Reader]:
    """Name -> a parser that is written in Python."""
    import pickle

    import fuzzing_arrays
    import numpy as np
    import polars as pl
    import scipy.sparse

    from mmssl_jax import models
    from mmssl_jax.config import named
    from mmssl_jax.data.arrays import npy, pickled_dicts, pickled_matrix
    from mmssl_jax.data.features import files as features
    from mmssl_jax.data.layouts import splits_json
    from mmssl_jax.data.tables import interactions, ranked_lists
    from mmssl_jax.runs.folder import RunFolder
    from mmssl_jax.serving import where

    matrix = scipy.sparse.random_array((5, 8), density=0.3, rng=np.random.default_rng(0))
    values = np.ones((8, 3), np.float32)
    saved = fuzzing_arrays.saved
    table = pl.DataFrame({"category": ["a", "b"], "price": [1.5, None]})

    def run_config(path: Path) -> None:
        models.resolve(RunFolder(path.parent).read()[0])

    def config(path: Path) -> None:
        models.resolve(named.config(named.config_file(str(path))))

    def condition(path: Path) -> None:
        where.matching(table, path.read_bytes().decode("utf-8", "replace"))

    matrices = [getattr(matrix, f"to{kind}")() for kind in ("coo", "csr", "csc")]
    vectors = {index: [0.5] * 3 for index in range(4)}
    about = {"path": ":demo:"}
    plain = {"data": about, "model": {"name": "hybrid"}, "hybrid": {"content": [0.2]}}
    run = {"version": 1, "config": {"data.path": ":demo:", "model.name": "ease"}, "dataset": {}}
    columns: dict[str, str | None] = dict.fromkeys(("user", "item", "time", "rating"))
    rows = b'{"user_id": "u", "item_id": "i", "rating": 3}\n' * 3
    return {
        "matrix": (
            "target.pkl",
            pickled_matrix.read_matrix,
            [pickle.dumps(one, 4) for one in matrices],
        ),
        "vectors": ("target.pkl", pickled_dicts.read_vectors, [pickle.dumps(vectors, 4)]),
        "npy": ("target.npy", npy.read, [saved(lambda file: np.save(file, values))]),
        "npz": (
            "target.npz",
            features.read,
            [saved(lambda file: np.savez(file, values))],
        ),
        "tensor": ("target.pt", features.read, [fuzzing_arrays.tensor_file(values.tobytes())]),
        "pickled array": ("target.pkl", features.read, [pickle.dumps(values, 5)]),
        "split": ("target.json", splits_json.read_split, [b'{"0": [1, 2], "3": []}']),
        "toml": ("target.toml", config, [b"[data]\npath = 'x'\n"]),
        "json": ("target.json", config, [json.dumps(plain).encode()]),
        "run": ("config.json", run_config, [json.dumps(run).encode()]),
        "condition": (
            "target.txt",
            condition,
            [b"category = 'a' and not (price < 2.5)", b"price in (1)"],
        ),
        "rows": ("target.jsonl", lambda path: interactions.read(path, columns), [rows]),
        "table": (
            "target.csv",
            lambda path: interactions.read(path, columns),
            [b"user_id,item_id\nu,i\nv,j\n"],
        ),
        "run of trec": (
            "target.run",
            lambda path: ranked_lists.read(path, {}),
            [b"u Q0 i 1 0.5 x\nv Q0 i 2 0.4 x\n"],
        ),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
