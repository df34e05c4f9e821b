"""Demo and tests on several sets of versions, each in a fresh environment, as one table.

python .ci/matrix.py                 every set for which there is a Python
python .ci/matrix.py "3.13 newest"   these sets alone, by their names
python .ci/matrix.py --newest        the newest versions and Python, the essential tests alone
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETS = (  # name, Python, constraints
    ("3.11 oldest", "3.11", "constraints-oldest.txt"),
    ("3.11 pinned", "3.11", "constraints.txt"),
    ("3.12 newest", "3.12", None),
    ("3.13 newest", "3.13", None),
)
ESSENTIAL = [
    *sorted(glob.glob("tests/models/test_parity_*.py", root_dir=ROOT)),
    "tests/models/test_each_model.py",
]
COLUMNS = {
    "set": 12,
    "python": 7,
    "jax": 9,
    "numpy": 6,
    "Recall@20": 9,
    "starts": 7,
    "again": 6,
    "demo": 7,
    "tests": 38,
    "tests take": 10,
}
SAME = 5e-4  # between any two sets, of every test metric of the demo


def main() -> int:
    asked = sys.argv[1:]
    newest = asked == ["--newest"]
    if unknown := set(asked) - {name for name, *_ in SETS} - {"--newest"}:
        sys.exit(f"no set {unknown.pop()!r}; there are {', '.join(name for name, *_ in SETS)}")
    wanted = [each for each in SETS if newest or not asked or each[0] in asked]
    chosen = [(name, found, file) for name, version, file in wanted if (found := python(version))]
    if newest:
        chosen = [each for each in chosen if each[2] is None][-1:]
    if not chosen:
        print("no Python of any set is here", file=sys.stderr)
        return 1
    print("  ".join(name.ljust(width) for name, width in COLUMNS.items()), flush=True)
    rows = [row_of(*each, ESSENTIAL if newest else []) for each in chosen]
    scores = [row["scores"] for row in rows]
    differ = max(abs(a[key] - scores[0][key]) for a in scores for key in scores[0])
    print(f"largest difference between the demos' test metrics: {differ:.1e}")
    print(
        "set: seconds until the first step, then for a second run; of the whole demo; of the tests"
    )
    return int(differ > SAME or any(row["failed"] for row in rows))


def python(version: str) -> str | None:
    """An interpreter of this version that runs."""
    pattern = os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python{version}")
    for found in filter(None, [shutil.which(f"python{version}"), *sorted(glob.glob(pattern))]):
        if subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    return None


def row_of(name: str, interpreter: str, constraints: str | None, tests: list[str]) -> dict:
    """Sets up one environment, runs demo and tests in it, prints its row and returns it."""
    folder = ROOT / ".matrix" / name.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", folder / "venv"], check=True)
    own = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    limits = ["--constraint", constraints] if constraints else []
    install = [own, "-m", "pip", "install", "--quiet", *limits, ".[test,plot,tune]"]
    with open(folder / "pip.log", "w") as log:
        subprocess.run(install, cwd=ROOT, check=True, stdout=log, stderr=log)
    row = {"set": name} | versions(own) | demo(own, folder) | tested(own, folder, tests)
    print("  ".join(str(row[key]).ljust(width) for key, width in COLUMNS.items()), flush=True)
    return row


def versions(own: Path) -> dict:
    code = (
        "import importlib.metadata as m, json, platform;"
        "print(json.dumps({'python': platform.python_version()}"
        " | {name: m.version(name) for name in ('jax', 'numpy')}))"
    )
    return json.loads(subprocess.run([own, "-c", code], capture_output=True, check=True).stdout)


def demo(own: Path, folder: Path) -> dict:
    """The demo, and the start of a second run."""
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
    starts, seconds = trained(own, folder / "demo", environment)
    again, _ = trained(own, folder / "again", environment, "--config.train.epochs=1")
    results = json.loads((folder / "demo" / "results.json").read_text())
    return {
        "scores": {key: value for key, value in results.items() if key.startswith("test/")},
        "Recall@20": f"{results['test/recall@20']:.4f}",
        "starts": f"{starts:.1f} s",
        "again": f"{again:.1f} s",
        "demo": f"{seconds:.1f} s",
    }


def trained(own: Path, run: Path, environment: dict, *flags: str) -> tuple[float, float]:
    """Runs the demo: seconds until its first step, and in all."""
    command = [own, "train.py", "--config", "configs/demo.py", f"--workdir={run}", *flags]
    began, first = time.perf_counter(), None
    with (
        open(run.with_suffix(".log"), "w") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=log, stderr=subprocess.PIPE
        ) as process,
    ):
        for line in process.stderr:
            log.write(line)
            epoch = re.search(r"^epoch 1/.* ([0-9.]+) s/epoch", line)
            if epoch:
                first = time.perf_counter() - began - float(epoch[1])
    if process.returncode or first is None:
        sys.exit(f"the demo failed; see {run.with_suffix('.log')}")
    return first, time.perf_counter() - began


def tested(own: Path, folder: Path, tests: list[str]) -> dict:
    """The tests; their output stays in tests.log."""
    began = time.perf_counter()
    with open(folder / "tests.log", "w") as log:
        done = subprocess.run([own, "-m", "pytest", "-q", *tests], cwd=ROOT, stdout=log, stderr=log)
    last = (folder / "tests.log").read_text().strip().splitlines()[-1]
    counts = re.findall(r"\d+ (?:passed|failed|skipped|errors?)", last)
    return {
        "failed": done.returncode != 0,
        "tests": ", ".join(counts) or last[:38],
        "tests take": f"{time.perf_counter() - began:.0f} s",
    }


if __name__ == "__main__":
    sys.exit(main())
