"""Parity with LLMRec's release, and with its repairs: every array of the golden files."""

import golden
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.sparse

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.data import Dataset
from mmssl_jax.models import llmrec
from mmssl_jax.models.llmrec import encoder, losses, masks
from mmssl_jax.models.model import Batch
from mmssl_jax.ranking import full_ranking

FILES = golden.files("llmrec") + golden.files("extra_llmrec")
# An earlier state of the public code hides items alone, their modalities too, and has no decoder.
HISTORY = {
    "model.variant": "released",
    "llmrec.mask_users": False,
    "llmrec.mask_modalities": True,
    "llmrec.restore": "projected",
}
PARAMS = {"image_trans": ("modalities", "image"), "text_trans": ("modalities", "text")}
PARAMS |= {"profile_trans": ("profiles", "profile"), "attribute_trans": ("attributes",)}


def ints(array) -> jax.Array:
    return jnp.asarray(array, jnp.int32)


class Release:
    """A golden file as the package's own config, data and parameters."""

    def __init__(self, path):
        self.golden = g = golden.Golden(path)
        hyper, variant = g.hyper, g.hyper["variant"]
        values = {
            "data.path": "golden",
            "model.name": "llmrec",
            "model.variant": variant,
            "model.embedding_dim": hyper["embed_dim"],
            "model.layers": hyper["id_layers"],
            "train.batch_size": hyper["batch_size"],
            "train.learning_rate": hyper["lr_used"],
            "train.embedding_l2": hyper["embedding_reg"],
            "llmrec.modality_weight": hyper["model_cat_rate"],
            "llmrec.profile_weight": hyper["user_cat_rate"],
            "llmrec.attribute_weight": hyper["item_cat_rate"],
            "llmrec.augmented_loss": hyper["aug_mf_rate"],
            "llmrec.modality_loss": hyper["mm_mf_rate"],
            "llmrec.pruned": hyper["prune_loss_drop_rate"],
            "llmrec.augmented_share": hyper["aug_sample_rate"],
            "llmrec.mask_share": hyper["mask_rate"],
            "llmrec.restore_weight": hyper["att_re_rate"],
            "llmrec.restore_loss": hyper["feat_loss_type"],
            "llmrec.restore_power": hyper["alpha_l"],
            "llmrec.feature_l2": hyper["feat_reg_decay"],
            "llmrec.decoder_slope": hyper.get("decoder_slope", 1.0),
        }
        if variant == "history":
            values |= HISTORY
        base = configs.flatten(configs.Config())
        self.config = models.resolve(configs.unflatten(base | values))
        size = hyper["users"], hyper["items"]

        def matrix(edges):
            ones = np.ones(len(edges), np.float32)
            return scipy.sparse.csr_array((ones, tuple(edges.T)), shape=size)

        edges = g["augmented/edges"]
        inside = np.flatnonzero((edges < size[1]).all(axis=1))
        self.dataset = Dataset(
            "golden",
            matrix(g["train_edges"]),
            *[matrix(g["metric/test_edges"])] * 2,
            {name: g[f"feat/{name}"] for name in ("image", "text")},
            None,
            None,
            True,
            (),
            user_features={"profile": g["feat/profile"]},
            attributes={name: g[f"feat/attribute/{name}"] for name in hyper["attributes"]},
            augmented=np.column_stack([inside, edges[inside]]),
        )
        self.model = llmrec.build(self.config, self.dataset, 1)
        self.inputs = self.model.inputs
        self.masks = None
        if hyper["mask"]:
            self.masks = [
                encoder.Masks(
                    ints(g[f"{mask}/users"] if self.config.llmrec.mask_users else []),
                    ints(g[f"{mask}/items"]),
                )
                for mask in ("mask", "mask2")
            ]
        batch = Batch(*(ints(g[f"batch/{name}"]) for name in ("users", "pos", "neg")))
        drawn = ints(g["augmented/drawn_users"])
        self.triples = losses.with_augmented(batch, drawn, self.inputs.augmented, self.config)

    @property
    def in_place(self) -> bool:
        return self.masks is not None and self.config.llmrec.mask_in_place

    def params(self, group="param", decoder="decoder"):
        """Parameters by the package's names, from a group of the file."""
        g = self.golden
        found = {
            name: jnp.asarray(g[f"{group}/{name}"]) for name in ("user_embedding", "item_embedding")
        }
        for theirs, path in PARAMS.items():
            place = found
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = {
                part: jnp.asarray(g[f"{group}/{theirs}/{part}"]) for part in ("kernel", "bias")
            }
        if self.masks is not None and decoder and self.config.llmrec.restore == "decoded":
            found["decoders"] = {
                of: {part: jnp.asarray(g[f"{decoder}/{of}/{part}"]) for part in ("kernel", "bias")}
                for of in ("user", "item")
            }
        return found

    def check_params(self, group, found, decoder=""):
        """Parameters, or their gradients, against those of the file."""
        for name in ("user_embedding", "item_embedding"):
            self.golden.check(f"{group}/{name}", found[name])
        for theirs, path in PARAMS.items():
            own = found
            for name in path:
                own = own[name]
            for part in ("kernel", "bias"):
                self.golden.check(f"{group}/{theirs}/{part}", own[part])
        if decoder and "decoders" in found:
            for of, parts in found["decoders"].items():
                for part, value in parts.items():
                    self.golden.check(f"{decoder}/{of}/{part}", value)

    def forward(self, params, which=0):
        """The forward pass with the first or, behind it, the second mask."""
        if self.masks is None:
            return encoder.forward(params, self.inputs, self.config)
        if not self.in_place:
            return encoder.forward(params, self.inputs, self.config, masks=self.masks[which])
        side = self.inputs.side
        for mask in self.masks[: which + 1]:
            side = masks.masked(side, mask, self.config)
        return encoder.forward(params, self.inputs, self.config, side=side)

    def terms(self, params):
        """Every term of the loss, and the total."""
        out = self.forward(params)
        found = losses.terms(out, self.triples, self.config)
        if self.masks is not None:
            rows = masks.rows_of(self.inputs.side, self.masks[0], self.config)
            found["restore"] = masks.restore_loss(
                params, params.get("decoders"), out, rows, self.masks[0], self.config
            )
        return found | {"total": losses.total(found, self.config)}


