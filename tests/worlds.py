"""Tiny data sets, configs and runs for the end-to-end tests."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from mmssl_jax import config as configs
from mmssl_jax import data, models
from mmssl_jax.commands import call, config_arguments, main
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.dataset import assemble
from mmssl_jax.data.layouts import canonical

USERS, ITEMS = 30, 40
WIDTHS = {"image": 5, "text": 3}
ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data"  # the real data sets, where they are beside the checkout
COLD = np.arange(24, ITEMS)  # the items of `cold_world` that no user has in training
MANY_COLD = np.arange(16, ITEMS)  # enough of them for lists of 20
HELD_OUT = 120  # pairs of val and test in `cold_world`
STEPS = 16  # of an epoch, by the protocol: 240 pairs // 16 + 1
SECONDS = {"seconds", "seconds_per_epoch", "compile_seconds", "checksum"}  # no two runs share

_CONFIG = """
from mmssl_jax.config import Config


def get_config():
    config = Config()
    config.data.path = {path!r}
    config.data.modalities = "none"
    config.model.embedding_dim = 8
    config.model.layers = 1
    config.mmssl.graph_items = 3
    config.train.batch_size = 16
    config.train.epochs = 3
    config.train.learning_rate = 3e-3
    config.train.steps_per_call = 5
    config.critic.enabled = False
    config.evaluation.cutoffs = (5, 20)
    return config
"""


def mmssl(*arguments: object) -> None:
    """Runs `mmssl` in this process; raises InputError where it would end with a line."""
    call(list(map(str, arguments)))


def world(seed: int = 0, test_seed: int = 0) -> Dataset:
    """Users who like items of their own parity; `test_seed` changes the test split alone."""
    rng, test_rng = np.random.default_rng(seed), np.random.default_rng(test_seed)
    pairs = {"train": [], "val": [], "test": []}
    for user in range(USERS):
        items = rng.permutation(np.arange(user % 2, ITEMS, 2))
        pairs["train"] += [(user, item) for item in items[:8]]
        pairs["val"] += [(user, item) for item in items[8:11]]
        pairs["test"] += [(user, item) for item in test_rng.permutation(items[11:])[:3]]
    features = {
        name: rng.normal(size=(ITEMS, width)).astype(np.float32) for name, width in WIDTHS.items()
    }
    splits = {split: tuple(np.array(found).T) for split, found in pairs.items()}
    return assemble("tiny", "tiny", (USERS, ITEMS), splits, features)


def cold_world(share: float = 1.0, cold: np.ndarray = COLD) -> Dataset:
    """`world` dealt anew: of the pairs of val and of test this share are of the cold items."""
    whole, rng = world(), np.random.default_rng(5)
    pairs = rng.permutation(np.argwhere((whole.train + whole.val + whole.test).toarray()))
    of_cold = np.isin(pairs[:, 1], cold)
    cold_held = int(share * HELD_OUT)
    warm_held = HELD_OUT - cold_held
    held = np.concatenate([pairs[of_cold][:cold_held], pairs[~of_cold][:warm_held]])
    splits = {"train": pairs[~of_cold][warm_held:], "val": held[::2], "test": held[1::2]}
    splits = {split: (found[:, 0], found[:, 1]) for split, found in splits.items()}
    return assemble("cold", "cold", (USERS, ITEMS), splits, whole.features)


class Place:
    """A folder with tiny data, a config file, and a run."""

    def __init__(self, folder: Path, dataset: Dataset | None = None):
        self._name(folder)
        canonical.write(dataset or world(), self.data, {"from": "tests"})
        (self.data / "dataset.json").unlink()  # the counts then follow from the files
        (self.data / "files.sha256").unlink()  # which tests edit
        self.config.write_text(_CONFIG.format(path=str(self.data)))

    @classmethod
    def opened(cls, folder: Path) -> "Place":
        """A place that was made before."""
        place = cls.__new__(cls)
        place._name(folder)
        return place

    def _name(self, folder: Path) -> None:
        self.data, self.config, self.run = folder / "data", folder / "tiny.py", folder / "run"

    def argv(self, *flags: str) -> list[str]:
        """The arguments of a command; later flags win."""
        return [f"--config={self.config}", f"--workdir={self.run}", *flags]

    def train(self, *flags: str) -> None:
        mmssl("train", *self.argv(*flags))

    def evaluate(self, *flags: str) -> None:
        mmssl("evaluate", *self.argv(*flags))

    @property
    def results(self) -> dict:
        return json.loads((self.run / "results.json").read_text())

    @property
    def metrics(self) -> list[dict]:
        lines = (self.run / "metrics.jsonl").read_text().splitlines()
        return [untimed(json.loads(line)) for line in lines]

    @property
    def checkpoints(self) -> list[str]:
        """The epochs that have one."""
        return sorted(path.name for path in (self.run / "checkpoints").iterdir())

    def arrays(self, epoch: int) -> dict[str, np.ndarray]:
        """Everything in the checkpoint of an epoch."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # orbax asks for shardings
            return jax.tree.map(np.asarray, ocp.load(self.run / "checkpoints" / str(epoch)))


def given(*arguments: str) -> Given:
    """What a command makes of the arguments of its config."""
    taken, _ = config_arguments.take(arguments, models.fields())
    return config_arguments.read(taken, "mmssl")


def config_of(name: str, **values) -> Config:
    """A config for the tiny world; `values` are fields by dotted path, '__' for a dot."""
    config = Config()
    config.data.path, config.model.name = "tiny", name
    config.model.embedding_dim, config.model.layers = 8, 2
    config.item_graph.neighbors = 3
    config.train.batch_size, config.train.steps_per_epoch = 16, 4
    config.train.epochs, config.train.evaluate_every = 2, 1
    config.evaluation.cutoffs = (5, 20)
    flat = configs.flatten(config) | {k.replace("__", "."): v for k, v in values.items()}
    return models.resolve(configs.unflatten(flat))


def code_of(arguments: Sequence[str]) -> int:
    """The exit code of `mmssl` with these arguments."""
    try:
        main(arguments)
    except SystemExit as exit_:
        return exit_.code
    return 0


def refused(command: str, argv: list[str], capsys) -> str:
    """The one line of a command that exits with 2."""
    assert code_of([command, *argv]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


def assert_same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """The same names, shapes, types and bits."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], strict=True, err_msg=name)


def assert_same_run(one: Place, other: Place, epochs: int) -> None:
    """The same numbers, files and bits, after this many epochs."""
    assert_same_arrays(one.arrays(epochs), other.arrays(epochs))
    assert one.metrics == other.metrics
    assert untimed(one.results) == untimed(other.results)
    assert one.checkpoints == other.checkpoints


def untimed(values: dict) -> dict:
    """The values that must not differ between two runs."""
    return {name: value for name, value in values.items() if name not in SECONDS}


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, with its bytes, but what Python compiled."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


def with_side_information(folder: Path) -> Path:
    """The demo data as a folder, with profiles, an attribute, and two pairs that can be used."""
    demo = data.load(data.DEMO)
    canonical.write(demo, folder, {})
    rng = np.random.default_rng(0)
    users, items = demo.train.shape
    np.save(folder / "user_profile_feat.npy", rng.normal(size=(users, 5)))
    np.save(folder / "attribute_title_feat.npy", rng.normal(size=(items, 4)))
    np.save(folder / "augmented_edges.npy", [[3, 1, 2], [0, 5, 4], [7, items, 1], [9, 6, 6]])
    return folder
