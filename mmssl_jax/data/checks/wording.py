"""Words for counts (1 row was, 2 rows were) and for the errors of libraries."""


def worded(count: int, one: str, many: str) -> str:
    """The words for one, or for many."""
    return one if count == 1 else many


def counted(count: int, one: str, many: str | None = None) -> str:
    """The count and the words that follow it; for many by default those for one with an s."""
    return f"{count} {worded(count, one, many or f'{one}s')}"


def reason_of(error: BaseException) -> str:
    """What an error of polars says, as short and as safe to print as it needs to be."""
    return repr(str(error).partition("\n")[0])[1:-1][:200]
