"""The paper variant of MMSSL in float64 numpy, written from the model's description alone.

It shares no code with the package: dense matrices, loops, and every formula as it is written.
"""

import numpy as np
from margins import assert_margin


def n(x):
    """Rows over their L2 norm, floored at 1e-12."""
    return x / np.maximum(np.sqrt((x**2).sum(axis=-1, keepdims=True)), 1e-12)


def norm(graph):
    """`diag(rowsum + 1e-8)^(-1/2) G`."""
    return np.diag((graph.sum(axis=1) + 1e-8) ** -0.5) @ graph


def softmax(x, axis=-1):
    exponent = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponent / exponent.sum(axis=axis, keepdims=True)


def features(params, adjacency, raw):
    """Modality -> (f_m^U, f_m^I), without dropout."""
    result = {}
    for m, x in raw.items():
        projection = params["projection"][m]
        of_users = norm(adjacency) @ (x @ projection["kernel"] + projection["bias"])
        result[m] = of_users, norm(adjacency.T) @ of_users
    return result


def relation_graph(user_feature, item_feature, adjacency, k):
    """G_m, dense: every user's k items of the highest score, outside the training pairs.

    A user whose features are zero has none.

    Raises AssertionError where another rounding could choose other items.
    """
    graph = np.zeros(adjacency.shape)
    scores = user_feature @ item_feature.T
    related = np.flatnonzero(user_feature.any(axis=1))
    assert_margin(np.where(adjacency > 0, -np.inf, scores)[related], k)
    for u in related:
        outside = np.flatnonzero(adjacency[u] == 0)
        graph[u, sorted(outside, key=lambda i: -scores[u, i])[:k]] = 1
    return graph


def attention(fusion, views, heads):
    """Multi-head attention across the modalities of each node, then the mean over modalities."""
    query, key, value = ([x @ fusion[name] for x in views] for name in ("query", "key", "value"))
    mean = np.zeros_like(views[0])
    width = views[0].shape[1] // heads
    for node in range(len(mean)):
        for start in range(0, heads * width, width):
            head = slice(start, start + width)
            for q in query:
                logits = [q[node, head] @ k[node, head] / np.sqrt(width) for k in key]
                weights = softmax(np.array(logits))
                attended = sum(w * v[node, head] for w, v in zip(weights, value, strict=True))
                mean[node, head] += attended / len(views)
    return mean


def forward(params, adjacency, raw, graphs, config, last_softmax=False):
    """Final embeddings and what leads to them; no `graphs` leaves steps 3 to 5 out."""
    found = features(params, adjacency, raw)
    users, items = params["user_embedding"], params["item_embedding"]
    out = {"features": found}
    if graphs:
        out["user_ids"] = {m: norm(g) @ items for m, g in graphs.items()}
        out["item_ids"] = {m: norm(g.T) @ users for m, g in graphs.items()}
        heads, eta = config.mmssl.heads, config.mmssl.id_weight
        out["fused_users"] = attention(params["fusion"], list(out["user_ids"].values()), heads)
        out["fused_items"] = attention(params["fusion"], list(out["item_ids"].values()), heads)
        users, items = users + eta * n(out["fused_users"]), items + eta * n(out["fused_items"])
    user_layers, item_layers = [users], [items]
    for layer in range(1, config.model.layers + 1):
        users = norm(adjacency) @ items
        if last_softmax and layer == config.model.layers:
            users = softmax(users)
        items = norm(adjacency.T) @ users
        if last_softmax and layer == config.model.layers:
            items = softmax(items)
        user_layers.append(users)
        item_layers.append(items)
    omega = config.mmssl.modality_weight
    out["users"] = np.mean(user_layers, axis=0) + omega * sum(n(f) for f, _ in found.values())
    out["items"] = np.mean(item_layers, axis=0) + omega * sum(n(f) for _, f in found.values())
    return out


def contrastive(view, anchor, temperature):
    a, b = n(view), n(anchor)

    def s(x, y):
        return np.exp(x @ y / temperature)

    logs = []
    for i in range(len(a)):
        total = sum(s(a[i], x) for x in a) + sum(s(a[i], x) for x in b) - s(a[i], a[i])
        logs.append(np.log(s(a[i], b[i]) / total + 1e-8))
    return -np.mean(logs)


def generator_terms(out, batch, config):
    """The generator's losses, without the adversarial one."""
    u, p, q = (
        out["users"][batch.users],
        out["items"][batch.positives],
        out["items"][batch.negatives],
    )
    margins = (u * p).sum(axis=1) - (u * q).sum(axis=1)
    squares = sum((f**2).sum() for pair in out["features"].values() for f in pair)
    terms = {
        "bpr": -np.mean(np.log(1 / (1 + np.exp(-margins)))),
        "embedding_l2": config.train.embedding_l2
        * ((u**2).sum() + (p**2).sum() + (q**2).sum())
        / (2 * len(u)),
        "feature_l2": config.mmssl.feature_l2 * squares / 2 / len(out["items"]),
    }
    for m, view in out["user_ids"].items():
        terms[f"contrastive_{m}"] = contrastive(
            view[batch.users], out["fused_users"][batch.users], config.mmssl.temperature
        )
    return terms


def generator_loss(terms, config):
    """The total without the adversarial term."""
    weight = config.mmssl.contrastive_weight
    return sum((weight if "contrastive" in name else 1) * value for name, value in terms.items())


def relation_rows(users, items, training_mask):
    return n((users @ items.T) * (1 - training_mask))


def real_rows(training_mask, relation, uniform, temperature, zeta, temper_all):
    gumbel = -np.log(-np.log(uniform + 1e-8) + 1e-8)
    if temper_all:
        soft = softmax((training_mask + gumbel) / temperature)
    else:
        soft = softmax(training_mask + 1e-5 / temperature * gumbel)
    return n(soft + zeta * relation)


def critic_scores(params, rows, slope):
    """100 * sigmoid of the three dense layers, without dropout."""
    x = rows
    for layer in (0, 1):
        dense, scale = params[f"dense{layer}"], params[f"bn{layer}"]
        x = x @ dense["kernel"] + dense["bias"]
        x = np.where(x > 0, x, slope * x)
        x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
        x = x * scale["scale"] + scale["bias"]
    return 100 / (1 + np.exp(-(x @ params["dense2"]["kernel"] + params["dense2"]["bias"])[:, 0]))


def critic_loss(params, real, fake, alpha, slope, weight):
    """The critic's loss, the gradient of its penalty by central differences."""
    mixed = alpha * real + (1 - alpha) * fake
    gradient = np.zeros_like(mixed)
    for index in np.ndindex(mixed.shape):
        step = np.zeros_like(mixed)
        step[index] = 1e-6
        ends = (critic_scores(params, mixed + sign * step, slope).sum() for sign in (1, -1))
        gradient[index] = (next(ends) - next(ends)) / 2e-6
    penalty = np.mean((np.sqrt((gradient**2).sum(axis=1)) - 1) ** 2)
    scores = (critic_scores(params, rows, slope).mean() for rows in (fake, real))
    return next(scores) - next(scores) + weight * penalty
