"""mmssl plan: numbers, the model, the config, and what is refused."""

import json

import pytest
from worlds import code_of

SIZES = ["--users=10e6", "--items", "1e6", "--pairs=1e9", "--devices=64"]


def test_it_prints_and_writes_the_same_plan(tmp_path, capsys):
    file = tmp_path / "plan.json"
    assert code_of(["plan", *SIZES, "--model=lightgcn", f"--json={file}"]) == 0
    output = capsys.readouterr().out
    figures = json.loads(file.read_text())
    assert figures["sizes"]["users"] == 10_000_000
    assert figures["fits"]
    assert "It fits" in output
    assert "parameters and moments" in output
    assert f"{figures['memory'] / 1e9:.1f}" in output


@pytest.mark.parametrize(
    ("flags", "lower"),
    [
        (["--config.model.embedding_dim=32"], "received"),
        (["--config.critic.enabled=False"], "memory"),
        (["--config=baby", "--config.critic.hidden=512"], "flops"),
        (["--features=image=64"], "traffic"),
        (["--tf32"], "seconds"),
    ],
)
def test_flags_change_it(tmp_path, flags, lower):
    def figure(*more: str) -> float:
        file = tmp_path / "plan.json"
        common = ["--config.critic.hidden=1024", f"--json={file}"]
        assert code_of(["plan", *SIZES, *common, *more]) == 0
        found = json.loads(file.read_text())[lower]
        return found["arithmetic"] if lower == "seconds" else found

    assert figure(*flags) < figure()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--users=1.5"],
            "--users is '1.5'; it must be a whole number above 0 and below 2**53, such as 10e6",
        ),
        (
            ["--users=0"],
            "--users is '0'; it must be a whole number above 0 and below 2**53, such as 10e6",
        ),
        (["--device=h900"], "--device is 'h900'; it must be one of h100, h200, a100-40, a100-80,"),
        (["--features=image"], "--features is 'image'; it must be NAME=WIDTH,..., such as"),
        (["--features=image=1,image=2"], "--features is 'image=1,image=2'; it must be NAME=WIDTH,"),
        (["--features=im age=64"], "--features is 'im age=64'; it must be NAME=WIDTH,"),
        (["--users=10", "--items=10"], "--pairs is 1000000000, but 10 users and 10 items make"),
        (["--model=ease"], "--model is 'ease'; it must be one of lightgcn, mmssl"),
        (["--config.model.name=ease"], "model 'ease' cannot be planned; plan knows lightgcn and"),
        (["--config.mesh.data=3"], "config field 'mesh' asks for 3 x 1 devices, but --devices is"),
        (["--config.mesh.model=1"], "config field 'mesh' asks for 1 x 1 devices, but --devices is"),
        (["--config.model.embeding_dim=3"], "unknown config field 'model.embeding_dim'; did you"),
        (["--config=nothing"], "config file 'nothing' does not exist"),
    ],
)
def test_what_cannot_be_used_is_one_line(flags, line, capsys):
    assert code_of(["plan", *SIZES, *flags]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"error: {line}")
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--pairs=3e9"], "REFUSED: there are 3e+09 training pairs"),
        (["--users=1e9"], "REFUSED: there are 1e+09 users, and at most 5e+07 are read"),
    ],
)
def test_what_a_run_would_refuse_does_not_fit(tmp_path, capsys, flags, line):
    file = tmp_path / "plan.json"
    assert code_of(["plan", *SIZES, "--model=lightgcn", f"--json={file}", *flags]) == 0
    output = capsys.readouterr().out
    assert line in output
    assert "It fits" not in output
    assert not json.loads(file.read_text())["fits"]
