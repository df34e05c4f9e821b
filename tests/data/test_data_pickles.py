"""Pickled matrices: the real ones are read, hostile ones are refused and run nothing."""

import os
import pickle
import struct

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from mmssl_jax.data import load
from mmssl_jax.data.arrays.pickled_array import MAX_BYTES
from mmssl_jax.data.arrays.pickled_matrix import read_matrix
from mmssl_jax.errors import InputError

DENSE = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def write(folder, **changes):
    """A DiffMM folder of 3 users and 4 items without features; `changes` replace its bytes."""
    val, test = np.zeros_like(DENSE), np.zeros_like(DENSE)
    val[0, 1] = test[0, 3] = test[1, 0] = 1
    for name, dense in {"trn": DENSE, "val": val, "tst": test}.items():
        raw = changes.get(name, pickle.dumps(sp.coo_matrix(dense), 3))
        (folder / f"{name}Mat.pkl").write_bytes(raw)
    return str(folder)


def refusal(path, raw):
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_matrix(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: refused, and nothing in it was run: ")
    assert "\n" not in message
    return message


def edited(old, new, matrix=None):
    """A pickled matrix with some of its bytes replaced."""
    raw = pickle.dumps(sp.coo_matrix(DENSE.astype("f8")) if matrix is None else matrix, 3)
    assert old in raw
    return raw.replace(old, new)


def dense(matrix):
    """What `read_matrix` has read, as an array."""
    at = (matrix.users, matrix.items)
    return sp.coo_array((matrix.values, at), matrix.shape).toarray()


KINDS = [f"{kind}_{form}" for kind in ("coo", "csr", "csc") for form in ("matrix", "array")]
RATED = np.array([[1, 0, 5, 0], [0, 3, 0, 0], [0, 0, 0, 2]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_every_kind_of_matrix_is_read(tmp_path, kind, protocol, index):
    path = tmp_path / "m.pkl"
    for dtype in ("?", "i1", "u2", "i4", "i8", "f2", "f4", "f8", ">f4", ">i8"):
        matrix = getattr(sp, kind)(RATED)
        matrix.data = matrix.data.astype(dtype)
        for name in ("indices", "indptr"):
            if hasattr(matrix, name):
                setattr(matrix, name, getattr(matrix, name).astype(index))
        if hasattr(matrix, "coords"):
            matrix.coords = tuple(part.astype(index) for part in matrix.coords)
        path.write_bytes(pickle.dumps(matrix, protocol))
        read = read_matrix(path)
        assert (read.users.dtype, read.items.dtype) == (np.int64, np.int64)
        assert read.values.dtype == matrix.data.dtype
        values = read.values.astype("f8")
        np.testing.assert_array_equal(dense(read._replace(values=values)), RATED.astype(dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_empty_matrices_and_arrays_that_are_views_are_read(tmp_path, kind, protocol):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(getattr(sp, kind)((3, 4)), protocol))
    assert (read_matrix(path).shape, len(read_matrix(path).users)) == ((3, 4), 0)
    matrix = getattr(sp, kind)(RATED.astype("f8"))
    matrix.data = np.repeat(matrix.data, 2)[::2]  # not contiguous: pickled in another way
    path.write_bytes(pickle.dumps(matrix, protocol))
    np.testing.assert_array_equal(dense(read_matrix(path)), RATED)
    matrix.data = matrix.data.copy()
    matrix.data.flags.writeable = False
    path.write_bytes(pickle.dumps(matrix, protocol))
    np.testing.assert_array_equal(dense(read_matrix(path)), RATED)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_array_that_is_there_twice_is_pickled_once(tmp_path, protocol):
    path = tmp_path / "m.pkl"
    matrix = sp.coo_matrix(np.eye(3))
    matrix.coords = (matrix.coords[0],) * 2
    path.write_bytes(pickle.dumps(matrix, protocol))
    np.testing.assert_array_equal(dense(read_matrix(path)), np.eye(3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compressed", [True, False])
def test_matrices_of_save_npz_are_read(tmp_path, kind, compressed):
    for dtype in ("?", "i8", "f4"):
        path = tmp_path / "m.npz"
        sp.save_npz(path, getattr(sp, kind)(RATED.astype(dtype)), compressed)
        np.testing.assert_array_equal(dense(read_matrix(path)), RATED.astype(dtype))


def test_as_python_2_pickled_it(tmp_path):
    """Names of old modules, and bytes as strings of protocol 2."""
    raw = pickle.dumps(sp.csr_matrix(RATED.astype("f4")), 2)
    for new, old in (
        (b"scipy.sparse._csr", b"scipy.sparse.csr"),
        (b"numpy._core.multi", b"numpy.core.multi"),
    ):
        assert new in raw
        raw = raw.replace(new, old)
    (tmp_path / "m.pkl").write_bytes(raw)
    np.testing.assert_array_equal(dense(read_matrix(tmp_path / "m.pkl")), RATED)
    short = array("f8", (1,), b"\x00" * 7 + b"\x3f").replace(b"C\x08", b"U\x08")
    (tmp_path / "m.pkl").write_bytes(coo(ZERO, data=short))
    assert read_matrix(tmp_path / "m.pkl").values.tolist() == [2.0**-15]


@pytest.mark.parametrize("kind", ["lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("form", ["matrix", "array"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_kinds_are_refused_by_name(tmp_path, kind, form, protocol):
    name = f"{kind}_{form}"
    raw = pickle.dumps(getattr(sp, name)(RATED.astype("f8")), protocol)
    message = refusal(tmp_path / "m.pkl", raw)
    assert f"_{kind}.{name}, which is not allowed" in message
    assert "pickle matrix.tocsr()" in message


def test_arrays_that_are_kept_outside_are_refused(tmp_path):
    outside = []
    matrix = sp.csr_matrix(RATED.astype("f8"))
    raw = pickle.dumps(matrix, 5, buffer_callback=outside.append)
    assert outside
    assert "kept outside of it" in refusal(tmp_path / "m.pkl", raw)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 99), st.sampled_from(KINDS))
def test_any_matrix_round_trips(tmp_path_factory, rows, cols, seed, kind):
    dense = np.random.default_rng(seed).random((rows, cols)) < 0.4
    path = tmp_path_factory.mktemp("matrix") / "m.pkl"
    path.write_bytes(pickle.dumps(getattr(sp, kind)(dense.astype("f4"))))
    matrix = read_matrix(path)
    found = np.zeros(matrix.shape, bool)
    found[matrix.users, matrix.items] = True
    np.testing.assert_array_equal(found, dense)


def test_old_module_paths_and_attributes_are_read(tmp_path):
    coo = sp.coo_matrix(DENSE.astype("f8"))
    old = {"_shape": (3, 4), "row": coo.row, "col": coo.col, "data": coo.data}
    raw = pickle.dumps(old, 3).replace(b"numpy._core.multi", b"numpy.core.multi")
    body = raw[2:-1]  # without PROTO and STOP
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x03cscipy.sparse.coo\ncoo_matrix\n)\x81" + body + b"b.")
    assert read_matrix(path).items.tolist() == coo.col.tolist()


def test_stored_zeros_are_no_pairs(tmp_path):
    matrix = sp.coo_matrix(([1.0, 0.0], ([0, 1], [1, 2])), shape=(3, 4))
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(matrix))
    assert read_matrix(path).users.tolist() == [0]


def test_folder_is_read_and_checked(tmp_path):
    data = load(write(tmp_path), "none")
    assert (data.train.nnz, data.val.nnz, data.test.nnz) == (4, 1, 2)
    np.testing.assert_array_equal(data.train.toarray(), DENSE)
    np.save(tmp_path / "image_feat.npy", np.eye(5))
    with pytest.raises(InputError, match=r"5 rows, but there are 4 items \(columns of trnMat\.pkl"):
        load(str(tmp_path))
    with pytest.raises(InputError, match="found: image"):
        load(str(tmp_path), "text")


def test_shapes_must_agree(tmp_path):
    path = write(tmp_path, val=pickle.dumps(sp.coo_matrix(DENSE.T), 3))
    with pytest.raises(InputError, match=r"valMat\.pkl: has shape \(4, 3\), but trnMat"):
        load(path, "none")


def test_huge_shape_is_refused(tmp_path):
    raw = pickle.dumps(sp.coo_matrix(([1.0], ([0], [0])), shape=(2_000_000_000, 4)), 3)
    with pytest.raises(InputError, match="2000000000 users"):
        load(write(tmp_path, trn=raw, val=raw, tst=raw), "none")


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


TOUCH = "touch {}"
HOSTILE = {
    "reduce": (lambda at: pickle.dumps(Call(os.system, TOUCH.format(at)), 3), "posix.system"),
    "stack global": (lambda at: pickle.dumps(Call(os.system, TOUCH.format(at)), 4), "posix.system"),
    "text protocol": (
        lambda at: pickle.dumps(Call(os.system, TOUCH.format(at)), 0),
        "posix.system",
    ),
    "eval": (lambda at: pickle.dumps(Call(eval, f"open({str(at)!r}, 'w')"), 2), "__builtin__.eval"),
    "exec": (lambda at: pickle.dumps(Call(exec, f"open({str(at)!r}, 'w')"), 3), "builtins.exec"),
    "inst": (lambda at: f"(S'touch {at}'\nios\nsystem\n.".encode(), "STRING"),
    "inst first": (lambda at: f"(ios\nsystem\n.{at}".encode(), "INST os.system"),
    "obj": (lambda at: b"(cos\nsystem\nX" + _text(f"touch {at}") + b"o.", "os.system"),
    "in a matrix": (
        lambda at: pickle.dumps([sp.coo_matrix(DENSE), Call(os.system, TOUCH.format(at))], 3),
        "EMPTY_LIST",
    ),
    "extension": (lambda at: b"\x80\x02\x82\x01.", "EXT1"),
    "persistent": (lambda at: b"\x80\x03Pgive me\n.", "PERSID"),
    "attribute": (lambda at: pickle.dumps(getattr), "builtins.getattr"),
    "numpy load": (lambda at: pickle.dumps(Call(np.load, str(at)), 3), "numpy.load"),
    "escape codes": (lambda at: b"\x80\x03c\x1b[2J\nx\n.", r"\x1b[2J.x"),
}


def _text(text):
    return struct.pack("<I", len(text)) + text.encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_by_name_and_run_nothing(tmp_path, name):
    make, says = HOSTILE[name]
    witness = tmp_path / "ran"
    raw = make(witness)
    assert f"asks for {says}" in refusal(tmp_path / "m.pkl", raw)
    assert not witness.exists()
    with pytest.raises(InputError, match=r"valMat\.pkl"):
        load(write(tmp_path, val=raw), "none")
    assert not witness.exists()


def test_the_attack_would_work(tmp_path):
    witness = tmp_path / "ran"
    pickle.loads(HOSTILE["reduce"][0](witness))
    assert witness.exists()


def array(dtype, shape, contents, code=None):
    """The pickle of a `_reconstruct`ed array with a state of our own."""
    state = (1, shape, np.dtype(dtype), False, contents)
    raw = pickle.dumps(state, 3)[2:-1]
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R" + raw + b"b"
    )


def coo(row, col=None, data=None, shape=b"K\x03K\x04\x86"):
    """The pickle of a coo_matrix from the pickles of its attributes."""
    ones = array("f8", (1,), b"\x00" * 7 + b"\x3f")
    zero = array("i4", (1,), b"\x00" * 4)
    parts = {"_shape": shape, "row": row, "col": col or zero, "data": data or ones}
    items = b"".join(b"X" + _text(key) + value for key, value in parts.items())
    return b"\x80\x03cscipy.sparse.coo\ncoo_matrix\n)\x81}(" + items + b"ub."


ZERO = array("i4", (1,), b"\x00" * 4)


def packed(dtype, contents, shape=(1,), order="C"):
    """The pickle of an array as protocol 5 has it, with arguments of our own."""
    raw = pickle.dumps((contents, np.dtype(dtype), shape, order), 3)
    return b"cnumpy.core.numeric\n_frombuffer\n" + raw[2:-1] + b"R"


def test_hand_made_matrix_is_read(tmp_path):
    (tmp_path / "m.pkl").write_bytes(coo(ZERO))
    assert read_matrix(tmp_path / "m.pkl").users.tolist() == [0]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (coo(array("i4", (1 << 40,), b"")), "does not hold the"),
        (coo(array("i4", (-1,), b"")), "no whole lengths"),
        (coo(array("i4", (1, 1), b"0000")), "row is not 1-d"),
        (coo(array("i4", (1,), b"000")), "does not hold the 1"),
        (coo(array("f8", (1,), b"\x00" * 8)), "row holds float64, not int32"),
        (coo(array("i1", (1,), b"\x00")), "row holds int8, not int32"),
        (coo(array("i4", (1,), b"\x07\x00\x00\x00")), "a row index lies outside"),
        (coo(ZERO, array("i4", (1,), b"\xff" * 4)), "a column index lies outside"),
        (coo(ZERO, array("i4", (2,), b"\x00" * 8)), "1 rows, 2 columns and 1 values"),
        (coo(ZERO, data=array("f8", (1,), b"\xff" * 8)), "not all finite"),
        (coo(ZERO, data=array("O", (1,), (None,))), "dtype that is not allowed"),
        (coo(ZERO, data=array("c8", (1,), b"\x00" * 8)), "dtype that is not allowed"),
        (coo(ZERO, data=array("M8[s]", (1,), b"\x00" * 8)), "dtype that is not allowed"),
        (coo(ZERO, shape=b"K\x03\x85"), "shape is not a pair"),
        (coo(ZERO, shape=b"J\xff\xff\xff\xffK\x04\x86"), "shape is not a pair"),
        (coo(ZERO, shape=b"\x88\x88\x86"), "shape is not a pair"),
        (coo(b"N"), "row is not an array"),
        (pickle.dumps(None), "holds no sparse matrix"),
        (pickle.dumps((1, 2)), "holds no sparse matrix"),
        (pickle.dumps(np.zeros(3), 3), "holds no sparse matrix"),
        (pickle.dumps(np.array([1, None]), 3), "EMPTY_LIST"),  # an array of objects
        (b"\x80\x03cscipy.sparse.coo\ncoo_matrix\n)\x81.", "has no attributes"),
        (b"\x80\x03cscipy.sparse.coo\ncoo_matrix\n)R.", "REDUCE calls something"),
        (b"\x80\x03cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.", "REDUCE calls something"),
        (b"\x80\x03cnumpy\ndtype\n)\x81.", "NEWOBJ calls something"),
        (b"\x80\x03cnumpy\nndarray\n}X\x01\x00\x00\x00aNsb.", "BUILD changes something"),
        (b"\x80\x03}))s.", "fills something other"),
        (coo(b"c_codecs\nencode\nX" + _text("a") + b"X" + _text("utf-7") + b"\x86R"), "row is not"),
        (b"\x80\x02c_codecs\nencode\n)\x81.", "NEWOBJ calls something"),
        (b"\x80\x02ccopyreg\n_reconstructor\n)R.", "REDUCE calls something"),
        (b"\x80\x02ccopyreg\n_reconstructor\n)\x81.", "NEWOBJ calls something"),
        (coo(ZERO, data=packed("f8", b"\x00" * 7)), "does not hold the 1"),
        (coo(ZERO, data=packed("f8", b"\x00" * 8, order="A")), "order of values"),
        (coo(ZERO, data=packed("f8", b"\x00" * 8, shape=(1, 1))), "data is not 1-d"),
        (coo(ZERO, data=packed("f8", b"", shape=(1 << 60,))), "does not hold the"),
        (coo(ZERO, data=packed("f8", b"", shape=(-1,))), "no whole lengths"),
        (coo(ZERO, data=packed("f8", 7)), "data has no contents"),
        (coo(ZERO, data=packed("f8", "\u20ac" * 8)), "damaged"),
        (coo(ZERO, data=packed("O", b"\x00" * 8)), "dtype that is not allowed"),
    ],
)
def test_odd_matrices_are_refused(tmp_path, raw, says):
    assert says in refusal(tmp_path / "m.pkl", raw)


@pytest.mark.parametrize("indptr", [[0, 1, 2], [1, 2, 3, 4], [0, 3, 2, 4], [0, 1, 2, 9]])
def test_csr_with_a_bad_indptr_is_refused(tmp_path, indptr):
    matrix = sp.csr_matrix(DENSE.astype("f8"))
    matrix.indptr = np.array(indptr, np.int32)
    assert "indptr does not fit" in refusal(tmp_path / "m.pkl", pickle.dumps(matrix, 3))


def test_indptr_whose_differences_wrap_is_refused(tmp_path):
    matrix = sp.csr_matrix(DENSE.astype("f8"))
    matrix.indptr = np.array([0, 2**62 + 2**61, -(2**63), 4], np.int64)
    assert "indptr does not fit" in refusal(tmp_path / "m.pkl", pickle.dumps(matrix, 3))


def doubling(levels):
    """A tuple of two references to a tuple of two references...: tiny, but endless to walk."""
    return b"".join(b")q\x00" if not i else b"h\x00h\x00\x86q\x00" for i in range(levels))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x04Nr\xff\xff\xff\x7f.",  # a memo slot that an unpickler would allocate up to
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",  # bytes of 2**63
        b"\x80\x04\x8d" + b"\xff" * 7 + b"\x00.",  # text as long
        b"\x80\x04\x95" + b"\xff" * 8 + b"N.",  # a frame as long
        b"\x80\x04}" + doubling(200) + b"Ns.",  # a key that takes for ever to hash
        b"\x80\x04" + doubling(200) + b".",
        coo(doubling(200)),
        b"\x80\x04" + b"(" * 1_000_000 + b".",
        b"\x80\x04" + b"N" * 1_000_000 + b".",
        b"\x80\x04N" + b"\x85" * 1_000_000 + b".",
        b"I" + b"9" * 100_000 + b"\n.",
    ],
    ids=range(11),
)
def test_bombs_are_refused(tmp_path, raw):
    refusal(tmp_path / "m.pkl", raw)


def test_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "m.pkl"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="more than the"):
        read_matrix(path)


def test_every_truncation_is_refused(tmp_path):
    raw = pickle.dumps(sp.coo_matrix(DENSE), 3)
    for length in range(len(raw)):
        refusal(tmp_path / "m.pkl", raw[:length])


@given(st.binary(max_size=60))
def test_garbage_is_refused(tmp_path_factory, raw):
    refusal(tmp_path_factory.mktemp("garbage") / "m.pkl", raw)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(tmp_path_factory, position, value):
    raw = bytearray(pickle.dumps(sp.coo_matrix(DENSE), 4))
    raw[position % len(raw)] = value
    path = tmp_path_factory.mktemp("changed") / "m.pkl"
    path.write_bytes(raw)
    try:
        matrix = read_matrix(path)
    except InputError:
        return
    assert len(matrix.users) == len(matrix.items)
