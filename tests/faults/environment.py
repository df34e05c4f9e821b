"""Clocks, locales, time zones, encodings, odd names, links, masks, and homes that are not there."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from faults import environment_session
from faults.tally import Tally
from mmssl_jax.errors import InputError

PROMISE = (
    "The clock, the locale, the time zone, the encoding, the home, the file mask, links and the "
    "names of folders change no bit of a result; what cannot be used is refused in one line."
)
Rng = np.random.Generator
Around = contextlib.AbstractContextManager[None]

_ZONES = [
    "UTC",
    "Pacific/Kiritimati",
    "America/St_Johns",
    "Asia/Kathmandu",
    "XXX-99",
    "",
    "no/zone",
]
_NAMES = [
    *(
        "дані",
        "データ",
        "נתונים",
        "e\u0301te\u0301",
        "\u00e9t\u00e9",
        "😀",
        "ﬁ",
        "İstanbul",
        "a b",
        " ",
    ),
    *(
        "-x",
        "--help",
        "a'b",
        'a"b',
        "a;b",
        "a$b",
        "%41",
        "a#b",
        "~",
        "a&b",
        ".hidden",
        "a.",
    ),
    *(
        "x" * 200,
        "ж" * 120,
        "CON",
        "aux.csv",
        "a,b",
        "a=b",
        "data",
        "{x}",
        "@x",
        "!x",
        "\u202ex",
        "`x`",
    ),
]
# Names that may be refused, in one line.
_ODD_NAMES = [
    "[x]",
    "a\\b",
    "a*b",
    "a?b",
    "a\nb",
    "a\tb",
    "\x1b[2J",
    "ж" * 127,
    os.fsdecode(b"\xff\xfe"),
    "x" * 256,
]
_HOMES: list[str | None] = [
    None,
    "",
    "/nowhere/at/all",
    "/proc/1",
    "/dev/null",
    "relative",
    "~",
    "\n",
]
_LOCALES: list[dict[str, str | None]] = [
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX", "LANG": None},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "tr_TR.UTF-8"},
    {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"},
    {"LC_CTYPE": "no_such", "LC_NUMERIC": "de_DE"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"PYTHONIOENCODING": "latin-1:strict"},
    {"PYTHONIOENCODING": "utf-16"},
    {"PYTHONHASHSEED": "7"},
    {"PYTHONOPTIMIZE": "2"},
    {"COLUMNS": "1", "LINES": "0"},
    {"COLUMNS": "x", "TERM": "dumb", "NO_COLOR": "1"},
    {"HOME": None, "USER": None, "LOGNAME": None},
    {"TMPDIR": "/nowhere/at/all"},
    {"PATH": ""},
]


def campaign(tally: Tally, rng: Rng, share: float, folder: Path) -> None:
    """Runs one session again and again, each time in another environment."""
    with _quietly():
        expected = environment_session.session(environment_session.prepared(folder / "first"))
    kinds: dict[str, tuple[int, Callable[[Rng, Path], Around]]] = {
        "time zone": (12, lambda rng, _: _zone(_pick(rng, _ZONES))),
        "file mask": (8, lambda rng, _: _mask(_pick(rng, [0, 0o077, 0o027, 0o007]))),
        "home": (
            12,
            lambda rng, _: _variables({"HOME": _pick(rng, _HOMES), "XDG_CACHE_HOME": None}),
        ),
        "working folder that is gone": (4, lambda _, place: _gone(place)),
    }
    number = 0
    for kind, (count, around) in kinds.items():
        for _ in range(max(1, round(count * share))):
            number += 1
            place = folder / str(number)
            with tally.fault(kind, f"number {number}"), around(rng, place):
                _check(place, expected)
    for _ in range(max(1, round(12 * share))):
        number += 1
        with tally.fault("clock that jumps", f"number {number}"), _clock(rng):
            _check(folder / str(number), expected, refusable=True)  # by a save that it cut off
    for name in _some(rng, _NAMES, share):
        number += 1
        with tally.fault("names of folders", ascii(name)):
            _check(folder / str(number), expected, name)
    for name in _some(rng, _ODD_NAMES, share):
        number += 1
        with tally.fault("names that may be refused", ascii(name)):
            _check(folder / str(number), expected, name, refusable=True)
    for length in _some(rng, [800, 2000, 3000, 3600, 3900, 4000, 4060, 4090, 4096, 5000], share):
        number += 1
        with tally.fault("very long paths", f"{length} bytes"):
            _long(folder / str(number), length, expected)
    for link in _some(rng, [_linked, _link_to_itself, _dangling], max(share, 0.4)):
        number += 1
        with tally.fault("links", link.__name__.strip("_")):
            link(folder / str(number), expected)
    for variables in _some(rng, _LOCALES, share):
        number += 1
        with tally.fault("locale, encoding and other variables", json.dumps(variables)):
            _process(folder / str(number), variables, expected)


def _check(
    place: Path,
    expected: dict[str, str],
    name: str = environment_session.NAME,
    refusable: bool = False,
) -> None:
    """A session in `place` writes what is expected, under names that no case tells apart."""
    found, refusal = {}, ""
    try:
        inside = environment_session.prepared(place, name)
    except OSError:  # the system itself has no such name
        assert refusable
        return
    try:
        with _quietly():
            found = environment_session.session(inside)
    except InputError as error:
        if not refusable:
            raise
        refusal = str(error)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if refusal:
        assert len(refusal.splitlines()) == 1, refusal
        return
    paths = expected.keys() | found.keys()
    differing = [path for path in paths if expected.get(path) != found.get(path)]
    assert not differing, differing
    assert len({path.casefold() for path in found}) == len(found)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _clock(rng: Rng) -> Iterator[None]:
    """Now and then, as somebody looks at it, the clock jumps by seconds to years."""
    real, offset, jumps = time.time, 0.0, 0

    def jumped() -> float:
        nonlocal offset, jumps
        if not rng.integers(50):
            offset = float(rng.choice([-1, 1]) * 10 ** rng.uniform(0, 8.5))
            jumps += 1
        return real() + offset

    with mock.patch("time.time", jumped):
        yield
    assert jumps, "the clock did not jump"


@contextlib.contextmanager
def _zone(name: str) -> Iterator[None]:
    with _variables({"TZ": name}):
        time.tzset()
        yield
    time.tzset()


@contextlib.contextmanager
def _mask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _variables(changed: dict[str, str | None]) -> Iterator[None]:
    with mock.patch.dict(os.environ):
        for name, value in changed.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        yield


@contextlib.contextmanager
def _gone(place: Path) -> Iterator[None]:
    """Works in a folder that was removed."""
    before, gone = Path.cwd(), place.with_name(f"{place.name} gone")
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        yield
    finally:
        os.chdir(before)


def _long(place: Path, length: int, expected: dict[str, str]) -> None:
    left = length - len(os.fsencode(place))
    names = ["x" * min(200, left - start) for start in range(0, left, 201)]
    _check(place, expected, os.path.join(*names), refusable=True)


def _linked(place: Path, expected: dict[str, str]) -> None:
    """The folder is a link to a link."""
    real = place.with_name(f"{place.name} real")
    real.mkdir()
    between = place.with_name(f"{place.name} between")
    between.symlink_to(real, target_is_directory=True)
    place.symlink_to(between.name, target_is_directory=True)
    _check(place, expected)
    assert any(real.iterdir())


def _link_to_itself(place: Path, expected: dict[str, str]) -> None:
    place.mkdir()
    (place / environment_session.NAME).symlink_to(environment_session.NAME)
    _check(place, expected, refusable=True)


def _dangling(place: Path, expected: dict[str, str]) -> None:
    place.mkdir()
    (place / environment_session.NAME).symlink_to(place / "nothing" / "there")
    _check(place, expected, refusable=True)


def _process(place: Path, variables: dict[str, str | None], expected: dict[str, str]) -> None:
    """The session in a process of its own, as a locale is read at the start."""
    with _variables(variables):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        line = [sys.executable, "-m", "faults.environment_session", str(place)]
        done = subprocess.run(line, env=environment, capture_output=True, check=False)
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said[-900:]
    assert json.loads((place / "digest.json").read_text("utf-8")) == expected
    shutil.rmtree(place, ignore_errors=True)


def _some(rng: Rng, values: list[Any], share: float) -> list[Any]:
    """A share of the values, at least one."""
    count = max(1, round(len(values) * share))
    return [values[place] for place in sorted(rng.permutation(len(values))[:count])]


def _pick(rng: Rng, values: list[Any]) -> Any:
    return values[rng.integers(len(values))]
