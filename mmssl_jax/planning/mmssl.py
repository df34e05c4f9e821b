"""What a step of MMSSL needs, by its config: modality graphs, and a critic or none."""

from mmssl_jax.config import Config
from mmssl_jax.planning import critic
from mmssl_jax.planning import needs as parts
from mmssl_jax.planning import sizes as of
from mmssl_jax.planning.needs import ADAM, Collective, Needs
from mmssl_jax.planning.sizes import EDGE, FLOAT, Blocks, Sizes

BLOCK = 1024  # users whose relation scores are made at a time, as in `graphs.modality_graph`


def plays(config: Config, sizes: Sizes) -> bool:
    """Whether there is a critic."""
    return config.critic.enabled and bool(sizes.widths)


def observed(config: Config) -> bool:
    """Whether the training pairs are the modality graph in every step."""
    return bool(config.mmssl.modality_graph == "observed")


def needs(config: Config, sizes: Sizes) -> Needs:
    """Of a resolved config: each product is of users by items, or of items by users."""
    d, row = config.model.embedding_dim, FLOAT * config.model.embedding_dim
    devices, with_critic = sizes.devices, plays(config, sizes)
    by_users = of.one_sided(sizes.users, sizes.items, sizes.pairs, devices)
    by_items = of.one_sided(sizes.items, sizes.users, sizes.pairs, devices)
    to_users, to_items = products(config, sizes)
    gathered = row * devices * (to_users * by_users.rows + to_items * by_items.rows)
    shared = collectives(config, sizes, gathered) if devices > 1 else []
    if with_critic and devices > 1:
        shared += critic.collectives(config, sizes)
    needed = row * (to_users * by_users.needed + to_items * by_items.needed)
    tables = parts.tables(sizes, sizes.model)  # once for batches, and once for MMSSL
    reads_tables = with_critic or kept_graphs(config, sizes) > 0
    return Needs(
        arguments=arguments(config, sizes, by_users, by_items)
        | {"pair tables": 2 * tables if reads_tables else tables},
        idle={} if reads_tables else {"pair tables again": tables},
        temporaries=temporaries(config, sizes),
        collectives=[each for each in shared if each.group > 1],
        flops=flops(config, sizes, to_users * by_users.edges + to_items * by_items.edges),
        traffic=to_users * parts.product_traffic(by_users, sizes.users, d, devices)
        + to_items * parts.product_traffic(by_items, sizes.items, d, devices)
        + 4 * (to_users * sizes.users + to_items * sizes.items) * row
        + (critic.traffic(config, sizes) if with_critic else 0),
        exchange=parts.exchange(needed, devices),
    )


def products(config: Config, sizes: Sizes) -> tuple[int, int]:
    """How many sparse products of a step make rows of users, and how many make rows of items.

    Forward and backward, one of each for every modality and every layer, and one for the observed
    modality graph. The critic's rows need features after another dropout, and a few more products
    that XLA does not share.
    """
    both = 2 * (len(sizes.widths) + config.model.layers + observed(config))
    if not plays(config, sizes):
        return both, both
    again, views = len(sizes.widths), observed(config)
    return both + again + 2 * views, both + again + 1 + views


def kept_graphs(config: Config, sizes: Sizes) -> float:
    """Bytes of modality graphs that change, whole on every device: four matrices a modality."""
    if config.mmssl.modality_graph == "top_k":
        edges = config.mmssl.graph_items * sizes.users
    elif config.mmssl.modality_graph == "released" and rebuilds(config, sizes):
        chosen = int(sizes.items * config.mmssl.graph_rate) * config.train.batch_size
        edges = max(sizes.pairs, chosen)
    else:
        return 0.0
    of_one: float = 4 * EDGE * edges + 2 * FLOAT * sizes.nodes
    return len(sizes.widths) * of_one


def rebuilds(config: Config, sizes: Sizes) -> bool:
    """Whether an epoch has steps enough for the release to rebuild its graphs."""
    steps = config.train.steps_per_epoch or sizes.pairs // config.train.batch_size + 1
    return bool(steps > (config.mmssl.graph_refresh or 1))


