"""The command lines of train.py and evaluate.py; the only module that knows absl's flags."""

import pathlib
import sys
from collections.abc import Callable

from absl import flags, logging
from ml_collections import config_flags
from rich.console import Console

from mmssl_jax import config as configs
from mmssl_jax import data, files, results, training
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError
from mmssl_jax.models import MODELS
from mmssl_jax.workdir import Workdir, check_dataset

USAGE = """usage: {program} --config FILE [--workdir DIR]{options} [--config.FIELD=VALUE ...]

  --config FILE     a config, such as configs/demo.py; all fields are in mmssl_jax/config.py
  --workdir DIR     the run's folder (default: runs/<config name>){details}
"""


def run(main: Callable[[list[str]], None]) -> None:
    """Runs a command: exit code 2 and one line for what the user can mend, 130 for Ctrl-C."""
    logging.set_verbosity(logging.ERROR)
    try:
        main(sys.argv)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last epoch", file=sys.stderr)
        sys.exit(130)


def train_main(argv: list[str]) -> None:
    """`train.py`: trains, or goes on with a stopped run, and prints the table of the best epoch."""
    values = parse(argv, USAGE.format(program="train.py", options="", details=""))
    config = resolved(values.config)
    dataset = load(config)
    summary = training.train(config, dataset, workdir(values))
    title = results.title(dataset, config, summary["best_epoch"])
    Console().print(results.table(summary, config.evaluation.cutoffs, title))


def evaluate_main(argv: list[str]) -> None:
    """`evaluate.py`: scores the best checkpoint of a run, by the config stored with the run."""
    usage = USAGE.format(
        program="evaluate.py",
        options=" [--json FILE]",
        details="\n  --json FILE       also write the scores as JSON\n\n"
        "The run's own config.json is used; only --config.data.path may be given on top.",
    )
    values = parse(argv, usage, json="file to write the scores to")
    overrides = values["config"].override_values
    if overrides.keys() - {"data.path"}:
        field = min(overrides.keys() - {"data.path"})
        raise InputError(
            f"--config.{field} cannot be given to evaluate.py, which takes the run's own config; "
            "only --config.data.path can"
        )
    folder = Workdir(workdir(values))
    stored, known = folder.read()
    stored.data.path = overrides.get("data.path", stored.data.path)
    config = resolved(stored)
    dataset = load(config)
    check_dataset(known, dataset, folder.folder)
    scores = training.evaluate_run(config, dataset, folder)
    title = results.title(dataset, config, scores["best_epoch"])
    Console().print(results.table(scores, config.evaluation.cutoffs, title))
    if values.json is not None:
        files.write_json(pathlib.Path(values.json), scores)


def parse(argv: list[str], usage: str, **more_flags: str) -> flags.FlagValues:
    """The flags of a command line.

    Args:
      argv: program name and arguments.
      usage: printed for --help.
      **more_flags: further string flags and their help.

    Raises:
      InputError: an unknown flag or config field, a value of the wrong type, a config that cannot
        be read, or arguments that are no flags.
    """
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(argv[1:]):
        print(usage)
        sys.exit(0)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config", None, "config file", flag_values=values, sys_argv=argv
    )
    flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
    for name, text in more_flags.items():
        flags.DEFINE_string(name, None, text, flag_values=values)
    try:
        rest = values(argv)
    except Exception as error:  # a config file is code: anything can come out of it
        raise InputError(_one_line(error)) from error
    if len(rest) > 1:
        raise InputError(f"unexpected argument '{rest[1]}'; flags start with --")
    if values.config is None:
        raise InputError("no --config given; try --config configs/demo.py")
    if not isinstance(values.config, Config):
        raise InputError(
            f"cannot read the config {values['config'].config_filename}: no such file, or its "
            "get_config() returns no mmssl_jax.config.Config"
        )
    return values


def resolved(config: Config) -> Config:
    """The config with its model's defaults, checked and frozen; InputError for an unknown model."""
    if config.model.name not in MODELS:
        known = ", ".join(MODELS)
        raise InputError(
            f"config field 'model.name' is {config.model.name!r}; it must be one of {known}"
        )
    return configs.resolve(config, MODELS[config.model.name].DEFAULTS)


def load(config: Config) -> data.Dataset:
    """The data set of a config; its warnings go to stderr."""
    dataset = data.load(config.data.path, config.data.modalities, config.data.demo_seed)
    for warning in dataset.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return dataset


def workdir(values: flags.FlagValues) -> pathlib.Path:
    """The run's folder: --workdir, or runs/<config name>."""
    if values.workdir is not None:
        return pathlib.Path(values.workdir)
    name = values.config.name or pathlib.Path(values["config"].config_filename).stem
    return pathlib.Path("runs") / name


def _one_line(error: Exception) -> str:
    """The telling line of what absl, ml_collections or a config file raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    if isinstance(error, KeyError):
        text = text.strip("\"'")
    if isinstance(error, KeyError) and "not found on dataclass" in text:
        return f"unknown config field: {text}; all fields are in mmssl_jax/config.py"
    return text
