"""The command lines of train.py and evaluate.py; only it and flag_errors.py know absl's flags."""

import pathlib
import sys
import warnings
from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags
from rich.console import Console

from mmssl_jax import data, models, training
from mmssl_jax.commands import flag_errors
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError, printable
from mmssl_jax.files import atomic
from mmssl_jax.ranking import groups
from mmssl_jax.runs.folder import Workdir, check_dataset
from mmssl_jax.training import compilation_cache, final_run, results
from mmssl_jax.training.devices import check_devices

USAGE = """usage: {program} --config FILE [--workdir DIR]{options} [--config.FIELD=VALUE ...]

  --config FILE     a config, such as configs/demo.py; all fields are in mmssl_jax/config.py
  --workdir DIR     the run's folder (default: runs/<config name>){details}
"""

_FINAL = """
  --final           trains on all pairs, those of val and test too, for serving: no validation, no
                    scores; needs --config.train.epochs=N; default folder: runs/<config name>-final
  --final-from RUN  the same, by the config of a finished run (its folder), up to its best epoch"""

resolved = models.resolve

GOES_ON = "the same command goes on from the last validation"


def train_main(argv: list[str]) -> None:
    """`train.py`: trains, or goes on with a stopped run, and prints the table of the best epoch."""
    usage = USAGE.format(
        program="train.py", options=" [--final | --final-from RUN]", details=_FINAL
    )
    values = parse(argv, usage, switches=("final",), **{"final-from": "a finished run"})
    config, dataset, folder = _planned(values)
    try:
        summary = training.train(config, dataset, folder)
    except training.OUT_OF_MEMORY as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"the device cannot do it ({reason}); a smaller critic.hidden, critic.item_block or "
            "train.batch_size needs less memory, critic.enabled=False least"
        ) from error
    title = results.title(dataset, config, summary["best_epoch"])
    if dataset.final:
        Console().print(f"{title}\nin {folder}, for recommend and export --workdir", soft_wrap=True)
    else:
        Console().print(results.table(summary, config.evaluation.cutoffs, title))


def _planned(values: flags.FlagValues) -> tuple[Config, data.Dataset, pathlib.Path]:
    """The config, data set and folder of the run that `train.py` is to make."""
    source, overrides = path(values, "final-from"), values["config"].override_values
    if source is None and not values["final"].value:
        config = resolved(values.config)
        return config, load(config), workdir(values)
    folder = workdir(values)
    if values.workdir is None:
        folder = folder.with_name(f"{folder.name}-final")
    how = ""
    if source is None:
        config = final_run.config_for(values.config, overrides)
    else:
        config, how = final_run.config_from(Workdir(source), overrides)
    dataset = load(config, final=True)
    if source is not None and (warning := final_run.check_data(Workdir(source), dataset)):
        print(f"warning: {printable(warning)}", file=sys.stderr)
    line = f"all {dataset.train.nnz} pairs are trained on, without validation and test"
    print(f"{line}; {how}" if how else line, file=sys.stderr)
    return config, dataset, folder


def evaluate_main(argv: list[str]) -> None:
    """`evaluate.py`: scores the best checkpoint of a run, by the config stored with the run."""
    usage = USAGE.format(
        program="evaluate.py",
        options=" [--json FILE]",
        details="\n  --json FILE       also write the scores as JSON\n\n"
        "The run's own config.json is used; only --config.data.path may be given on top.",
    )
    values = parse(argv, usage, json="file to write the scores to")
    to_json = path(values, "json")
    if to_json is not None:
        atomic.check_writable(to_json)
    config, dataset, run = open_run(values, "evaluate.py")
    scores = training.evaluate_run(config, dataset, run)
    title = results.title(dataset, config, scores["best_epoch"])
    console = Console()
    console.print(results.table(scores, config.evaluation.cutoffs, title))
    console.print(groups.table(scores, f"At 20, by groups of users and of items: {title}"))
    if to_json is not None:
        atomic.write_json(to_json, scores)


def open_run(values: flags.FlagValues, program: str) -> tuple[Config, data.Dataset, Workdir]:
    """A run that was trained: the config stored with it, its data set, and its folder.

    Raises:
      InputError: there is no run, its data set is another now, or `values` override another field
        of its config than data.path; `program` is who refuses that.
    """
    overrides = values["config"].override_values
    if overrides.keys() - {"data.path"}:
        field = min(overrides.keys() - {"data.path"})
        raise InputError(
            f"--config.{field} cannot be given to {program}, which takes the run's own config; "
            "only --config.data.path can"
        )
    run = Workdir(workdir(values))
    stored, known = run.read()
    stored.data.path = overrides.get("data.path", stored.data.path)
    config = resolved(stored)
    dataset = load(config, final=bool(known.get("final")))
    check_dataset(known, dataset, run.folder)
    return config, dataset, run


