"""Serves a run over HTTP: mmssl serve runs/demo --port 8000"""

import pathlib

import click

from mmssl_jax.commands import flags, running
from mmssl_jax.serving import vector_index
from mmssl_jax.serving.service import server
from mmssl_jax.training import compilation_cache

_EXAMPLE = """\b
Example:
  mmssl serve runs/demo --port 8000
  curl 'http://127.0.0.1:8000/recommend?user=17&top=5'
  mmssl serve runs/demo"""


@click.command(epilog=_EXAMPLE)
@click.argument("run", type=flags.PATH)
@click.option(
    "--port",
    type=flags.Number(0, 65535),
    default=8000,
    metavar="P",
    help="0 takes a free one (default: 8000).",
)
@click.option(
    "--host",
    type=flags.TEXT,
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Where it listens (default: 127.0.0.1, so to this machine alone).",
)
@click.option(
    "--index",
    "kind",
    type=flags.Choice(vector_index.KINDS),
    default=vector_index.KINDS[0],
    help="Of item vectors: exact (the default), or hnsw, which is faster for many items.",
)
@click.option("--data", type=flags.TEXT, metavar="FOLDER", help="The data, if it was moved.")
@click.option(
    "--allow-host",
    "hosts",
    type=flags.NAMES,
    metavar="NAMES",
    help="Names by which a proxy calls it (default: this machine's own; with --host, any).",
)
def serve(
    run: pathlib.Path,
    port: int,
    host: str,
    kind: str,
    data: str | None,
    hosts: list[str] | None,
) -> None:
    """Answers with what the run in the folder RUN recommends, as JSON over HTTP.

    GET /recommend?user=ID&top=N, POST /recommend with users or a history and filters, GET
    /similar?item=ID. When training finds a better epoch, it is taken up. See docs/serving.md.
    """
    compilation_cache.use()
    server.serve(
        run, host=host, port=port, kind=kind, path=data, hosts=hosts or (), say=running.say
    )


COMMAND = serve
