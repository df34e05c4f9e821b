"""What is recorded for replays: commands one after the other, each named when it has ended."""

import sys
from pathlib import Path

from faults.errands import ERRANDS, run


def main() -> None:
    """Runs the commands that are named, in a folder."""
    folder, *names = sys.argv[1:]
    for name in names:
        code = run(ERRANDS[name], Path(folder))
        if code:
            sys.exit(f"{name} ended with {code}")
        print(f"ended: {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
