"""Compiled programs are kept in the user's folder for caches, and nothing depends on it."""

import os
import subprocess
import sys

import pytest
from worlds import ROOT

# Compiles one program as a command does, and says whether jax found it and how much there is.
PROGRAM = """
import sys
import jax, jax.numpy as jnp
from jax import monitoring
from mmssl_jax.training import compilation_cache

hits = []
monitoring.register_event_listener(lambda name, **_: hits.append(name.endswith("/cache_hits")))
compilation_cache.use()
print(jax.jit(lambda x: jnp.sort(x) @ x)(jnp.arange(3.0)), sum(hits) > 0)
print(jax.config.jax_compilation_cache_dir, jax.config.jax_compilation_cache_max_size)
"""


def run(**environment: str) -> list[str]:
    """What the program prints under these variables alone; it must say nothing on stderr."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")}
    settings = {"JAX_PLATFORMS": "cpu", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=kept | settings | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def entries(folder) -> list:
    return sorted(folder.rglob("*-cache"))


def test_the_second_run_finds_what_the_first_has_compiled(tmp_path):
    for found in ("False", "True"):
        result, hit, folder, most = run(XDG_CACHE_HOME=str(tmp_path))
        assert (result, hit) == ("5.0", found)
        assert folder == str(tmp_path / "mmssl_jax" / "compiled")
        assert 0 < int(most) <= 1 << 30
    assert entries(tmp_path)


def test_an_entry_cut_short_by_a_kill_is_compiled_anew(tmp_path):
    run(XDG_CACHE_HOME=str(tmp_path))
    for path in entries(tmp_path):
        path.write_bytes(path.read_bytes()[:20])
    assert run(XDG_CACHE_HOME=str(tmp_path))[:2] == ["5.0", "False"]


@pytest.mark.skipif(sys.platform != "linux", reason="the custom of Linux")
def test_the_home_folder_has_it_where_nothing_else_is_said(tmp_path):
    assert run(HOME=str(tmp_path))[2] == str(tmp_path / ".cache" / "mmssl_jax" / "compiled")
    assert run(HOME=str(tmp_path), XDG_CACHE_HOME="here")[2].startswith(str(tmp_path))


def test_jaxs_own_variables_rule(tmp_path):
    home, chosen = tmp_path / "home", tmp_path / "chosen"
    off = run(XDG_CACHE_HOME=str(home), JAX_ENABLE_COMPILATION_CACHE="0")
    assert off == ["5.0", "False", "None", "-1"]
    assert run(XDG_CACHE_HOME=str(home), JAX_COMPILATION_CACHE_DIR=str(chosen))[2] == str(chosen)
    assert entries(chosen)
    assert not home.exists()


@pytest.mark.parametrize("kind", ["a file", "a missing device", "no path"])
def test_without_a_folder_it_is_off_and_nothing_is_said(tmp_path, kind):
    """Where `HOME` is nothing that can hold folders."""
    (tmp_path / "file").write_text("")
    home = {
        "a file": str(tmp_path / "file"),
        "a missing device": "/proc/no/such",
        "no path": "/" + "a" * 5000,
    }[kind]
    assert run(HOME=home, XDG_CACHE_HOME=home) == ["5.0", "False", "None", "-1"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs owners of files")
def test_somebody_elses_folder_is_not_used(tmp_path, monkeypatch):
    from mmssl_jax.files import caches

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert caches.own_folder("compiled") == tmp_path / "mmssl_jax" / "compiled"
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert caches.own_folder("compiled") is None
