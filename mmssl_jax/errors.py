"""The exceptions that people see as a single line."""


class InputError(ValueError):
    """Something the user gave (a flag, a config, a file) cannot be used.

    The message is one line that says what is wrong, where, and what to do about it. The command
    line prints it and exits with code 2; no traceback is shown.
    """


class PlaceError(InputError):
    """The place of a file cannot be used now: the disk is full, say, or another process holds it.

    What was asked for is not wrong: the same command may do later. So a study of many runs ends
    here, where it would note any other failure of a run and go on with the next.
    """


def printable(text: str) -> str:
    """Text of a stranger's files, without what steers a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
