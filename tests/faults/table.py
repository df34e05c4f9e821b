"""The table of docs/reliability.md, from the counts of the campaigns."""

import json
from pathlib import Path

from faults import PROMISES

DOCS = Path(__file__).resolve().parents[2] / "docs"
AFTER, BEFORE = DOCS / "results/faults.json", DOCS / "results/faults-before.json"
DOCUMENT = DOCS / "reliability.md"
_BEGIN, _END = "<!-- faults -->", "<!-- end -->"


def lines() -> str:
    """One row a kind of fault: injected, passed, failed; and failed before it was mended."""
    after, before = (json.loads(path.read_text("utf-8")) for path in (AFTER, BEFORE))
    rows = ["| promise | fault | injected | passed | failed | failed before mending |"]
    rows.append("| --- | --- | ---: | ---: | ---: | ---: |")
    for name in PROMISES:
        for kind, row in after.get(name, {"kinds": {}})["kinds"].items():
            first = before.get(name, {"kinds": {}})["kinds"].get(kind)
            was = f"{first['failed']} of {first['injected']}" if first else "-"
            counts = [row["injected"], row["passed"], row["failed"], was]
            rows.append(f"| {name} | {kind} | {' | '.join(map(str, counts))} |")
    return "\n".join(rows)


def written(document: str) -> str:
    """The document with the table of today."""
    head, _, rest = document.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return f"{head}{_BEGIN}\n\n{lines()}\n\n{_END}{tail}"


def write() -> None:
    """Writes the table anew in docs/reliability.md."""
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), "utf-8")
