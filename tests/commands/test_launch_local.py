"""launch/local.sh: several processes of a command on this machine."""

import shutil
import subprocess
import time

import pytest
from worlds import ROOT

SCRIPT = ROOT / "launch" / "local.sh"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def launched(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_each_process_gets_its_number_and_all_the_same_address():
    done = launched("3", "bash", "-c", 'echo "$@"', "name", "--distributed")
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in sorted(done.stdout.splitlines())]
    assert [words[-1] for words in said] == ["0", "1", "2"]
    assert {words[0] for words in said} == {"--distributed"}
    assert len({tuple(words[:-1]) for words in said}) == 1
    assert said[0][1] == "--coordinator"
    assert said[0][2].startswith("127.0.0.1:")
    assert said[0][3:5] == ["--processes", "3"]


def test_the_exit_code_is_that_of_what_failed():
    assert launched("2", "bash", "-c", "exit $((7 * ${*: -1}))", "name").returncode == 7
    later = "number=${*: -1}; sleep $((2 - number)); exit $((7 + number))"  # 8 ends first
    assert launched("2", "bash", "-c", later, "name").returncode == 8


@pytest.mark.parametrize("arguments", [(), ("2",), ("0", "true"), ("two", "true")])
def test_wrong_arguments_are_refused_with_the_usage(arguments):
    done = launched(*arguments)
    assert done.returncode == 2
    assert "launch/local.sh 2 mmssl train" in done.stderr


def test_a_request_to_end_reaches_all():
    process = subprocess.Popen(
        ["bash", str(SCRIPT), "2", "bash", "-c", "trap 'exit 0' TERM; sleep 60 & wait", "name"]
    )
    time.sleep(1)
    process.terminate()
    assert process.wait(timeout=30) == 0
