"""The golden files beside the project, and how parity with them is judged."""

import json
import pathlib

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "shared" / "golden"


def files(name: str) -> list:
    """One pytest parameter per golden file of `name`, its id the file's stem."""
    paths = sorted(FOLDER.glob(f"{name}_*.npz"))
    missing = pytest.param(None, marks=pytest.mark.skip(reason=f"no {name}_*.npz in {FOLDER}"))
    return [pytest.param(path, id=path.stem) for path in paths] or [missing]


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
        np.testing.assert_allclose(
            np.asarray(actual), self[name], rtol=1e-5, atol=1e-6 * float(largest), err_msg=name
        )
        self.checked.add(name)
