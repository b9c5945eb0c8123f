"""Data sets, samplers, collation and the loader. Orders are PyTorch's."""

import gc
import threading
import time
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import tnn
from tnn.utils import data
from tnn.utils.data import DataLoader, TensorDataset

# drawn with PyTorch 2.13
SPLIT_42 = [[2, 6, 1, 8, 4], [5, 0, 9], [3, 7]]
RANDOM = [6, 9, 0, 7, 3, 5, 4, 2, 1, 8]
REPLACED = [1, 3, 2, 0, 2, 1, 2, 4, 0, 1, 1, 3, 4, 1, 4, 3, 0, 2, 4, 2, 3, 4, 1, 2, 2, 4, 2, 2, 0, 2, 1, 3, 1, 3, 4, 2]
REPEATED = [3, 2, 0, 1, 1, 2, 0, 3, 0, 3]
SUBSET = [9, 7, 3, 5]
WEIGHTED = [0, 1, 2, 1, 2, 1, 2, 3, 2, 1, 3, 2]
WEIGHTED_ONCE = [1, 0, 2, 3]
DISTRIBUTED = [1, 3, 8, 4]
FIRST_EPOCH = [[6, 7, 1, 4], [2, 0, 9, 8], [3, 5]]
SECOND_EPOCH = [[2, 4, 7, 0], [8, 9, 5, 3], [6, 1]]
DRAWN_BY_WORKERS = [0.1166251, 0.3148404, 0.1341435, 0.2808449]
WITH_GENERATOR = [[7, 4, 8], [1, 2, 3], [6, 5, 9]]


class Squares(data.Dataset):
    """n squares, as ints."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i * i


class Numbers(data.IterableDataset):
    """The numbers from a to b, shared out among workers."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __iter__(self):
        info = data.get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(self.a + first, self.b, step))


def rows(n=10):
    return TensorDataset(tnn.tensor(np.arange(2 * n).reshape(n, 2)), tnn.tensor(np.arange(n)))


def listed(loader):
    return [b.tolist() for b in loader]


def labels(loader):
    return [y.tolist() for _, y in loader]


# -- data sets


def test_tensor_dataset():
    d = rows(3)
    assert len(d) == 3 and [t.tolist() for t in d[1]] == [[2, 3], 1]
    with pytest.raises(AssertionError, match=r"first sizes are \[2, 3\]"):
        TensorDataset(tnn.zeros(2), tnn.zeros(3))


def test_stack_dataset():
    d = data.StackDataset(Squares(3), range(3))
    assert d[2] == (4, 2) and len(d) == 3 and d.__getitems__([0, 2]) == [(0, 0), (4, 2)]
    d = data.StackDataset(a=Squares(3), b=data.Subset(Squares(9), [5, 6, 7]))
    assert d[1] == {"a": 1, "b": 36} and d.__getitems__([2]) == [{"a": 4, "b": 49}]
    for bad, text in (
        (lambda: data.StackDataset(), "At least one"),
        (lambda: data.StackDataset(Squares(1), a=Squares(1)), "got both"),
        (lambda: data.StackDataset(Squares(1), Squares(2)), r"lengths are \[1, 2\]"),
    ):
        with pytest.raises(ValueError, match=text):
            bad()

    class Short(Squares):
        def __getitems__(self, indices):
            return [0]

    with pytest.raises(ValueError, match="Expected 2, got 1"):
        data.StackDataset(Short(3)).__getitems__([0, 1])


def test_concat_and_chain():
    d = Squares(2) + Squares(3)
    assert isinstance(d, data.ConcatDataset) and len(d) == 5
    assert [d[i] for i in range(5)] == [0, 1, 0, 1, 4] and d[-1] == 4 and d.cumulative_sizes == [2, 5]
    with pytest.raises(ValueError, match="absolute value of index"):
        d[-6]
    with pytest.raises(IndexError):
        d[5]
    for bad in ([], [Numbers(0, 1)]):
        with pytest.raises(AssertionError):
            data.ConcatDataset(bad)
    chain = Numbers(0, 2) + Numbers(5, 7)
    assert isinstance(chain, data.ChainDataset) and list(chain) == [0, 1, 5, 6]
    with pytest.raises(AssertionError, match="got Squares"):
        list(data.ChainDataset([Squares(1)]))


