"""Imports, examines and encodes data sets: python -m mmssl_jax.data import|check|encode --help"""

import sys

from mmssl_jax.commands import running
from mmssl_jax.errors import InputError

USAGE = """usage: python -m mmssl_jax.data {import,check,encode} ...

  import    turn data of any known layout, or a table of interactions, into a data folder
  check     say what is wrong or suspicious in a data folder
  encode    make item features from texts and images

Each has its own --help."""


def main(argv: list[str]) -> None:
    """Runs a subcommand; `argv` is `sys.argv`. Raises InputError for what the user can mend."""
    match argv[1:]:
        case ["import", *rest]:
            from mmssl_jax.data.importing import imports  # here, as each of them loads much

            imports.main(rest)
        case ["check", *rest]:
            from mmssl_jax.data.checks import doctor

            doctor.main(rest)
        case ["encode", *rest]:
            from mmssl_jax.data.encoding import encode

            encode.main(rest)
        case ["-h" | "--help", *_]:
            print(USAGE)
        case [unknown, *_]:
            raise InputError(f"no subcommand '{unknown}'; there are import, check and encode")
        case _:
            print(USAGE, file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    running.run(main, on_interrupt="give the same command again")
