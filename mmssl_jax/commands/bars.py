"""Bars of what takes long."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress


@contextlib.contextmanager
def bar(name: str, done: int, total: int) -> Iterator[Callable[[int], None]]:
    """A bar, where there is a terminal; gives what is told how many are done."""
    console = Console(stderr=True, highlight=False)
    if done:
        console.print(f"{name}: going on after {done} of {total}", markup=False)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=total, completed=done)
        yield lambda done: bar.update(task, completed=done)