def test_subset():
    d = data.Subset(Squares(9), [3, 1])
    assert len(d) == 2 and d[0] == 9 and d.__getitems__([1, 0]) == [1, 9]
    assert data.Subset(rows(), [4, 2])[[1, 0]][1].tolist() == [2, 4]

    class Half(data.Subset):
        def __getitem__(self, i):
            return 0

    with pytest.raises(NotImplementedError, match="__getitems__"):
        Half(Squares(2), [0])


def test_base_classes_ask_for_methods():
    for call in (lambda: data.Dataset()[0], lambda: iter(data.IterableDataset()), lambda: iter(data.Sampler())):
        with pytest.raises(NotImplementedError):
            call()


def test_random_split():
    parts = data.random_split(range(10), [0.5, 0.3, 0.2], tnn.Generator().manual_seed(42))
    assert [p.indices for p in parts] == SPLIT_42
    assert [len(p) for p in data.random_split(range(10), [7, 3])] == [7, 3]
    assert [len(p) for p in data.random_split(range(11), [0.5, 0.5])] == [6, 5]
    with pytest.raises(ValueError, match="9, expected 10"):
        data.random_split(range(10), [4, 5])
    with pytest.raises(ValueError, match="index 0 is not between"):
        data.random_split(range(10), [-0.5, 1.5])
    with pytest.warns(UserWarning, match="index 1 is 0"):
        data.random_split(range(1), [0.9, 0.1])


# -- samplers


def test_random_samplers_draw_as_pytorch():
    tnn.manual_seed(0)
    assert list(data.RandomSampler(range(10))) == RANDOM
    assert list(data.RandomSampler(range(5), replacement=True, num_samples=36)) == REPLACED
    assert list(data.RandomSampler(range(4), num_samples=10)) == REPEATED
    assert list(data.SubsetRandomSampler([3, 5, 7, 9])) == SUBSET
    assert list(data.WeightedRandomSampler([0.1, 0.2, 0.3, 0.4], 12)) == WEIGHTED
    assert list(data.WeightedRandomSampler([0.1, 0.2, 0.3, 0.4], 4, replacement=False)) == WEIGHTED_ONCE


def test_lengths_of_samplers():
    assert len(data.RandomSampler(range(5))) == 5 and len(data.RandomSampler(range(5), num_samples=3)) == 3
    assert len(data.SequentialSampler(range(4))) == 4 and list(data.SequentialSampler("abc")) == [0, 1, 2]
    assert len(data.SubsetRandomSampler([1, 2])) == 2 and len(data.WeightedRandomSampler([1.0], 7)) == 7
    for drop, want in ((True, [[0, 1, 2], [3, 4, 5]]), (False, [[0, 1, 2], [3, 4, 5], [6]])):
        s = data.BatchSampler(data.SequentialSampler(range(7)), 3, drop)
        assert list(s) == want and len(s) == len(want)


@pytest.mark.parametrize(
    "kind, make",
    [
        (TypeError, lambda: data.RandomSampler(range(3), replacement=1)),
        (ValueError, lambda: data.RandomSampler(range(3), num_samples=0)),
        (ValueError, lambda: data.RandomSampler([])),
        (ValueError, lambda: data.WeightedRandomSampler([1.0], 0)),
        (ValueError, lambda: data.WeightedRandomSampler([1.0], 1, 1)),
        (ValueError, lambda: data.WeightedRandomSampler([[1.0]], 1)),
        (ValueError, lambda: data.BatchSampler([1], 0, False)),
        (ValueError, lambda: data.BatchSampler([1], True, False)),
        (ValueError, lambda: data.BatchSampler([1], 1, 0)),
    ],
)
def test_sampler_errors(kind, make):
    with pytest.raises(kind):
        make()


