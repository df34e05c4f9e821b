"""What the parity tests of LATTICE and MICRO share: a golden file as the package takes it."""

import golden
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.sparse

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.models import learned_item_graphs
from mmssl_jax.models.model import Batch

MODALITIES = ("image", "text")
LINEAR = {"kernel": "weight", "bias": "bias"}  # our names -> those of the release


def matrix(edges, shape):
    return scipy.sparse.csr_array((np.ones(len(edges), np.float32), edges.T), shape)


def dense(neighbors):
    """A graph of neighbours as a matrix; an edge listed twice counts twice."""
    items, weights = map(np.asarray, neighbors)
    result = np.zeros((len(items), len(items)), np.float32)
    np.add.at(result, (np.arange(len(items))[:, None], items), weights)
    return result


def names_of(config):
    """Our path of every parameter that both models have -> its name in the release."""
    names = {
        ("user_embedding",): "user_embedding/weight",
        ("item_embedding",): "item_id_embedding/weight",
    }
    if config.item_graph.backbone == "ngcf":
        for layer in range(config.model.layers):
            for ours, theirs in (("sum", "GC"), ("product", "Bi")):
                for part, name in LINEAR.items():
                    path = ("layers", layer, ours, part)
                    names[path] = f"{theirs}_Linear_list/{layer}/{name}"
    for m in MODALITIES:
        names[("learner", "features", m)] = f"{m}_embedding/weight"
        for part, name in LINEAR.items():
            names[("learner", "projection", m, part)] = f"{m}_trs/{name}"
    return names


class Problem:
    """The inputs and parameters of a golden file; `names` adds the parameters of one model."""

    def __init__(self, path, model, names):
        self.golden = g = golden.Golden(path)
        hyper = g.hyper
        assert hyper["item_layers"] == 1
        assert hyper["optimizer"] == "adam"
        self.config = config = Config()
        config.model.embedding_dim, config.model.layers = hyper["embed_dim"], hyper["layers"]
        config.item_graph.backbone = hyper["cf_model"]
        config.item_graph.neighbors = hyper["topk"]
        config.item_graph.raw_weight = hyper["lambda_coeff"]
        config.item_graph.temperature = hyper["tau"]
        config.item_graph.contrastive_weight = hyper["loss_ratio"] or 0.0
        config.train.embedding_l2 = hyper["embedding_reg"]
        config.ngcf.message_dropout = 0.0
        self.names = names_of(config) | names
        users, items = g["param/user_embedding/weight"].shape[0], len(g["feat_image"])
        train = matrix(g["train_edges"], (users, items))
        features = {m: g[f"feat_{m}"] for m in MODALITIES}
        dataset = Dataset("golden", train, train, train, features, None, None, True, ())
        self.inputs = learned_item_graphs.make_inputs(config, dataset)
        self.model = model.build(config, dataset, steps_per_epoch=5)
        drawn = (g[f"batch/{name}"] for name in ("users", "pos", "neg"))
        self.batch = Batch(*(jnp.asarray(ids, jnp.int32) for ids in drawn))
        self.params = self.model.init(jax.random.key(0))
        for (*parents, last), name in self.names.items():
            parent = at(self.params["model"], parents)
            assert parent[last].shape == g[f"param/{name}"].shape
            parent[last] = jnp.asarray(g[f"param/{name}"])

    def refreshed(self, params, held, step):
        return jax.jit(self.model.refresh)(params, self.inputs, held, jnp.asarray(step))

    def loss_and_gradient(self, held):
        def loss(params):
            key = jax.random.key(0)
            return self.model.losses["model"](params, self.inputs, held, self.batch, key)

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(self.params)

    def step(self, gradient):
        """The parameters after one step of Adam."""
        optimiser = optax.adam(self.golden.hyper["lr"])
        updates, _ = optimiser.update(gradient, optimiser.init(self.params))
        return optax.apply_updates(self.params, updates)

    def check_params(self, group, params):
        for path, name in self.names.items():
            self.golden.check(f"{group}/{name}", at(params["model"], path))
        assert len(self.names) == len(jax.tree.leaves(params))

    def check_joint_graph(self):
        self.golden.check("graph/norm_adj", self.inputs.joint.matrix.todense())

    def check_every_array(self):
        """No array but the inputs was left unchecked."""
        given = ("param", "batch", "hyper", "train_edges", "feat_image", "feat_text")
        wanted = {name for name in self.golden.arrays if name.split("/")[0] not in given}
        assert wanted == self.golden.checked


def at(tree, path):
    for part in path:
        tree = tree[part]
    return tree


def check_scalar(g, name, actual):
    """A loss to rtol 1e-5 alone: the group's largest magnitude would hide the small ones."""
    g.check(name, actual)
    np.testing.assert_allclose(actual, g[name], rtol=1e-5, err_msg=name)
