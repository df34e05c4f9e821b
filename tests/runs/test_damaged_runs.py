"""Files of a run that were damaged or edited: noticed and named, never other numbers."""

import json
import re

import pytest
from worlds import code_of, config_of, world

from mmssl_jax import training
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session
from mmssl_jax.training.epochs import Outside

EPOCHS, BEST = 3, 2  # with such a learning rate


@pytest.fixture(name="run")
def _run(tmp_path) -> RunFolder:
    config = _config()
    training.train(config, world(), tmp_path / "run", outside=Outside(quiet=True))
    return RunFolder(tmp_path / "run")


def _config(epochs: int = EPOCHS):
    return config_of("mf", train__epochs=epochs, train__learning_rate=5.0, train__patience=9)


def edit(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refused(function, *args, **kwargs) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def test_the_config(run):
    edit(run.config, lambda content: content["config"].update({"train.embedding_l2": 1.0}))
    line = refused(run.read)
    assert line.startswith(f"{run.config}: was edited or damaged")
    assert line.endswith("if the change is meant, remove 'checksum' from it")
    edit(run.config, lambda content: content.pop("checksum"))
    assert run.read()[0].train.embedding_l2 == 1.0


def test_where_the_data_is_may_be_edited(run):
    edit(run.config, lambda content: content["config"].update({"data.path": "elsewhere"}))
    assert run.read()[0].data.path == "elsewhere"


def test_a_row_of_metrics(run):
    text = run.metrics.read_text()
    run.metrics.write_text(text.replace('"val/recall@20": 0.', '"val/recall@20": 1.'))
    line = refused(run.read_metrics, EPOCHS)
    assert line.startswith(f"{run.metrics}, line 1: was edited or damaged")


def test_metrics_that_end_early(run):
    lines = run.metrics.read_text().splitlines(keepends=True)
    run.metrics.write_text("".join(lines[:-1]))
    line = refused(training.train, _config(4), world(), run.folder, outside=Outside(quiet=True))
    assert line.startswith(f"{run.metrics}: has no row of epoch 3, so it was cut short")
    run.metrics.unlink()  # as it says
    training.train(_config(4), world(), run.folder, outside=Outside(quiet=True))


def test_results(run):
    edit(run.results, lambda content: content.update({"test/recall@20": 0.9}))
    assert refused(run.read_results).startswith(f"{run.results}: was edited or damaged")


def test_the_score_of_a_checkpoint(run):
    path = run.checkpoints / str(BEST) / "metrics" / "metrics"
    edit(path, lambda content: content.update({"score": 0.0}))
    line = refused(session.best_of_run, _config(), world(), run)
    assert f"the checkpoint of epoch {BEST} in {run.checkpoints}" in line
    assert "its score is not the one that was saved" in line


@pytest.mark.parametrize("lost", ["metrics/metrics", "_CHECKPOINT_METADATA"])
def test_a_best_checkpoint_whose_score_is_lost(run, lost):
    path = run.checkpoints / str(BEST) / lost
    path.write_text(path.read_text()[:30])
    said = rf"the checkpoint(s| of epoch {BEST}) in {run.checkpoints}"
    assert re.search(said, refused(session.best_of_run, _config(), world(), run))
    quiet = Outside(quiet=True)
    line = refused(training.train, _config(4), world(), run.folder, outside=quiet)
    assert re.search(said, line)


def test_what_is_stored_with_a_checkpoint(run):
    path = run.checkpoints / str(EPOCHS) / "_CHECKPOINT_METADATA"
    edit(path, lambda content: content["custom_metadata"].update({"commit": "another"}))
    with session.checkpoints_of(run, clean=False) as checkpoints:
        line = refused(checkpoints.about, EPOCHS)
    assert refused(session.checkpoints_of, run) == line
    assert line.startswith(f"the checkpoint of epoch {EPOCHS} in {run.checkpoints}: was edited or")


def test_a_command_ends_with_one_line(run, capsys):
    edit(run.config, lambda content: content["config"].update({"train.embedding_l2": 1.0}))
    assert code_of(["evaluate", "--config=demo", f"--workdir={run.folder}"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"error: {run.config}: was edited or damaged")
    assert len(output.err.splitlines()) == 1
    assert output.out == ""