def parse(
    argv: list[str], usage: str, switches: Sequence[str] = (), **more_flags: str
) -> flags.FlagValues:
    """The flags of a command line.

    Args:
      argv: program name and arguments.
      usage: printed for --help.
      switches: further flags that take no value.
      **more_flags: further string flags and their help.

    Raises:
      InputError: an unknown flag or config field, a value of the wrong type, a config that cannot
        be read, or arguments that are no flags.
    """
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(argv[1:]):
        print(usage)
        sys.exit(0)
    file = _config_file(argv)
    flag_errors.check_fields(argv)
    flag_errors.check_renamed(argv)
    values = flags.FlagValues()
    try:
        config_flags.DEFINE_config_file(
            "config", None, "config file", flag_values=values, sys_argv=argv
        )
        flags.DEFINE_string("workdir", None, "the run's folder", flag_values=values)
        for name, text in more_flags.items():
            flags.DEFINE_string(name, None, text, flag_values=values)
        for name in switches:
            flags.DEFINE_boolean(name, False, name, flag_values=values)
        with warnings.catch_warnings():
            message = "the load_module"  # of ml_collections, which loads the config file
            warnings.filterwarnings("ignore", message, DeprecationWarning)
            rest = values(argv)
            _ = getattr(values.config, "train", None)  # raises what kept the file from being read
    except (Exception, SystemExit) as error:  # a config file is code: anything can come out of it
        raise InputError(flag_errors.one_line(error, file)) from error
    if len(rest) > 1:
        raise InputError(f"unexpected argument '{rest[1]}'; flags start with --")
    if not isinstance(values.config, Config):
        found = type(values.config).__name__
        raise InputError(
            f"config file {file}: its get_config() returns {found}, not the Config of "
            "mmssl_jax.config; see configs/demo.py"
        )
    for name in ("workdir", *more_flags):
        if values[name].value == "":
            raise InputError(f"--{name} is empty; give a path, or leave the flag out")
    return values


def load(config: Config, *, final: bool = False) -> data.Dataset:
    """The data set of a config, with all pairs in train if `final`, and jax made ready for it.

    Its warnings go to stderr. Raises InputError where there is no device as asked for, or the data
    cannot be read.
    """
    check_devices()
    compilation_cache.use()
    of = config.data
    dataset = data.load(of.path, of.modalities, of.demo_seed, of.repeats, final=final)
    for warning in dataset.warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)
    return dataset


def workdir(values: flags.FlagValues) -> pathlib.Path:
    """The run's folder: --workdir, or runs/<config name>."""
    given = path(values, "workdir")
    if given is not None:
        return given
    name = values.config.name or pathlib.Path(values["config"].config_filename).stem
    return pathlib.Path("runs") / name


def seeds(config: Config, text: str | None, *, default: int) -> list[int]:
    """The seeds of `--seeds N`: train.seed and those after it; InputError where N is no number."""
    if text is not None and not (text.isdecimal() and 0 < int(text) <= 1000):
        raise InputError(f"--seeds is {text!r}; it must be a number from 1 to 1000")
    return [config.train.seed + index for index in range(default if text is None else int(text))]


def path(values: flags.FlagValues, name: str) -> pathlib.Path | None:
    """The path of a flag, with ~ for a home; None where it is not given."""
    text = values[name].value
    try:
        return None if text is None else pathlib.Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"--{name} {text}: {error}; give another") from error


def _config_file(argv: list[str]) -> str:
    """The file that --config names; InputError where it names no Python file."""
    file = None
    for argument, following in zip(argv, [*argv[1:], ""], strict=True):
        if argument in ("--config", "-config"):
            file = following
        elif argument.startswith(("--config=", "-config=")):
            file = argument.partition("=")[2]
    if file is None:
        raise InputError("no --config given; try --config configs/demo.py")
    if not pathlib.Path(file).is_file():
        problem = "is a folder" if file and pathlib.Path(file).is_dir() else "does not exist"
        raise InputError(f"config file '{file}' {problem}; try --config configs/demo.py")
    if not file.endswith(".py"):
        raise InputError(f"config file '{file}' is no .py file; see configs/demo.py")
    return file
