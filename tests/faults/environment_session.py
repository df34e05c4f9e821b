"""What a person does in a few minutes, and a digest of all that it wrote.

    PYTHONPATH=tests:. python -m faults.environment_session FOLDER [NAME]

imports a table, trains, evaluates, recommends and exports below FOLDER, and writes
FOLDER/digest.json. Where a command is refused, the process ends as that does.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from worlds import SECONDS, mmssl

from mmssl_jax.commands import main
from mmssl_jax.files import checksums

USERS, ITEMS = 12, 25
NAME = "mine"
# Letters whose other case depends on the language, or that are written in two ways.
_USERS = ("Ω", "ß", "İ", "\u0131", "é", "雪")
_ITEMS = ("I", "i", "\ufb01", "Ж", "a b", "n\u0303")
# What a digest leaves out: seconds, and where the folder is.
_LEFT_OUT = SECONDS | {"command", "commit", "host", "machine", "versions", "seconds_by_part"}


def table(path: Path) -> None:
    """Ratings of users and items whose ids and titles are of many scripts."""
    rng = np.random.default_rng(0)
    users = [f"{_USERS[user % len(_USERS)]}{user}" for user in range(USERS)]
    items = [f"{_ITEMS[item % len(_ITEMS)]}-{item}" for item in range(ITEMS)]
    lines = ["user_id,item_id,timestamp,title"]
    for user in users:
        for item in rng.permutation(ITEMS)[:14]:
            lines.append(
                f"{user},{items[item]},{1_500_000_000 + rng.integers(9**8)},Ti\u0307tle {item}"
            )
    path.write_text("\n".join(lines) + "\n", "utf-8")


def prepared(folder: Path, name: str = NAME) -> Path:
    """A folder of this name below `folder`, with the table; raises OSError."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    table(place / "ratings.csv")
    return place


def session(place: Path, mmssl: Callable[..., None] = mmssl) -> dict[str, str]:
    """Runs every command in a folder that is prepared; a digest by file."""
    ratings, data, run = place / "ratings.csv", place / "data", place / "run"
    mmssl("data", "import", ratings, "--to", data, "--split", "by-time", "--k-core", 0)
    flags = [f"--config.data.path={data}", "--config.model.name=ease", f"--workdir={run}"]
    flags += ["--config.evaluation.cutoffs=5,20", "--config.data.modalities=none"]
    mmssl("train", "--config=demo", *flags, "--quiet")
    mmssl("evaluate", "--config=demo", f"--workdir={run}", f"--json={place / 'scores.json'}")
    listed = f"--json={place / 'lists.json'}"
    mmssl("recommend", "--config=demo", f"--workdir={run}", "--users=Ω0,İ2,雪5", "--top=5", listed)
    mmssl("export", "--config=demo", f"--workdir={run}", "--to", place / "exported")
    found = {}
    for path in sorted(place.rglob("*")):
        inside = path.relative_to(place).as_posix()
        if path.is_file() and "checkpoints" not in path.parts and not path.name.startswith("."):
            found[inside] = hashlib.sha256(_content(path, place)).hexdigest()
    return found


def _content(path: Path, place: Path) -> bytes:
    """The bytes of a file, without what no two runs share."""
    content = path.read_bytes()
    if path.name == checksums.FILE:  # those of JSON are of its commit, too, which git tells
        return b"\n".join(line for line in content.splitlines() if not line.endswith(b".json"))
    if path.suffix not in (".json", ".jsonl"):
        return content
    rows = [json.loads(line) for line in content.splitlines()] if path.suffix == ".jsonl" else None
    value = json.loads(content) if rows is None else rows
    return json.dumps(_without(value, str(place)), sort_keys=True).encode()


def _without(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(v, place) for key, v in value.items() if key not in _LEFT_OUT}
    if isinstance(value, list):
        return [_without(each, place) for each in value]
    return value.replace(place, "PLACE") if isinstance(value, str) else value


def program(*arguments: object) -> None:
    """Runs `mmssl` as the program does, which ends the process where it refuses."""
    main(list(map(str, arguments)))


if __name__ == "__main__":
    folder = prepared(Path(sys.argv[1]), sys.argv[2] if sys.argv[2:] else NAME)
    found = session(folder, program)
    (Path(sys.argv[1]) / "digest.json").write_text(json.dumps(found), "utf-8")
