"""How many faults were put in, and what came of them."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MOST_WORDS = 300  # characters of a failure that are kept
MOST_FAILURES = 20


@dataclass
class Kind:
    """One kind of fault."""

    passed: int = 0
    failed: int = 0
    first_failures: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """Counts by kind of fault, in the order in which the kinds came."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)  # kind -> why it cannot be put in here

    def skip(self, kind: str, why: str) -> None:
        """Says that a kind of fault cannot be put in on this machine."""
        self.skipped[kind] = why
        print(f"  {kind}: skipped, as {why}", flush=True)

    @contextmanager
    def fault(self, kind: str, what: str) -> Iterator[None]:
        """Counts one fault: kept if the block ends, broken if it raises.

        Args:
          kind: its row in the table.
          what: what was put in, in so many words that it can be put in again.
        """
        counted = self.kinds.setdefault(kind, Kind())
        try:
            yield
        except Exception as error:
            counted.failed += 1
            if len(counted.first_failures) < MOST_FAILURES:
                last = traceback.extract_tb(error.__traceback__)[-1]
                said = f"{what}: {type(error).__name__}: {error} ({last.name}:{last.lineno})"
                counted.first_failures.append(said[:MOST_WORDS])
        else:
            counted.passed += 1

    @property
    def failures(self) -> list[str]:
        """A line each, of at most MOST_FAILURES of a kind."""
        return [
            f"{kind}: {line}" for kind, one in self.kinds.items() for line in one.first_failures
        ]

    def row(self) -> dict[str, dict[str, int]]:
        """For JSON."""
        return {
            kind: {"injected": one.passed + one.failed, "passed": one.passed, "failed": one.failed}
            for kind, one in self.kinds.items()
        }
