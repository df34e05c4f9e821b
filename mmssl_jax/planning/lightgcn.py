"""What a step of LightGCN needs."""

from mmssl_jax.config import Config
from mmssl_jax.planning import needs as parts
from mmssl_jax.planning import sizes as of
from mmssl_jax.planning.needs import ADAM, Collective, Needs
from mmssl_jax.planning.sizes import FLOAT, Sizes


def needs(config: Config, sizes: Sizes) -> Needs:
    """Of a resolved config: L products forward and L backward, over users and items at once."""
    d, layers, batch = config.model.embedding_dim, config.model.layers, config.train.batch_size
    row, nodes, devices = FLOAT * d, sizes.nodes, sizes.devices
    blocks = of.joint(sizes.users, sizes.items, sizes.pairs, devices)
    gathered = row * blocks.rows * devices
    share = sizes.share(sizes.users, d) + sizes.share(sizes.items, d)
    whole = {
        # The embeddings and all layers wait for their mean; one more is in another order.
        "layers": row * nodes * (layers + 2),
        "gathered rows": gathered if devices > 1 else 0.0,
        "batch": row * batch * 6,
    }
    products = 2 * layers
    matrices = 2 * parts.graph(blocks, nodes, devices)
    return Needs(
        arguments={
            "parameters and moments": ADAM * row * share,
            "graph": matrices,
            "pair tables": parts.tables(sizes, sizes.model),
        },
        idle={},
        temporaries=whole,
        collectives=collectives(sizes, row, products * gathered) if devices > 1 else [],
        flops=products * 2 * blocks.edges * d,
        traffic=products * parts.product_traffic(blocks, nodes, d, devices)
        + 2 * (layers + 2) * row * nodes
        + 8 * row * share,
        exchange=parts.exchange(products * row * blocks.needed, devices),
    )


def collectives(sizes: Sizes, row: float, gathered: float) -> list[Collective]:
    """What is exchanged: `row` is the bytes of a node, `gathered` those of all products' rows."""
    own = row * sizes.nodes / sizes.model
    found = [
        Collective("all-gather", "rows of products", gathered, sizes.devices),
        Collective("all-gather", "embeddings", row * sizes.nodes, sizes.model),
        # Users and items are joined, and their gradients parted, at rows where no device's begin.
        Collective("all-to-all", "joining tables", own, sizes.model),
        Collective("collective-permute", "parting gradients", 3 * own, sizes.model),
    ]
    if sizes.data > 1:
        summed = row * (sizes.nodes + sizes.items)
        found.append(
            Collective("all-reduce", "gradients of batches", summed, sizes.data, sizes.model)
        )
    return [each for each in found if each.group > 1]
