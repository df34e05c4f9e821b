"""Training in a process of its own, which kills itself, or asks itself to end, at a moment."""

import os
import subprocess
import sys

from worlds import ROOT, STEPS, Place

# Trains, and kills itself, or asks itself to end, at a moment.
DRIVER = f"""
import os, pathlib, shutil, signal, sys
from orbax.checkpoint._src.path import atomicity
from mmssl_jax.commands import call
from mmssl_jax.runs import checkpoints as checkpoint
from mmssl_jax.training import epochs

moment, *argv = sys.argv[1:]
saving = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name, action):
    real = getattr(owner, name)
    def replacement(*args, **kwargs):
        action(*args)
        return real(*args, **kwargs)
    setattr(owner, name, replacement)

def note_epoch(checkpoints, epoch, *_):
    global saving
    saving = epoch

def delete_a_part(path, *_):
    if saving == 5 and "checkpoints" in str(path):
        real_rmtree(pathlib.Path(path) / "metrics")
        die()

real_rmtree = shutil.rmtree
before(checkpoint.Checkpoints, "save", note_epoch)
if moment == "in epoch 2":
    before(epochs, "_read", lambda _, call, *__: call.first_step == {STEPS} + 5 and die())
elif moment == "asked in epoch 5":
    ask = lambda: os.kill(os.getpid(), signal.SIGTERM)
    before(epochs, "_read", lambda _, call, *__: call.first_step == 4 * {STEPS} + 5 and ask())
elif moment == "before save 3":
    before(checkpoint.Checkpoints, "save", lambda _, epoch, *__: epoch == 3 and die())
elif moment == "in save 4":
    before(atomicity.AtomicRenameTemporaryPath, "finalize", lambda *_: saving == 4 and die())
    before(atomicity.CommitFileTemporaryPath, "finalize", lambda *_: saving == 4 and die())
elif moment == "in delete 5":
    before(shutil, "rmtree", delete_a_part)
call(["train", *argv])
"""


def start(place: Place, moment: str, *flags: str) -> subprocess.Popen:
    """Starts DRIVER; what it compiles is kept as the tests' other programs are."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PYTHONPATH": str(ROOT),
    }
    unread = "ignore:Error reading persistent compilation cache:UserWarning"  # another writes it
    warned = ["-W", "error", "-W", unread]
    command = [sys.executable, *warned, "-c", DRIVER, moment, *place.argv(*flags)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)
