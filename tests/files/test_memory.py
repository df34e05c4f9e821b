"""What memory there is, and what is said where it runs out."""

import errno
import resource
import subprocess
import sys

import jax
import pytest
from worlds import ROOT, config_of, world

from mmssl_jax.commands import running
from mmssl_jax.errors import InputError
from mmssl_jax.files import memory
from mmssl_jax.planning import foresight


def test_a_limit_of_the_process_counts():
    free = memory.available()
    assert free is None or free > 0
    code = f"""
import resource
from mmssl_jax.files import memory
resource.setrlimit(resource.RLIMIT_AS, ({1 << 30}, {1 << 30}))
print(memory.available())
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 1 << 30
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 1 << 30  # of this process


@pytest.mark.parametrize(
    ("line", "folder", "names"),
    [
        ("0::/a/b", "a", ("memory.max", "memory.current", "")),
        ("0::/a/b", "a/b", ("memory.max", "memory.current", "")),
        ("0::/outside", ".", ("memory.max", "memory.current", "")),
        (
            "4:cpu,memory:/a",
            "memory/a",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ),
        ("4:memory:/x/y", "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")),
    ],
)
def test_limits_of_control_groups_count_but_caches_of_files_do_not(
    line, folder, names, tmp_path, monkeypatch
):
    groups, most, used, prefix = tmp_path / "groups", *names
    groups.write_text(f"9:cpuset:/\n{line}\n")
    own = tmp_path / "mounted" / folder
    own.mkdir(parents=True)
    (own / most).write_text("1000000\n")
    (own / used).write_text("900000\n")
    stat = f"{prefix}anon 5\n{prefix}inactive_file 30000\n{prefix}active_file 2000\n"
    (own / "memory.stat").write_text(stat)
    monkeypatch.setattr(memory, "_OWN_GROUPS", groups)
    monkeypatch.setattr(memory, "_MOUNTED", tmp_path / "mounted")
    assert memory.available() == 1_000_000 - 900_000 + 32_000
    (own / most).write_text("max\n")  # no limit
    assert memory.available() > 1_000_000


def test_what_does_not_fit_is_said(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 5_000_000)
    memory.require(4e6, "it", "x")
    with pytest.raises(InputError) as caught:
        memory.require(2e9, "it", "make it smaller")
    assert str(caught.value) == "it needs 2 GB of memory, and 5 MB can be had here; make it smaller"
    monkeypatch.setattr(memory, "available", lambda: None)
    memory.require(2e30, "it", "x")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left"), False),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("something else"), False),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory"), True),
        (jax.errors.JaxRuntimeError("INTERNAL: a defect"), False),
        (caused(ValueError("of a library"), MemoryError()), True),
    ],
)
def test_what_it_is_to_run_out(error, expected, capsys):
    assert memory.ran_out(error) is expected

    def command():
        raise error

    of_the_disk = isinstance(error, OSError) and not expected
    with pytest.raises(SystemExit if expected or of_the_disk else type(error)):
        running.run(command)
    said = capsys.readouterr().err
    assert said.startswith("error: there is not enough memory (") is expected
    assert said.startswith("error: cannot be read or written (No space left)") is of_the_disk
    assert len(said.splitlines()) == int(expected or of_the_disk)


def test_a_run_that_does_not_fit_is_foreseen(monkeypatch):
    config = config_of("mmssl", critic__hidden=64)
    monkeypatch.setattr(memory, "available", lambda: 150_000)
    with pytest.raises(InputError, match=r"the steps of this run need .* try --config\.") as caught:
        foresight.check(config, world())
    assert "--config.critic.enabled=False" in str(caught.value)
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    foresight.check(config, world())
    sampled = config_of("lightgcn", train__fanout=(3, 2), train__batch_size=256)
    foresight.check(sampled, world())
    monkeypatch.setattr(memory, "available", lambda: 150_000)
    with pytest.raises(InputError, match=r"the steps of this run need .*train\.batch_size="):
        foresight.check(sampled, world())
    huge = config_of("lightgcn", train__fanout=(90_000, 9_000), train__batch_size=256)
    monkeypatch.setattr(memory, "available", lambda: 5 * 10**6)
    with pytest.raises(InputError, match=r"try .*--config\.train\.fanout="):
        foresight.check(huge, world())


def test_too_few_addresses_are_said_before_libraries_wait_for_them():
    code = """
import resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from mmssl_jax import commands
commands.main(["evaluate", "--help"])
"""
    for limit, expected in ((300_000_000, 2), (2_000_000_000, 2), (4_000_000_000, 0)):
        command = [sys.executable, "-c", code, str(limit)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == expected, done.stderr
        assert done.stderr.startswith("error: the limit of addresses is ") is bool(expected)
        assert len(done.stderr.splitlines()) == int(bool(expected))