def arguments(config: Config, sizes: Sizes, by_users: Blocks, by_items: Blocks) -> dict[str, float]:
    """Bytes of the program's arguments besides the pair tables, part by part."""
    d, devices = config.model.embedding_dim, sizes.devices
    tables = sizes.share(sizes.users, d) + sizes.share(sizes.items, d)
    weights = sum(sizes.widths.values()) * d + len(sizes.widths) * d
    if sizes.widths and config.mmssl.modality_graph != "none":
        weights += (3 if config.mmssl.attention else config.mmssl.heads) * d * d
    learned = ADAM * FLOAT * (d * tables + weights)
    matrices = parts.graph(by_users, sizes.users, devices)
    matrices += parts.graph(by_items, sizes.items, devices)
    features = sum(sizes.share(sizes.items, width) * width for width in sizes.widths.values())
    found: dict[str, float] = {"parameters and moments": learned}
    if plays(config, sizes):
        found["critic and its moments"] = critic.parameters(config, sizes)
    found |= {"graph": 2 * matrices, "features": FLOAT * features}
    if kept := kept_graphs(config, sizes):
        found["modality graphs"] = kept
    return found


def temporaries(config: Config, sizes: Sizes) -> dict[str, float]:
    """Bytes of the program besides, part by part.

    Which arrays wait for one another XLA decides. The counts are read from compiled programs: an
    array of all users or of all items is whole, or split where XLA keeps it so. Where there are
    more items than users another moment is the peak.
    """
    row, count = FLOAT * config.model.embedding_dim, len(sizes.widths)
    users, items, layers = sizes.users, sizes.items, config.model.layers
    split_users, split_items = users / sizes.model, items / sizes.model
    if users >= items:
        rows: float = (2 * count + layers) * users + 2 * items
        rows += (2 + count) * split_users + (4 + 2 * count + layers) * split_items
    else:
        rows = (2 + count) * users + (2 * count + layers) * items
        rows += (1 + 3 * count + 2 * layers) * split_users + (count + 2 * layers) * split_items
    if config.mmssl.modality_graph != "none":
        rows += 2 * users + 2 * items + 4 * split_items
    found: dict[str, float] = {"generator": row * (rows + 10 * config.train.batch_size)}
    if plays(config, sizes):
        again = users + 2 * items + 2.5 * count * items
        if observed(config) and sizes.devices > 1:
            again += 1.75 * count * sizes.nodes
        # Real rows are made before what the generator's second pass leaves.
        found["generator for the critic"] = max(row * again, critic.real_rows(config, sizes))
        found["critic"] = critic.temporaries(config, sizes)
    if kept := kept_graphs(config, sizes):
        found["modality graphs anew"] = rebuild(config, sizes, kept, found["generator"])
    return found


def rebuild(config: Config, sizes: Sizes, kept: float, generator: float) -> float:
    """Bytes, beyond those of the generator, while modality graphs of `kept` bytes are made anew.

    The relation scores of a block of users with all items are there at once.
    """
    if config.mmssl.modality_graph == "released":
        return FLOAT * config.train.batch_size * sizes.items + 2 * kept
    row, block = FLOAT * config.model.embedding_dim, min(BLOCK, sizes.users)
    scores = FLOAT * block * sizes.items + 3 * row * sizes.nodes
    return kept + max(scores - generator, 0.0)


def collectives(config: Config, sizes: Sizes, gathered: float) -> list[Collective]:
    """What the generator exchanges; `gathered` is the bytes of all products' rows."""
    row, count = FLOAT * config.model.embedding_dim, len(sizes.widths)
    users, items = sizes.users, sizes.items
    # XLA keeps dropout, norms and sums split as the tables are, and gathers what products read.
    whole: float = row * (3 * users + 3 * items + count * (users + 2 * items))
    whole += count * config.model.embedding_dim * items  # which items dropout keeps, a byte each
    if observed(config):
        whole += row * (2 * users + 2 * items)
    if plays(config, sizes):
        whole += row * count * items
    batch = config.train.batch_size * row * (4 if observed(config) else 3)
    found = [
        Collective("all-gather", "rows of products", gathered, sizes.devices),
        Collective("all-gather", "factors of products", whole, sizes.model),
        Collective("all-reduce", "embeddings of a batch", batch, sizes.model),
    ]
    if config.mmssl.modality_graph == "top_k":
        own = 2 * count * row * sizes.nodes
        found.append(Collective("all-gather", "factors of modality graphs", own, sizes.model))
    if sizes.data > 1:
        summed = row * (users + items) / sizes.model
        found.append(
            Collective("all-reduce", "gradients of batches", summed, sizes.data, sizes.model)
        )
    return found


def flops(config: Config, sizes: Sizes, edges: float) -> float:
    """Operations of a device; `edges` is how many it passes, over all products."""
    d = config.model.embedding_dim
    features = sum(sizes.share(sizes.items, width) * width for width in sizes.widths.values())
    of_critic = critic.flops(config, sizes) if plays(config, sizes) else 0.0
    return 2 * edges * d + 4 * features * d + of_critic