def test_distributed_sampler():
    s = data.DistributedSampler(range(10), 3, 1)
    assert list(s) == DISTRIBUTED and len(s) == 4
    s.set_epoch(1)
    assert list(s) != DISTRIBUTED
    together = [list(data.DistributedSampler(range(10), 4, r, shuffle=False, drop_last=True)) for r in range(4)]
    assert together == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert list(data.DistributedSampler([1, 2], 5, 4, shuffle=False)) == [0]
    with pytest.raises(ValueError, match="Invalid rank 3"):
        data.DistributedSampler(range(4), 3, 3)


# -- collation

Pair = namedtuple("Pair", "x y")


def test_collate_numbers_and_arrays():
    c = data.default_collate
    for batch, dtype, want in (
        ([1, 2], tnn.int64, [1, 2]),
        ([1.5, 2.0], tnn.float64, [1.5, 2.0]),
        ([True, False], tnn.bool, [True, False]),
        ([np.float32(1), np.float32(2)], tnn.float32, [1, 2]),
        ([np.ones(2), np.zeros(2)], tnn.float64, [[1, 1], [0, 0]]),
        ([np.array(3), np.array(4)], tnn.int64, [3, 4]),
        ([tnn.tensor([1.0]), tnn.tensor([2.0])], tnn.float32, [[1], [2]]),
    ):
        out = c(batch)
        assert out.dtype is dtype and out.tolist() == want


