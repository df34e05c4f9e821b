"""Makes pairs, profiles and attributes of a language model: mmssl augment --config lightgcn"""

import pathlib
import shlex
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from mmssl_jax.augmentation import augment, endpoint, stand_ins, subjects
from mmssl_jax.augmentation import folder as folders
from mmssl_jax.augmentation.augment import Plan, Report
from mmssl_jax.augmentation.folder import Part
from mmssl_jax.augmentation.options import ENDPOINT, NONE, PROVIDERS, STAND_IN, AugmentOptions
from mmssl_jax.commands import flags, running
from mmssl_jax.commands.bars import bar
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.data.features import folder as features
from mmssl_jax.errors import InputError, printable

_EXAMPLE = """\b
Example, of a server on this machine:
  export OPENAI_BASE_URL=http://localhost:8000/v1
  mmssl augment --config baby --provider endpoint --model NAME"""


class _Prices(click.ParamType[tuple[float, float]]):
    """Two numbers with a comma between."""

    name = "prices"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            given, taken = map(float, str(value).split(","))
            if 0 <= given < 1e6 and 0 <= taken < 1e6:
                return given, taken
        except ValueError:
            pass
        raise InputError(f"--prices is {value!r}; give two numbers, such as 0.15,0.60")


def _of(name: str, kind: Any, metavar: str, about: str) -> flags.Decorator:
    return click.option(name, type=kind, metavar=metavar, help=about)


@click.command("augment", cls=flags.ConfigCommand, epilog=_EXAMPLE)
@flags.config("runs/<config name>", "here data.path alone")
@click.option(
    "--provider",
    type=flags.Choice(PROVIDERS),
    metavar="WHO",
    default=NONE,
    help="Answers: endpoint, at OPENAI_BASE_URL; none, your files (default); stand-in, the run.",
)
@_of("--parts", flags.NAMES, "PART,...", "Of pairs,profiles,attributes (default: the first two).")
@_of("--attributes", flags.NAMES, "NAME,...", "Of each item, to be asked for.")
@_of("--items", flags.PATH, "FILE", "A table of the items, CSV or TSV (default: titles).")
@_of("--id-column", flags.TEXT, "COLUMN", "Raw item ids in --items (default: the first).")
@_of("--fields", flags.NAMES, "COLUMN,...", "Of --items, that describe an item.")
@_of("--candidates", flags.Number(2, 100), "N", "Of the run, for a user (default: 10).")
@_of("--history", flags.Number(1, 1000), "N", "Most items of a user in a prompt (default: 30).")
@_of("--model", flags.TEXT, "NAME", "As the endpoint calls it.")
@_of("--body", flags.TEXT, "JSON", """More of each request: '{"max_tokens": 99}'.""")
@_of("--concurrency", flags.Number(1, 256), "N", "Requests at a time (default: 8).")
@_of("--timeout", flags.Number(1, 3600), "SECONDS", "For one try of a request (default: 120).")
@_of("--budget", flags.Number(0, 10**12), "TOKENS", "In and out, for all calls.")
@_of("--prices", _Prices(), "IN,OUT", "Dollars for a million tokens.")
@_of("--text-model", flags.TEXT, "MODEL", "That encodes the answers.")
@_of("--profile-modality", flags.TEXT, "NAME", "Of stand-in profiles (default: text).")
@click.option("--dry-run", is_flag=True, help="Print a prompt of each part, tokens, costs.")
def _augment(given: Given, workdir: pathlib.Path | None, **named: Any) -> None:
    """Asks a language model about the users and items of a run's data.

    Its answers go beside the data, for LLMRec: a liked and a disliked one of the run's candidates,
    profiles, attributes. Nothing leaves this machine without --provider endpoint.
    """
    options = _options(named)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if options.provider == ENDPOINT and not options.dry_run:
        running.say(f"asking {options.model} at {endpoint.address()}")
    trained = flags.trained(given, workdir, "augment")
    folder = folders.of_run(trained)
    if options.provider == STAND_IN:
        console.print(_table(stand_ins.write(trained, options)))
        console.print(printable(f"written into {folder}, of no language model"))
        return
    folders.check_free(folder, options)
    about = subjects.find(trained, options, running.warn)
    if options.dry_run:
        _print_plan(console, augment.plan(folder, about, options), options)
        return
    with running.goes_on("after the last answer"):
        report = augment.augment(folder, about, options, running.warn, bar)
    _print(console, folder, report, options)


def _options(named: dict[str, Any]) -> AugmentOptions:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in named.items()
        if value is not None
    }
    return AugmentOptions(**values)


def _print_plan(console: Console, plan: Plan, options: AugmentOptions) -> None:
    for question in plan.examples:
        console.print(f"--- one of {plan.counts[question.part]} for {question.part}")
        for message in question.request["messages"]:
            for line in message["content"].splitlines():
                console.print(printable(line))
    total = sum(plan.counts.values())
    console.print(
        f"--- {total} requests; at most about {plan.tokens[0]} tokens in and {plan.tokens[1]} out"
        f"{_costs(plan.tokens, options)}; nothing was sent"
    )


def _print(console: Console, folder: pathlib.Path, report: Report, options: AugmentOptions) -> None:
    console.print(_table(report.parts))
    if sum(report.tokens):
        spent = f"{report.tokens[0]} tokens in, {report.tokens[1]} out"
        console.print(f"so far: {spent}{_costs(report.tokens, options)}")
    for reason, count in report.failed.most_common(5):
        running.warn(f"{count} requests failed: {reason}; the same command asks again")
    if report.out_of_budget:
        running.warn(
            f"the budget of {options.budget} tokens leaves {report.open} questions open; the same "
            "command with a larger one goes on"
        )
    if report.prompts is not None and report.open:
        console.print(
            printable(
                f"{report.open} prompts are in {report.prompts}: put answers beside it, into "
                "answers.jsonl, and give the same command again"
            )
        )
    written = [path for part in report.parts for path in part.written]
    if written:
        console.print(printable(f"written into {folder}: {', '.join(p.name for p in written)}"))
        content = "" if features.find(folder) else f" --config.data.modalities={features.NONE}"
        path = shlex.quote(str(folder))
        workdir = shlex.quote(f"runs/{folder.name}-llmrec")
        line = f"mmssl train --config llmrec --config.data.path={path}{content} --workdir {workdir}"
        console.print(printable(f"next: {line}"))


def _table(found: list[Part]) -> Table:
    table = Table("part", "asked about", "answered", "answers refused, and why")
    for part in found:
        listed = ", ".join(f"{count} {reason}" for reason, count in part.refused.most_common())
        table.add_row(part.name, str(part.subjects), str(part.answered), listed or "none")
    return table


def _costs(tokens: tuple[int, int], options: AugmentOptions) -> str:
    if options.prices is None:
        return ""
    dollars = sum(count * price for count, price in zip(tokens, options.prices, strict=True)) / 1e6
    return f", {dollars:.2f} dollars"


COMMAND = _augment
