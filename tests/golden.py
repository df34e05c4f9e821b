"""The golden files, in tests/golden and beside the project, and how parity with them is judged."""

import filecmp
import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = (ROOT / "tests/golden", ROOT.parent / "shared/golden")  # of equals, the first one's


def files(name: str) -> list:
    """One pytest parameter per golden file of `name`, its id the file's stem."""
    import pytest  # here, as the benchmark of parity does without

    return [pytest.param(path, id=path.stem) for path in paths(name, FOLDERS)]


def paths(name: str, folders) -> list[pathlib.Path]:
    """The files `name`_*.npz of all folders, each stem once.

    Raises AssertionError where there is none, or where a file differs between folders.
    """
    found: dict[str, pathlib.Path] = {}
    for path in (path for folder in folders for path in folder.glob(f"{name}_*.npz")):
        first = found.setdefault(path.stem, path)
        assert filecmp.cmp(first, path, shallow=False), f"{first} and {path} differ"
    assert found, f"no {name}_*.npz in {folders}"
    return [found[stem] for stem in sorted(found)]


class Golden:
    """One golden file; `check` compares an array with the one of that name."""

    def __init__(self, path: pathlib.Path):
        with np.load(path, allow_pickle=False) as archive:
            self.arrays = {name: archive[name] for name in archive.files}
        self.hyper = json.loads(str(self.arrays.get("hyper/json", "{}")))
        self.checked: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def group(self, name: str) -> dict[str, np.ndarray]:
        """The arrays whose text before the first '/' is `name`, by the rest of their names."""
        return {
            key.removeprefix(f"{name}/"): value
            for key, value in self.arrays.items()
            if key.split("/")[0] == name
        }

    def check(self, name: str, actual) -> None:
        """rtol 1e-5, plus 1e-6 of the largest magnitude in the array's group."""
        largest = max(np.abs(value).max() for value in self.group(name.split("/")[0]).values())
        self.compare(name, actual, 1e-6 * float(largest))
        self.checked.add(name)

    def check_scalar(self, name: str, actual) -> None:
        """A loss to rtol 1e-5 alone: the group's largest magnitude would hide the small ones."""
        self.compare(name, actual, 0.0)
        self.checked.add(name)

    def compare(self, name: str, actual, atol: float) -> None:
        """Asserts that an array is the one of that name, to rtol 1e-5 and `atol`."""
        np.testing.assert_allclose(
            np.asarray(actual), self[name], rtol=1e-5, atol=atol, err_msg=name
        )