def test_collate_containers():
    c = data.default_collate
    assert c(["a", "b"]) == ["a", "b"] and c([b"a"]) == [b"a"]
    out = c([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    assert out["a"].tolist() == [1, 2] and out["b"] == ["x", "y"]
    assert isinstance(c([OrderedDict(a=1)]), OrderedDict)
    out = c([Pair(1, 2.0), Pair(3, 4.0)])
    assert isinstance(out, Pair) and out.x.tolist() == [1, 3]
    out = c([(1, [2, 3]), (4, [5, 6])])
    assert isinstance(out, list) and out[0].tolist() == [1, 4] and [t.tolist() for t in out[1]] == [[2, 5], [3, 6]]
    x = tnn.ones(2, requires_grad=True)
    c([x, x]).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_collate_errors():
    with pytest.raises(TypeError, match="found <class 'object'>"):
        data.default_collate([object()])
    with pytest.raises(TypeError, match="found <U1"):
        data.default_collate([np.array(["a"])])
    with pytest.raises(RuntimeError, match=r"equal size, got sizes \[1, 2\]"):
        data.default_collate([[1], [1, 2]])


def test_default_convert():
    sample = {"a": np.ones(2), "b": [np.int64(3), "s"], "c": (1, np.zeros(1)), "d": Pair(np.ones(1), 2)}
    out = data.default_convert(sample)
    assert out["a"].tolist() == [1.0, 1.0] and out["b"][0].item() == 3 and out["b"][1] == "s"
    assert out["c"][0] == 1 and out["c"][1].tolist() == [0.0] and isinstance(out["d"], Pair)
    words = np.array(["a"])
    assert data.default_convert(words) is words


# -- the loader


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffled_batches_come_in_pytorchs_order(workers):
    tnn.manual_seed(0)
    loader = DataLoader(rows(), batch_size=4, shuffle=True, num_workers=workers)
    assert labels(loader) == FIRST_EPOCH and labels(loader) == SECOND_EPOCH
    assert len(loader) == 3
    for x, y in loader:
        assert x[:, 0].tolist() == [2 * k for k in y.tolist()] and x.dtype is tnn.int64


def test_a_generator_of_its_own():
    g = tnn.Generator().manual_seed(5)
    loader = DataLoader(rows(), batch_size=3, shuffle=True, generator=g, drop_last=True)
    assert labels(loader) == WITH_GENERATOR


def test_rows_taken_at_once_are_what_collation_gives():
    d = data.Subset(data.Subset(rows(), [9, 8, 7, 6, 5]), [0, 2, -1])
    fast = next(iter(DataLoader(d, batch_size=3)))
    slow = next(iter(DataLoader(d, batch_size=3, collate_fn=lambda b: data.default_collate(b))))
    assert type(fast) is type(slow) is list
    for a, b in zip(fast, slow, strict=True):
        assert a.tolist() == b.tolist() and a.dtype is b.dtype
    with pytest.raises(IndexError):
        next(iter(DataLoader(rows(3), sampler=[3])))


def test_batches_of_other_data():
    assert listed(DataLoader(Squares(5), batch_size=2)) == [[0, 1], [4, 9], [16]]
    assert list(DataLoader(Squares(3), batch_size=None)) == [0, 1, 4]
    assert listed(DataLoader(Squares(5), sampler=[4, 0], batch_size=2)) == [[16, 0]]
    assert listed(DataLoader(Squares(5), batch_sampler=[[1], [2, 3]])) == [[1], [4, 9]]
    assert list(DataLoader(Squares(4), batch_size=2, collate_fn=sum)) == [1, 13]
    assert listed(DataLoader([1, 2, 3], batch_size=2, pin_memory=True)) == [[1, 2], [3]]


@pytest.mark.parametrize("workers, drop, want", [
    (0, False, [[0, 1], [2, 3], [4, 5], [6]]),
    (0, True, [[0, 1], [2, 3], [4, 5]]),
    (1, False, [[0, 1], [2, 3], [4, 5], [6]]),
    (3, False, [[0, 3], [1, 4], [2, 5], [6]]),
    (3, True, [[0, 3], [1, 4], [2, 5]]),
])  # fmt: skip
def test_streams(workers, drop, want):
    loader = DataLoader(Numbers(0, 7), batch_size=2, num_workers=workers, drop_last=drop)
    assert listed(loader) == want and listed(loader) == want
    assert sorted(DataLoader(Numbers(0, 7), batch_size=None, num_workers=workers)) == list(range(7))


def test_a_stream_longer_than_it_said():
    class Liar(Numbers):
        def __len__(self):
            return 1

    loader = DataLoader(Liar(0, 3), batch_size=2)
    assert len(loader) == 1 and len(DataLoader(Liar(0, 3), batch_size=2, drop_last=True)) == 0
    with pytest.warns(UserWarning, match="reported to be 1"):
        assert listed(loader) == [[0, 1], [2]]


def test_workers_know_who_they_are_and_have_their_own_copy():
    def init(i):
        info = data.get_worker_info()
        assert info.id == i and info.num_workers == 2
        info.dataset.a, info.dataset.b = (0, 4) if i == 0 else (100, 104)

    class Plain(Numbers):
        def __iter__(self):
            return iter(range(self.a, self.b))

    d = Plain(0, 0)
    loader = DataLoader(d, batch_size=None, num_workers=2, worker_init_fn=init)
    assert sorted(loader) == [0, 1, 2, 3, 100, 101, 102, 103]
    assert (d.a, d.b) == (0, 0) and data.get_worker_info() is None


def test_seeds_of_workers_follow_each_other():
    class Seeds(Squares):
        def __getitem__(self, i):
            return data.get_worker_info().seed

    tnn.manual_seed(3)
    one = list(DataLoader(Seeds(2), batch_size=None, num_workers=2))
    assert one[1] == one[0] + 1
    tnn.manual_seed(3)
    assert list(DataLoader(Seeds(2), batch_size=None, num_workers=2)) == one


def test_what_workers_draw_is_what_pytorchs_draw():
    class Noisy(Squares):
        def __getitem__(self, i):
            return tnn.rand(1)

    tnn.manual_seed(7)
    after = tnn.get_rng_state().tolist()
    got = [b.item() for b in DataLoader(Noisy(4), batch_size=None, num_workers=2)]
    np.testing.assert_allclose(got, DRAWN_BY_WORKERS, rtol=1e-6)
    assert tnn.get_rng_state().tolist() != after  # the loader's seed came from there
    tnn.manual_seed(7)
    data.dataloader.draw_seed()
    want = tnn.rand(1).item()
    tnn.manual_seed(7)
    list(DataLoader(Noisy(4), batch_size=None, num_workers=2))
    assert tnn.rand(1).item() == want


def test_order_is_kept_and_can_be_given_up():
    class Slow(Squares):
        def __getitem__(self, i):
            time.sleep(0.02 if i % 2 == 0 else 0.0)
            return i

    want = list(range(8))
    assert list(DataLoader(Slow(8), batch_size=None, num_workers=2)) == want
    assert sorted(DataLoader(Slow(8), batch_size=None, num_workers=2, in_order=False)) == want


class Faulty(Squares):
    def __getitem__(self, i):
        if i == 2:
            raise KeyError("no such sample")
        return i


class Two(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def test_exceptions_reach_the_caller():
    it = iter(DataLoader(Faulty(4), batch_size=None, num_workers=2))
    assert [next(it), next(it)] == [0, 1]
    with pytest.raises(KeyError, match="Caught KeyError in DataLoader worker 0") as caught:
        next(it)
    assert "no such sample" in str(caught.value) and isinstance(caught.value.__cause__, KeyError)
    assert next(it) == 3 and list(it) == []
    with pytest.raises(KeyError, match="no such sample"):
        list(DataLoader(Faulty(4)))

    def init(i):
        raise Two(1, 2)

    with pytest.raises(RuntimeError, match="Caught Two"):
        list(DataLoader(Squares(2), num_workers=1, worker_init_fn=init))


def workers_alive():
    return [t for t in threading.enumerate() if t.name.startswith("tnn_data_worker")]


def test_workers_end_with_the_iteration_or_the_iterator():
    gc.collect()
    before = len(workers_alive())
    assert len(list(DataLoader(Squares(9), num_workers=2))) == 9
    assert len(workers_alive()) == before
    it = iter(DataLoader(Squares(1000), num_workers=2))
    next(it)
    assert len(workers_alive()) == before + 2
    del it
    gc.collect()
    assert len(workers_alive()) == before


def test_persistent_workers_stay():
    tnn.manual_seed(0)
    loader = DataLoader(rows(), batch_size=4, shuffle=True, num_workers=2, persistent_workers=True)
    assert labels(loader) == FIRST_EPOCH
    threads = set(workers_alive())
    for _ in loader:
        break  # what was fetched ahead is not given in the next iteration
    assert sorted(sum(labels(loader), [])) == list(range(10)) and set(workers_alive()) == threads
    stream = DataLoader(Numbers(0, 5), batch_size=None, num_workers=2, persistent_workers=True)
    assert sorted(stream) == sorted(stream) == list(range(5))


def test_timeout():
    release = threading.Event()

    class Stuck(Squares):
        def __getitem__(self, i):
            release.wait(5)
            return i

    it = iter(DataLoader(Stuck(1), num_workers=1, timeout=0.05))
    with pytest.raises(RuntimeError, match="timed out after 0.05 seconds"):
        next(it)
    release.set()


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1}, {"timeout": -1}, {"prefetch_factor": 2}, {"num_workers": 1, "prefetch_factor": -1},
        {"persistent_workers": True}, {"sampler": [0], "shuffle": True}, {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True}, {"batch_size": None, "drop_last": True}, {"batch_size": 0},
        {"multiprocessing_context": "spawn"}, {"multiprocessing_context": "x", "num_workers": 1},
    ],
)  # fmt: skip
def test_options_that_do_not_fit(options):
    with pytest.raises(ValueError):
        DataLoader(Squares(3), **options)


def test_more_options_that_do_not_fit():
    for option in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}):
        with pytest.raises(ValueError, match="with IterableDataset"):
            DataLoader(Numbers(0, 2), **option)
    with pytest.raises(TypeError, match="multiprocessing_context"):
        DataLoader(Squares(3), num_workers=1, multiprocessing_context=3)
    loader = DataLoader(Squares(3), num_workers=1, multiprocessing_context="spawn")
    with pytest.raises(ValueError, match="batch_size attribute should not be set"):
        loader.batch_size = 3
    with pytest.raises(NotImplementedError, match="pickled"):
        iter(DataLoader(Squares(3))).__getstate__()
    assert len(iter(DataLoader(Squares(3), batch_size=2))) == 2


def test_an_eager_sampler_draws_before_the_workers_seed():
    class Eager:
        def __iter__(self):
            return iter(tnn.randperm(4).tolist())

    tnn.manual_seed(21)
    assert [int(b) for b in tnn.utils.data.DataLoader(range(4), sampler=Eager(), batch_size=None)] == [1, 0, 2, 3]
