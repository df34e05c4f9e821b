"""Prints what a bug report needs: mmssl doctor"""

import pathlib
import platform
from typing import Any

import click

from mmssl_jax.commands import flags
from mmssl_jax.data import loading
from mmssl_jax.errors import printable
from mmssl_jax.files import atomic
from mmssl_jax.runs import listing, provenance
from mmssl_jax.training import compilation_cache, machine

_PACKAGES = ["mmssl_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint"]
_PACKAGES += ["numpy", "scipy", "polars", "click"]
_SHOWN = 20  # runs

_EXAMPLE = """\b
Example:
  mmssl doctor --json report.json"""


@click.command(epilog=_EXAMPLE)
@click.option("--json", type=flags.PATH, metavar="FILE", help="Also write the report as JSON.")
def doctor(json: pathlib.Path | None) -> None:
    """Prints what a bug report needs.

    Versions, this machine, its devices and whether each computes what it should, where compiled
    programs are kept, and what is in ./data and ./runs. Nothing is sent anywhere, and nothing but
    FILE is written.
    """
    if json is not None:
        atomic.check_writable(json)
    report = _report()
    for line in _lines(report):
        print(printable(line))
    if json is not None:
        atomic.write_json(json, report)


def _report() -> dict[str, Any]:
    versions = {name: provenance.version(name) for name in _PACKAGES}
    return {
        "versions": versions | {"python": platform.python_version()},
        "commit": provenance.commit(),
        "host": machine.host(),
        "devices": machine.devices(),
        "compiled": compilation_cache.use(),
        "data": loading.folders(pathlib.Path("data")),
        "runs": listing.runs(pathlib.Path("runs")),
    }


def _lines(report: dict[str, Any]) -> list[str]:
    host, devices, runs = report["host"], report["devices"], report["runs"]
    lines = [
        f"{name:<17} {version or 'not installed'}" for name, version in report["versions"].items()
    ]
    lines += [
        f"commit            {report['commit'] or 'none, as this is no checkout'}",
        f"platform          {host['platform']}",
        f"host              {host['cores']} cores, {_bytes(host['memory'])}",
        *(f"variable          {name}={value}" for name, value in devices["variables"].items()),
        *(f"device            {_device(device)}" for device in devices["found"]),
    ]
    if devices["problem"]:
        lines.append(f"problem           {devices['problem']}")
    lines.append(f"compiled programs {report['compiled'] or 'not kept'}")
    lines += [f"data              {folder}: {layout}" for folder, layout in report["data"].items()]
    lines += [f"run               {_run(run)}" for run in runs[:_SHOWN]]
    if len(runs) > _SHOWN:
        lines.append(f"run               and {len(runs) - _SHOWN} more")
    return lines


def _device(device: dict[str, Any]) -> str:
    about = f"{device['device']}, {device['kind']}, {_bytes(device['memory'])}"
    if device["problem"]:
        return f"{about}: FAILS: {device['problem']}"
    times = f"{device['first_seconds']:.2f} s, then {device['seconds'] * 1e3:.1f} ms"
    return f"{about}: computes as numpy does, in {times}"


def _run(run: dict[str, Any]) -> str:
    if run["problem"]:
        return f"{run['folder']}: {run['problem']}"
    about = f"{run['folder']}: {run['model']} on {run['data']}"
    if not run["finished"]:
        return f"{about}, not finished"
    recall = run["test/recall@20"]
    score = "" if recall is None else f", test Recall@20 {recall:.4f}"
    return f"{about}, best epoch {run['best_epoch']}{score}"


def _bytes(count: int | None) -> str:
    return "memory unknown" if count is None else f"{count / (1 << 30):.1f} GiB"


COMMAND = doctor
