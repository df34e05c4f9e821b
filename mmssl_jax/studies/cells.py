"""Numbers and tables of a comparison as Markdown."""

from collections.abc import Mapping, Sequence


def number(value: float | int | None, form: str) -> str:
    """A number in this form; '-' for none."""
    return "-" if value is None else format(value, form)


def mean(value: float | None, sd: float | None) -> str:
    """A mean, with its standard deviation where there is one."""
    return number(value, ".4f") + ("" if sd is None else f" ± {sd:.4f}")


def p(value: float | None) -> str:
    """A p-value."""
    return "<.0001" if value is not None and value < 1e-4 else number(value, ".4f")


def interval(low: float | None, high: float | None, form: str) -> str:
    """Its bounds in brackets; '-' where there are none."""
    return "-" if low is None or high is None else f"[{low:{form}}, {high:{form}}]"


def table(rows: Sequence[Mapping[str, str]], *, texts: Sequence[str] = ()) -> str:
    """Rows of column -> cell in Markdown; the first column and `texts` stand left."""
    names = list(rows[0])
    left = {names[0], *texts}
    lines = [names, ["---" if name in left else "---:" for name in names]]
    lines += [[cell.replace("|", "\\|") for cell in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
