"""The wheel: what it holds, and that it is enough where there is no checkout."""

import os
import subprocess
import sys
import zipfile

import pytest
from worlds import ROOT


@pytest.mark.slow
def test_the_wheel_has_the_package_its_configs_and_its_program(tmp_path):
    pytest.importorskip("hatchling")
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        content.extractall(tmp_path / "site")
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "mmssl = mmssl_jax.commands:main" in content.read(entry_points).decode()
    for folder in ("mmssl_jax", "configs"):
        for path in (ROOT / folder).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            assert (name if folder == "mmssl_jax" else f"mmssl_jax/{name}") in names
    for name in ("html", "css", "js"):
        assert f"mmssl_jax/reporting/template/report.{name}" in names
    assert not [name for name in names if name.startswith(("tests", "configs", "benchmarks"))]
    code = (
        "from mmssl_jax.config import named; print(named.config_file('demo'), "
        "named.shipped('studies')['parts'], len(named.read('models')))"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    demo, parts, count = done.stdout.split()
    assert demo == str(tmp_path / "site/mmssl_jax/configs/demo.py")
    assert parts == str(tmp_path / "site/mmssl_jax/configs/studies/parts.py")
    assert int(count) > 10
