"""What training needs: no package that only imports, commands or the search use."""

import subprocess
import sys

from worlds import ROOT, Place

ABSENT = ("polars", "click", "filelock", "optuna", "matplotlib", "ml_collections")
SCRIPT = f"""
import sys
for name in {ABSENT!r}:
    sys.modules[name] = None
from mmssl_jax import config, data, models, training
folder, run = sys.argv[1:]
given = config.Config()
given.data.path, given.model.name, given.model.embedding_dim = folder, "mmssl", 8
given.train.epochs, given.train.steps_per_epoch, given.train.batch_size = 1, 2, 16
given.evaluation.cutoffs = (5, 20)
training.train(models.resolve(given), data.load(folder), __import__("pathlib").Path(run))
"""


def test_a_folder_in_the_own_layout_is_trained_on_without_the_other_packages(tmp_path):
    place = Place(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, place.data, tmp_path / "trained"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "trained/results.json").exists()
