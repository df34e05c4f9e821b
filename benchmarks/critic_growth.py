"""How a step's time and memory grow over items and users, on RANDOM data.

python -m benchmarks.critic_growth [--json FILE] [--plot FILE]

Every size runs in a process of its own, so that its peak memory is its own. Pairs grow with users.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

ITEMS, USERS, WIDTH = 6000, 10000, 128  # of what is held fixed; the features' width
ITEM_SIZES = (2000, 4000, 8000, 16000, 32000, 64000)
USER_SIZES = (5000, 10000, 20000, 40000, 80000)
FIXED_HIDDEN = 512
DEFAULT_WIDTH_UP_TO = 16000  # beyond, the default width (items / 4) takes minutes a step on a CPU


def sizes() -> list[tuple[int, int, int]]:
    """(users, items, hidden) of every point; hidden 0 is the default."""
    points = [(USERS, items, FIXED_HIDDEN) for items in ITEM_SIZES]
    points += [(USERS, items, 0) for items in ITEM_SIZES if items <= DEFAULT_WIDTH_UP_TO]
    return points + [(users, ITEMS, FIXED_HIDDEN) for users in USER_SIZES]


def measure(users: int, items: int, hidden: int, repeats: int) -> dict[str, Any]:
    """Seconds and peak bytes of a full step at one size, in this process."""
    import jax

    from benchmarks.shapes import Shape, random_dataset
    from benchmarks.step import Step, peak_bytes, seconds
    from mmssl_jax import config as configs

    config = configs.Config()
    config.data.path, config.critic.hidden = "RANDOM", hidden
    config = models.resolve(config)
    widths = {"image": WIDTH, "text": WIDTH}
    step = Step(config, random_dataset(Shape(users, items, 6 * users, widths)))
    return {
        "users": users,
        "items": items,
        "hidden": hidden or items // 4,
        "default_width": hidden == 0,
        "step_s": seconds(lambda: step.run(1), repeats),
        "peak_bytes": peak_bytes(),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def main() -> None:
    """The command line; with --point, one size, as JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--point", help="users,items,hidden: measure this size alone")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    parser.add_argument("--plot", type=pathlib.Path, help="draw them to a PNG (extra: plot)")
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(*map(int, options.point.split(",")), options.repeats)))
        return
    table = Table("users", "items", "hidden", "step, s", "peak, GB", title="RANDOM data")
    rows = []
    for point in sizes():
        command = [
            sys.executable,
            "-m",
            "benchmarks.critic_growth",
            "--repeats",
            str(options.repeats),
        ]
        command += ["--point", ",".join(map(str, point))]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows.append(row := json.loads(output.splitlines()[-1]))
        gigabytes = f"{row['peak_bytes'] / 1e9:.2f}"
        cells = [str(row[key]) for key in ("users", "items", "hidden")]
        table.add_row(*cells, f"{row['step_s']:.3f}", gigabytes)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if options.plot:
        plot(rows, options.plot)


def plot(rows: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Seconds a step over items and over users, both axes logarithmic."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    curves = {
        f"items, hidden {FIXED_HIDDEN}": ("items", lambda r: not r["default_width"]),
        "items, hidden a quarter of them": ("items", lambda r: r["default_width"]),
        f"users, hidden {FIXED_HIDDEN}": ("users", lambda r: not r["default_width"]),
    }
    for label, (axis, chosen) in curves.items():
        fixed = ("users", USERS) if axis == "items" else ("items", ITEMS)
        points = [r for r in rows if chosen(r) and r[fixed[0]] == fixed[1]]
        where = axes[0 if axis == "items" else 1]
        where.loglog([r[axis] for r in points], [r["step_s"] for r in points], "o-", label=label)
        where.set_xlabel(axis)
        where.legend()
    axes[0].set_ylabel("seconds a step")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
