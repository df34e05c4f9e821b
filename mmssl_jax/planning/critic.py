"""What MMSSL's critic adds to a step (docs/benchmarks.md has the floor of its arithmetic)."""

import math

from mmssl_jax.config import Config
from mmssl_jax.planning import sizes as of
from mmssl_jax.planning.needs import ADAM, Collective
from mmssl_jax.planning.sizes import FLOAT, Sizes

CHUNK = 1024  # training pairs in a chunk, as `adversarial.relation_rows` works through them


def hidden(config: Config, sizes: Sizes) -> int:
    """The width of the first layer."""
    width: int = config.critic.hidden or max(sizes.items // 4, 2)
    return width


def parameters(config: Config, sizes: Sizes) -> float:
    """Bytes of its parameters and their moments: the first kernel split, the second whole."""
    h = hidden(config, sizes)
    return ADAM * FLOAT * (sizes.share(sizes.items, h) * h + h * (h // 2) + 4 * h)


def temporaries(config: Config, sizes: Sizes) -> float:
    """Bytes at the peak, besides those of the generator's forward passes."""
    h, batch, d = hidden(config, sizes), config.train.batch_size, config.model.embedding_dim
    rows, kernel = batch * len(sizes.widths), sizes.share(sizes.items, h) * h
    pairs = of.heaviest_batch(sizes, batch)
    # The kernel's gradients and a copy; what each pair of a batch reads, of both factors.
    count = 3.5 * kernel + 2 * len(sizes.widths) * pairs * d
    count += (6 * rows * h + 2 * batch * batch) / sizes.data
    count += 2 * h * h if gram(config, sizes) else rows * sizes.items / sizes.devices
    return FLOAT * count


def real_rows(config: Config, sizes: Sizes) -> float:
    """Bytes while the real rows are made, split by items or in blocks of them."""
    items = min(config.critic.item_block or sizes.items, sizes.items)
    return FLOAT * 5.6 * config.train.batch_size * items / sizes.devices


def gram(config: Config, sizes: Sizes) -> bool:
    """Whether the penalty uses K^T K, as `adversarial.critic.squared_norms` chooses."""
    h, rows = hidden(config, sizes), config.train.batch_size * len(sizes.widths)
    return 4 * sizes.items * h * h + 4 * rows * h * h <= 6 * rows * sizes.items * h


def collectives(config: Config, sizes: Sizes) -> list[Collective]:
    """Sums over the devices that each have a part of the items, or of the batch."""
    h, batch, d = hidden(config, sizes), config.train.batch_size, config.model.embedding_dim
    count = len(sizes.widths)
    chunks = math.ceil(batch * sizes.pairs / sizes.users / CHUNK)
    in_chunks = 3 * chunks * CHUNK * h  # rows of the kernel, read in two passes and one backwards
    pairs = of.heaviest_batch(sizes, batch) * d
    once = 3 * count * d * h + 2 * batch * h + 5 * batch * d
    once += h * h if gram(config, sizes) else 0
    found = [
        Collective("all-reduce", "rows of the critic's kernel", FLOAT * in_chunks, sizes.model),
        Collective("all-reduce", "items of a batch's pairs", FLOAT * pairs, sizes.model),
        Collective("all-reduce", "products with the kernel", FLOAT * once, sizes.model),
    ]
    if sizes.data > 1:
        # The kernel's gradient, in chunks its cotangents twice, and users and items of the pairs.
        summed = sizes.share(sizes.items, h) * h + 2 / 3 * in_chunks + (2 * count + 1) * pairs
        found.append(
            Collective(
                "all-reduce", "the critic's batches", FLOAT * summed, sizes.data, sizes.model
            )
        )
    return found


def flops(config: Config, sizes: Sizes) -> float:
    """Operations of a device: `4 B I h + min(4 I h h + 6 N h h, 6 N I h) + 14 N h h`.

    The products over items are split with them, the others are not.
    """
    h, batch = hidden(config, sizes), config.train.batch_size
    rows, items = batch * len(sizes.widths), sizes.share(sizes.items, h)
    over_items = 4 * batch * items * h
    if gram(config, sizes):
        return over_items + 4 * items * h * h + 6 * rows * h * h + 14 * rows * h * h
    return over_items + 6 * rows * items * h + 14 * rows * h * h


def traffic(config: Config, sizes: Sizes) -> float:
    """Bytes moved: the kernel in its products and in Adam, the real rows as they are made."""
    h, batch = hidden(config, sizes), config.train.batch_size
    kernel = sizes.share(sizes.items, h) * h
    return FLOAT * (16 * kernel + 8 * batch * sizes.items / sizes.model)
