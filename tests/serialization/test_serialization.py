"""tnn.save and tnn.load: PyTorch's files, what comes back from them, and what damaged or hostile files do."""

import copy
import io
import os
import pickle
import struct
import sys
import threading
import zipfile
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest

import tnn
from tnn.serialization import (
    UnpicklingError,
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    load_safetensors,
    safe_globals,
    save_safetensors,
)
from tnn.tensor import wrap

from . import golden


def array(t):
    return t.detach().numpy()


def round_trip(obj, **options):
    file = io.BytesIO()
    tnn.save(obj, file)
    file.seek(0)
    return tnn.load(file, **options)


def load_golden(text, **options):
    return tnn.load(io.BytesIO(golden.read(text)), **options)


# -- files from PyTorch


def test_checkpoint_from_pytorch():
    c = load_golden(golden.CHECKPOINT)
    assert list(c) == ["model", "optimizer", "epoch"] and c["epoch"] == 3
    model = c["model"]
    assert type(model) is OrderedDict and list(model) == ["weight", "bias"]
    np.testing.assert_allclose(array(model["weight"]), np.arange(6, dtype=np.float32).reshape(2, 3) - 0.1, rtol=1e-6)
    np.testing.assert_allclose(array(model["bias"]), [0.3, -1.2], rtol=1e-6)
    assert model._metadata[""] == {"version": 1}
    momentum = c["optimizer"]["state"][0]["momentum_buffer"]
    assert array(momentum).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert c["optimizer"]["param_groups"][0]["lr"] == 0.1
    layer = tnn.nn.Linear(3, 2)
    layer.load_state_dict(model)
    np.testing.assert_array_equal(array(layer.weight), array(model["weight"]))


def test_all_kinds_of_values_from_pytorch():
    c = load_golden(golden.TENSORS)
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(array(c["a"]), a)
    np.testing.assert_array_equal(array(c["t"]), a.T)
    assert c["t"].stride() == (1, 4)
    assert type(c["p"]) is tnn.nn.Parameter and c["p"].requires_grad
    assert c["bf"].dtype is tnn.bfloat16 and c["bf"].tolist() == [1.0, -2.5]
    assert c["h"].dtype is tnn.float16 and c["h"].tolist() == [0.5]
    assert c["b"].tolist() == [True, False] and c["i"].tolist() == [[1, -2]] and c["i"].dtype is tnn.int8
    assert c["u"].dtype is tnn.uint16 and c["u"].tolist() == [7, 65535]
    assert c["e"].shape == (0, 3) and c["s"].shape == () and c["s"].item() == 3
    assert c["size"] == tnn.Size([1, 2]) and type(c["size"]) is tnn.Size
    assert c["dt"] is tnn.float16 and c["dev"] == tnn.device("cpu")
    assert (c["set"], c["by"], c["c"], c["none"], c["big"]) == ({1, 2}, b"abc", 1 + 2j, None, 10**30)


def test_shared_memory_stays_shared():
    c = load_golden(golden.TENSORS)
    array(c["a"])[1, 0] = 99
    assert array(c["row"])[0] == 99 and array(c["t"])[0, 1] == 99


def test_file_of_old_format():
    c = load_golden(golden.LEGACY)
    array(c["a"])[1, 0] = 99
    assert array(c["row"]).tolist() == [99, 5, 6, 7] and c["l"].tolist() == [1, 2]


# -- our own files