@pytest.fixture(name="run", params=FILES, scope="module")
def _run(request):
    return Release(request.param.values[0] if hasattr(request.param, "values") else request.param)


def test_graphs_masks_and_projections(run):
    g, side = run.golden, run.inputs.side
    g.check("graph/user_item", run.inputs.interactions.user_item.matrix.todense())
    g.check("graph/item_user", run.inputs.interactions.item_user.matrix.todense())
    if run.masks is not None:
        first = masks.masked(side, run.masks[0], run.config)
        second = masks.masked(first if run.in_place else side, run.masks[1], run.config)
        for group, found in (("feat_masked", first), ("feat_masked2", second)):
            if run.config.llmrec.mask_users:
                g.check(f"{group}/profile", found.profiles["profile"])
            for name, array in found.attributes.items():
                g.check(f"{group}/attribute/{name}", array)
            for name, array in found.modalities.items():
                if f"{group}/{name}" in g.arrays:
                    g.check(f"{group}/{name}", array)
    else:
        first = side
    hidden = run.masks[0] if run.masks is not None and not run.in_place else None
    used = first if run.in_place else side
    x = encoder.projected(run.params(), used, hidden, run.config, None)
    for name, array in x.modalities.items():
        g.check(f"proj/{name}", array)
    g.check("proj/profile", x.profiles["profile"])
    for name, array in x.attributes.items():
        g.check(f"proj/attribute/{name}", array)


def test_forward(run):
    g, params = run.golden, run.params()
    out = run.forward(params)
    for name in ("image", "text"):
        g.check(f"modal/{name}_user", out.at_users.modalities[name])
        g.check(f"modal/{name}_item", out.at_items.modalities[name])
    for name in run.dataset.attributes:
        g.check(f"attribute/user/{name}", out.at_users.attributes[name])
        g.check(f"attribute/item/{name}", out.at_items.attributes[name])
    g.check("profile/user", out.at_users.profiles["profile"])
    g.check("profile/item", out.at_items.profiles["profile"])
    for side, layers in zip(
        ("user", "item"), encoder.id_layers(params, run.inputs, run.config), strict=True
    ):
        for layer, array in enumerate(layers[1:], 1):
            g.check(f"id/{side}_{layer}", array)
        g.check(f"id/{side}_mean", sum(layers) / len(layers))
    g.check("out/user_final", out.users)
    g.check("out/item_final", out.items)


def test_triples_and_pruning(run):
    g, triples = run.golden, run.triples
    there = np.asarray(triples.valid)
    rows = ("users", "pos", "neg")
    for name, column in zip(rows, triples[:3], strict=True):
        expected = np.concatenate([g[f"batch/{name}"], g[f"augmented/{name}"]])
        np.testing.assert_array_equal(np.asarray(column)[there], expected)
    out = run.forward(run.params())
    calls = {"final": (out.users, out.items)}
    for name in ("image", "text"):
        calls[name] = out.at_users.modalities[name], out.at_items.modalities[name]
    for name, array in out.at_items.attributes.items():
        calls[f"attribute/{name}"] = out.at_users.profiles["profile"], array
    for name, (users, items) in calls.items():
        found = losses.log_sigmoids(users, items, triples)
        g.check(f"log_sigmoid/{name}", np.asarray(found)[there])
        place = np.cumsum(there) - 1  # of a triple among the valid ones
        kept = np.flatnonzero(losses.kept(found, triples, run.config))
        assert set(place[kept]) == set(g[f"kept/{name}"])
        for group, prune in (
            ("bpr", "hardest"),
            ("bpr_unpruned", "none"),
            ("bpr_easiest", "easiest"),
        ):
            values = configs.flatten(run.config) | {"llmrec.prune": prune}
            config = models.resolve(configs.unflatten(values))
            count = jnp.sum(triples.valid) if prune == "none" else triples.kept
            value = losses.pruned_bpr(users, items, triples._replace(kept=count), config)
            g.check(f"{group}/{name}", value)


