"""How a run shows itself: a progress bar on a terminal, plain lines elsewhere."""

import datetime
import statistics
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress:
    """Reports steps and epochs on stderr."""

    def __init__(self, steps: int, epochs: int, taken: int, *, quiet: bool = False):
        """Of a run of so many steps and epochs, of which some steps are taken; or `quiet`."""
        self._epochs, self._validation = epochs, ""
        self._seconds: list[float] = []  # of an epoch, by each row
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._bar = RichProgress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("steps  {task.description}  ETA"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=steps, completed=taken)

    def __enter__(self) -> "Progress":
        if not self._bar.disable:  # older rich ends even a bar that is off with an empty line
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._bar.disable:
            self._bar.stop()

    def steps(self, count: int, terms: dict[str, float]) -> None:
        """Some steps are done; `terms` are the losses of the last one."""
        losses = _losses(terms)
        self._bar.update(self._task, advance=count, description=f"{losses}  {self._validation}")

    def epoch(self, row: dict[str, Any], best_epoch: int, best_score: float) -> None:
        """An epoch is done; `row` is its row of metrics.jsonl."""
        self._seconds.append(row["seconds"])
        left = (self._epochs - row["epoch"]) * statistics.median(self._seconds)
        best = "no validation"
        if "val/recall@20" in row:
            best = self._validation = (
                f"val recall@20 {row['val/recall@20']:.4f} ndcg@20 {row['val/ndcg@20']:.4f}  "
                f"best {best_score:.4f} epoch {best_epoch}"
            )
        self.say(
            f"epoch {row['epoch']}/{self._epochs}  {_losses(row)}  {best}  "
            f"{row['seconds']:.2f} s/epoch  "
            f"ETA {datetime.timedelta(seconds=round(left))}"
        )

    def say(self, line: str) -> None:
        """One line, above the bar where there is one."""
        self._console.print(line, soft_wrap=True, markup=False)


def _losses(terms: dict[str, Any]) -> str:
    """The total loss of every player."""
    return "  ".join(
        f"{name.removesuffix('/loss')} {value:.4g}"
        for name, value in terms.items()
        if name.endswith("/loss")
    )