def test_round_trip_keeps_types_and_sharing():
    base = tnn.tensor(np.arange(12, dtype=np.float64).reshape(3, 4))
    obj = {
        "base": base,
        "part": base[1:, ::2],
        "transposed": base.t(),
        "expanded": tnn.ones(1).expand(3),
        "parameter": tnn.nn.Parameter(base),
        "list": [1, 2.5, "text", None, True, b"\x00\xff", 1j, (1, (2,))],
        "counter": Counter("aab"),
        "default": defaultdict(list, {"a": [1]}),
        "frozen": frozenset((1, 2)),
        3: tnn.bool,
        ("a", 1): tnn.uint64,
    }
    back = round_trip(obj)
    assert list(back) == list(obj)
    for key in ("list", "counter", "default", "frozen", 3, ("a", 1)):
        assert back[key] == obj[key] and type(back[key]) is type(obj[key])
    np.testing.assert_array_equal(array(back["part"]), array(obj["part"]))
    assert back["transposed"].stride() == (1, 4) and back["expanded"].stride() == (0,)
    array(back["base"])[1, 2] = -7
    assert (
        array(back["part"])[0, 1] == -7
        and array(back["transposed"])[2, 1] == -7
        and array(back["parameter"])[1, 2] == -7
    )
    assert back["parameter"].requires_grad and not back["base"].requires_grad


@pytest.mark.parametrize("dtype", tnn.dtypes.ALL, ids=lambda d: d.name)
def test_every_dtype(dtype):
    x = tnn.tensor(np.array([[0, 1, 3], [1, 0, 2]]).astype(dtype.np))
    back = round_trip([x, x[:, 1]])
    assert back[0].dtype is dtype and back[0].tolist() == x.tolist() and back[1].tolist() == x[:, 1].tolist()


def test_only_the_part_in_use_is_written():
    big = tnn.zeros(100_000)
    file = io.BytesIO()
    tnn.save([big[10:20], big[15:30]], file)
    assert len(file.getvalue()) < 3000
    a, b = tnn.load(io.BytesIO(file.getvalue()))
    array(a)[5] = 3
    assert array(b)[0] == 3


def test_reversed_and_scalar_arrays():
    back = round_trip([wrap(np.arange(4.0)[::-1]), tnn.tensor(2.5)])
    assert back[0].tolist() == [3, 2, 1, 0] and back[1].item() == 2.5 and back[1].shape == ()


def test_tensor_attributes_and_requires_grad():
    x = tnn.ones(2, requires_grad=True)
    x.tag = "first"
    p = tnn.nn.Parameter(tnn.ones(2), requires_grad=False)
    p.shared = True
    y, q = round_trip([x, p])
    assert y.requires_grad and y.tag == "first" and y.is_leaf
    assert type(q) is tnn.nn.Parameter and not q.requires_grad and q.shared is True


def test_views_of_different_dtypes_are_refused():
    x = tnn.ones(4)
    with pytest.raises(RuntimeError, match="different types"):
        tnn.save([x, x.view(tnn.int32)], io.BytesIO())