def test_losses_and_gradients(run):
    g, params = run.golden, run.params()
    found = jax.jit(run.terms)(params)
    names = {name: f"loss/{name}" for name in ("bpr", "modal", "augmented", "restore", "total")}
    names |= {name: name for name in ("embedding_l2", "feature_l2")}
    for name, value in found.items():
        g.check_scalar(names[name], value)
        gradient = jax.jit(jax.grad(lambda p: run.terms(p)[name]))(params)  # noqa: B023
        group = "grad" if name == "total" else f"grad_{name}"
        decoder = {"total": "grad_decoder", "restore": "grad_restore/decoder"}.get(name, "")
        run.check_params(group, gradient, decoder)


def test_a_step_of_the_optimiser_and_the_next_forward_pass(run):
    g, config = run.golden, run.config
    params = run.params(decoder="decoder" if config.llmrec.train_decoders else "")
    fixed = run.params().get("decoders")

    def total(own):
        return run.terms({"decoders": fixed} | own)["total"]

    adam = optax.adamw(config.train.learning_rate, weight_decay=config.train.weight_decay)
    updates, _ = adam.update(jax.jit(jax.grad(total))(params), adam.init(params), params)
    after = optax.apply_updates(params, updates)
    run.check_params("after", after, "after_decoder")
    out = run.forward(after, which=1)
    g.check("out2/user_final", out.users)
    g.check("out2/item_final", out.items)
    if not run.in_place and run.masks is not None:
        users, items = llmrec.embed(config, {"model": after}, run.inputs, run.model.held)
        g.check("out_eval/user_final", users)
        g.check("out_eval/item_final", items)


def test_restoration_by_both_criteria(run):
    if run.masks is None:
        pytest.skip("nothing is masked in this file")
    g, params = run.golden, run.params()
    out, hidden = run.forward(params), run.masks[0]
    side, pairs = run.inputs.side, {}
    if run.config.llmrec.restore == "projected":
        raw = encoder.projected(params, side, None, run.config, None)
        for name, array in raw.modalities.items():
            g.check(f"raw_proj/{name}", array)
            pairs[name] = out.at_items.modalities[name][hidden.items], array[hidden.items]
        for name, array in raw.attributes.items():
            g.check(f"raw_proj/attribute/{name}", array)
            found = out.at_items.attributes[name][hidden.items]
            pairs[f"attribute/{name}"] = found, array[hidden.items]
    else:
        at_users, at_items = out.at_users.profiles["profile"], out.at_items.attributes
        pairs["user"] = "user", at_users[hidden.users], side.profiles["profile"][hidden.users]
        for name, array in side.attributes.items():
            rows = at_items[name][hidden.items]
            pairs[f"attribute/{name}"] = "item", rows, array[hidden.items]
        for name, (of, rows, target) in pairs.items():
            found = masks.decoded(params["decoders"][of], rows, run.config)
            g.check(f"decoded/{name}", found)
            pairs[name] = found, target
    for name, (found, target) in pairs.items():
        for criterion in ("sce", "mse"):
            values = configs.flatten(run.config) | {"llmrec.restore_loss": criterion}
            config = models.resolve(configs.unflatten(values))
            g.check(f"restore_{criterion}/{name}", masks.difference(found, target, config))


def test_metrics(run):
    g = run.golden
    out = g["out/user_final"], g["out/item_final"]
    task = full_ranking.ranking_task(run.dataset.train, run.dataset.test, 8)
    cutoffs = tuple(int(k) for k in g["metric/ks"])
    found = full_ranking.evaluate(tuple(map(jnp.asarray, out)), task, cutoffs, run.model.score)
    names = {
        "recall": "recall",
        "precision": "precision",
        "ndcg": "ndcg_released",
        "hit_ratio": "hit_rate",
    }
    for theirs, ours in names.items():
        g.check(f"metric/{theirs}", [found[f"{ours}@{k}"] for k in cutoffs])


def test_every_array_is_compared(run):
    """Runs last: what no test above compared is an input, or listed here."""
    given = (
        "train_edges",
        "feat/",
        "augmented/",
        "param/",
        "decoder/",
        "mask",
        "batch/",
        "hyper/",
        "kept/",
        "metric/ks",
        "metric/test_edges",
    )
    left = {name for name in run.golden.arrays if not name.startswith(given)} - run.golden.checked
    assert not left