def test_archive_has_the_layout_of_pytorch(tmp_path):
    path = tmp_path / "model.pt"
    tnn.save({"x": tnn.ones(5), "y": tnn.zeros(0), "z": tnn.ones(3)}, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[0] == "model/data.pkl" and archive.read("model/version") == b"3\n"
        assert archive.read("model/byteorder") == sys.byteorder.encode()
        assert len(archive.read("model/.data/serialization_id")) == 40
        raw = path.read_bytes()
        for info in archive.infolist():
            name, extra = struct.unpack_from("<2H", raw, info.header_offset + 26)
            assert (info.header_offset + 30 + name + extra) % 64 == 0
            assert info.compress_type == zipfile.ZIP_STORED
        text = archive.read("model/data.pkl")
    assert b"torch._utils\n_rebuild_tensor_v2" in text and b"tnn" not in text and text[:2] == b"\x80\x02"


def test_same_object_gives_same_bytes():
    a, b = io.BytesIO(), io.BytesIO()
    tnn.save({"x": tnn.ones(5)}, a)
    tnn.save({"x": tnn.ones(5)}, b)
    assert a.getvalue() == b.getvalue()


def test_module_as_a_whole_needs_trust():
    module = tnn.nn.Sequential(tnn.nn.Linear(2, 3), tnn.nn.Linear(3, 1))
    file = io.BytesIO()
    tnn.save(module, file)
    with pytest.raises(UnpicklingError, match="weights_only=False"):
        tnn.load(io.BytesIO(file.getvalue()))
    back = tnn.load(io.BytesIO(file.getvalue()), weights_only=False)
    assert type(back) is tnn.nn.Sequential
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(array(back.state_dict()[key]), array(value))


def test_pickle_and_deepcopy_of_tensors():
    for x in (tnn.ones(2, 3), tnn.nn.Parameter(tnn.ones(2)), tnn.ones(2, dtype=tnn.bfloat16), tnn.ones(3, 2).t()):
        for back in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
            assert type(back) is type(x) and back.dtype is x.dtype and back.tolist() == x.tolist()
            assert back.requires_grad == x.requires_grad


# -- paths, file objects, mapping


def test_writing_is_atomic(tmp_path):
    path = tmp_path / "c.pt"
    tnn.save([1], path)
    before = path.read_bytes()
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        tnn.save({"x": tnn.ones(3), "bad": threading.Lock()}, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["c.pt"]


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    tnn.save([1], path)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(tnn.serialization.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        tnn.save([2], path)
    monkeypatch.undo()
    assert tnn.load(path) == [1] and os.listdir(tmp_path) == ["c.pt"]


def test_permissions_and_links_stay(tmp_path):
    real, link = tmp_path / "real.pt", tmp_path / "link.pt"
    tnn.save([1], real)
    real.chmod(0o640)
    link.symlink_to(real)
    tnn.save([2], link)
    assert link.is_symlink() and tnn.load(real) == [2] and real.stat().st_mode & 0o777 == 0o640


def test_missing_folder_and_wrong_arguments(tmp_path):
    with pytest.raises(RuntimeError, match="Parent directory"):
        tnn.save([1], tmp_path / "no" / "c.pt")
    with pytest.raises(TypeError, match="f must be"):
        tnn.save([1], 3)
    with pytest.raises(AttributeError, match="f must be"):
        tnn.load(3)
    with pytest.raises(FileNotFoundError):
        tnn.load(tmp_path / "no.pt")
    with pytest.raises(ValueError, match="mmap"):
        tnn.load(io.BytesIO(golden.read(golden.TENSORS)), mmap=True)


def test_unseekable_writer():
    class Pipe:
        def __init__(self):
            self.parts = []

        def write(self, data):
            self.parts.append(bytes(data))

    pipe = Pipe()
    tnn.save({"x": tnn.ones(3)}, pipe)
    assert tnn.load(io.BytesIO(b"".join(pipe.parts)))["x"].tolist() == [1, 1, 1]


def test_mmap(tmp_path):
    path = tmp_path / "c.pt"
    x = tnn.tensor(np.arange(1000.0))
    tnn.save({"x": x, "y": x[10:]}, path)
    c = tnn.load(path, mmap=True)
    np.testing.assert_array_equal(array(c["x"]), array(x))
    array(c["x"])[10] = -1
    assert array(c["y"])[0] == -1
    assert tnn.load(path)["x"][10].item() == 10


def test_map_location():
    file = io.BytesIO()
    tnn.save(tnn.ones(2), file)
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["archive/data.pkl"] = entries["archive/data.pkl"].replace(
        b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    )
    raw = packed(entries)
    with pytest.raises(RuntimeError, match="map_location='cpu'"):
        tnn.load(io.BytesIO(raw))
    seen = []

    def here(storage, location):
        seen.append(location)
        return storage

    for where in ("cpu", tnn.device("cpu"), {"cuda:0": "cpu"}, here):
        assert tnn.load(io.BytesIO(raw), map_location=where).tolist() == [1, 1]
    assert seen == ["cuda:0"]
    with pytest.raises(RuntimeError, match="CPU"):
        tnn.load(io.BytesIO(raw), map_location="cuda:1")


# -- damage and malice


def packed(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def archive_of(text, **entries):
    return packed({"archive/data.pkl": text, **{f"archive/data/{k[1:]}": v for k, v in entries.items()}})


def checkpoint():
    file = io.BytesIO()
    tnn.save({"x": tnn.arange(100.0), "y": tnn.ones(7)}, file)
    return file.getvalue()


def test_truncated_files_raise():
    raw = checkpoint()
    for n in [*range(0, 200), *range(200, len(raw), 37)]:
        with pytest.raises((UnpicklingError, RuntimeError)):
            tnn.load(io.BytesIO(raw[:n]))


def test_every_flipped_byte_raises_or_does_no_harm():
    raw = checkpoint()
    good = tnn.load(io.BytesIO(raw))
    for i in range(0, len(raw), 3):
        bad = bytearray(raw)
        bad[i] ^= 0x41
        try:
            c = tnn.load(io.BytesIO(bytes(bad)))
        except (UnpicklingError, RuntimeError, ValueError):
            continue
        for key in good:
            np.testing.assert_array_equal(array(c[key]), array(good[key]))


def test_truncated_old_format():
    raw = golden.read(golden.LEGACY)
    for n in range(0, len(raw) - 1, 11):
        with pytest.raises((UnpicklingError, RuntimeError)):
            tnn.load(io.BytesIO(raw[:n]))


def tensor_pickle(offset=0, size=(2,), stride=(1,), numel=4):
    """A pickle of one float tensor, with numbers of one's choice."""
    ints = lambda values: b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"  # noqa: E731
    storage = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ" + struct.pack(
        "<i", numel
    )
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + storage + b"tQJ" + struct.pack("<i", offset) + ints(size)
        + ints(stride) + b"\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


def test_views_beyond_the_storage_raise():
    data = np.arange(4, dtype=np.float32).tobytes()
    assert tnn.load(io.BytesIO(archive_of(tensor_pickle(1, (3,)), _0=data))).tolist() == [1, 2, 3]
    for offset, size, stride in [
        (2, (3,), (1,)), (-1, (1,), (1,)), (0, (2,), (4,)), (0, (-1,), (1,)), (0, (2,), (-1,)), (4, (1,), (1,)),
        (0, (2, 2), (1,)), (0, (2**31 - 1, 2**31 - 1), (2**31 - 1, 2**31 - 1)), (0, (1,) * 100, (1,) * 100),
    ]:  # fmt: skip
        with pytest.raises(UnpicklingError):
            tnn.load(io.BytesIO(archive_of(tensor_pickle(offset, size, stride), _0=data)))
    with pytest.raises(RuntimeError, match="bytes where"):
        tnn.load(io.BytesIO(archive_of(tensor_pickle(numel=400), _0=data)))
    with pytest.raises(RuntimeError, match="no entry"):
        tnn.load(io.BytesIO(archive_of(tensor_pickle())))


class Runs:
    """A class whose pickle calls a function of one's choice."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_no_code_from_the_file_runs(protocol, tmp_path):
    target = tmp_path / "made"
    for evil in (Runs(os.mkdir, str(target)), Runs(eval, "1"), Runs(getattr, 1, "real"), {"a": [Runs(exec, "1")]}):
        raw = archive_of(pickle.dumps(evil, protocol))
        with pytest.raises(UnpicklingError):
            tnn.load(io.BytesIO(raw))
    assert not target.exists()


HOSTILE = {
    "calls a method name": b"\x80\x02cbuiltins\ngetattr\n.",
    "nested attribute": b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",
    "instance opcode": b"(ios\nsystem\n.",
    "object opcode": b"(cbuiltins\nlist\no.",
    "extension registry": b"\x80\x02\x82\x01.",
    "state of a builder": b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",
    "state of a list": b"\x80\x02]}b.",
    "items of a number": b"\x80\x02K\x01K\x02a.",
    "keys of a list": b"\x80\x02]K\x00K\x01s.",
    "keys of a builder": b"\x80\x02ccollections\nCounter\nK\x00K\x01s.",
    "call of a number": b"\x80\x02K\x01)R.",
    "call of a dtype": b"\x80\x02ctorch\nfloat32\n)R.",
    "storage that is no storage": b"\x80\x02K\x01Q.",
    "text persistent id": b"P0\n.",
    "factory that is a builder": b"\x80\x02ccollections\ndefaultdict\nctorch\nSize\n\x85R.",
    "bytes by another codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R.",
    "huge bytearray": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "empty stack": b"\x80\x02R.",
    "no end": b"\x80\x02]",
    "text cut short": b"\x80\x02X\xff\xff\xff\x7fab",
    "huge number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "unknown memo": b"\x80\x02h\x05.",
    "unknown protocol": b"\x80\x77N.",
    "unhashable key": b"\x80\x02}]K\x01s.",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_raise(text):
    with pytest.raises(UnpicklingError):
        tnn.load(io.BytesIO(archive_of(text)))


def test_exponential_keys_are_refused():
    text = b"\x80\x02}K\x01" + b"q\x00h\x00\x86" * 64 + b"K\x01s."
    with pytest.raises(UnpicklingError, match="parts"):
        tnn.load(io.BytesIO(archive_of(text)))


def test_bombs_are_refused():
    bomb = packed(
        {"archive/data.pkl": tensor_pickle(numel=2**20), "archive/data/0": bytes(2**22)}, zipfile.ZIP_DEFLATED
    )
    assert tnn.load(io.BytesIO(bomb)).tolist() == [0, 0]  # an honest, well compressed file
    lie = bytearray(packed({"archive/data.pkl": pickle.dumps([], 2)}))
    at = lie.index(b"PK\x01\x02")
    struct.pack_into("<II", lie, at + 20, 2**31, 2**31)
    with pytest.raises(RuntimeError):
        tnn.load(io.BytesIO(bytes(lie)))


def test_not_a_checkpoint():
    for raw in (
        b"",
        b"hello",
        b"PK\x03\x04",
        packed({"a/b": b""}),
        packed({"a/data.pkl": b"", "a/constants.pkl": b""}),
    ):
        with pytest.raises((UnpicklingError, RuntimeError)):
            tnn.load(io.BytesIO(raw))


# -- allowing more


class Settings:
    """A class of a user's."""

    def __init__(self, rate):
        self.rate = rate


def test_safe_globals():
    file = io.BytesIO()
    tnn.save({"s": Settings(3), "x": tnn.ones(1)}, file)
    with pytest.raises(UnpicklingError, match="Settings"):
        tnn.load(io.BytesIO(file.getvalue()))
    with safe_globals([Settings]):
        assert get_safe_globals() == [Settings]
        assert tnn.load(io.BytesIO(file.getvalue()))["s"].rate == 3
    assert get_safe_globals() == []
    add_safe_globals([(Settings, f"{Settings.__module__}.Settings")])
    assert tnn.load(io.BytesIO(file.getvalue()))["s"].rate == 3
    clear_safe_globals()
    with pytest.raises(UnpicklingError):
        tnn.load(io.BytesIO(file.getvalue()))


# -- safetensors


def test_safetensors(tmp_path):
    path = tmp_path / "x.safetensors"
    x = tnn.arange(6.0).reshape(2, 3)
    given = {
        "x": x,
        "t": x.t(),
        "half": x.to(tnn.bfloat16),
        "b": tnn.tensor([True]),
        "e": tnn.zeros(0, 3),
        "s": tnn.tensor(3),
    }
    save_safetensors(given, path, metadata={"format": "pt"})
    for back in (load_safetensors(path), tnn.load(path)):
        assert sorted(back) == sorted(given)
        for key, value in given.items():
            assert (
                back[key].dtype is value.dtype
                and back[key].shape == value.shape
                and back[key].tolist() == value.tolist()
            )
        array(back["x"])[0, 0] = 5  # writable
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RuntimeError, match="safetensors"):
        load_safetensors(path)
    with pytest.raises(TypeError, match=r"tensors\['a'\]"):
        save_safetensors({"a": 3}, path)
