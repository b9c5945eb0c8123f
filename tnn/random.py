"""Generators of random numbers, and the default one that every operation uses unless told otherwise.

The default generator follows PyTorch's CPU generator: one seed gives one stream in both. See ``tnn/kernels/random.py``.
"""

import contextlib
import secrets
import threading

import numpy as np

from .kernels import random as kernels
from .kernels._small_random import SEED
from .tensor import Tensor, check_device, device, wrap

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

# The bytes that PyTorch keeps a CPU generator's state in.
_STATE = np.dtype(
    [
        ("seed", "<u8"), ("left", "<i4"), ("seeded", "<i4"), ("next", "<u8"), ("words", "<u8", (624,)),
        ("normal_x", "<f8"), ("normal_y", "<f8"), ("normal_rho", "<f8"), ("normal_valid", "<i4"), ("pad", "<i4"),
        ("float_normal", "<f4"), ("float_valid", "<i4"),
    ]
)  # fmt: skip


_FIRST_SEED = 67280421310721
_first_state: list = []  # that of the first seed, once it is known


class Generator:
    """A Mersenne Twister (mt19937) with the state that PyTorch's CPU generator has.

    Args:
        device: the CPU.

    Raises:
        RuntimeError: another device than the CPU.

    >>> import tnn
    >>> g = tnn.Generator().manual_seed(0)
    >>> tnn.rand(3, generator=g)
    tensor([0.4963, 0.7682, 0.0885])
    """

    __slots__ = ("_state", "_cache", "_seed", "_float_cache", "__weakref__")

    def __init__(self, device="cpu"):
        check_device(device)
        self._state = np.zeros(kernels.STATE_SIZE, np.uint32)
        self._cache = np.zeros(2)
        self._reset(_FIRST_SEED)

    def _reset(self, value):
        self._seed = value
        self._float_cache = (0.0, 0)
        self._cache[1] = 0.0
        if value == _FIRST_SEED and _first_state:
            self._state[...] = _first_state[0]
        elif SEED.call(self._state, float(value & 0xFFFFFFFF)) is None:
            kernels.seed_forward(self._state, np.uint64(value))
            if value == _FIRST_SEED:
                _first_state.append(self._state.copy())

    @property
    def device(self):
        """Always the CPU."""
        return device("cpu")

    def manual_seed(self, seed):
        """Starts the stream that ``seed`` names, and returns the generator.

        Args:
            seed: an integer in [-2^63, 2^64); a negative one counts as 2^64 + seed.

        Raises:
            RuntimeError: ``seed`` is not an integer.
            ValueError: ``seed`` is out of range.
        """
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise RuntimeError(f"manual_seed expected an int, but got {type(seed).__name__}")
        seed = seed.__index__()
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"manual_seed expected a seed in [-2**63, 2**64), but got {seed}")
        self._reset(seed % 2**64)
        SEED.prepare(np.dtype(np.float32))  # the same for every dtype; not at import, which shall load nothing
        return self

    def seed(self):
        """Starts a stream that nobody can foresee, and returns its seed."""
        value = secrets.randbits(64)
        self._reset(value)
        return value

    def initial_seed(self):
        """The seed that started the stream."""
        return self._seed

    def get_state(self):
        """The state as a uint8 tensor of 5056 elements, byte for byte what PyTorch's CPU generator gives."""
        record = np.zeros((), _STATE)
        record["seed"], record["seeded"] = self._seed, 1
        record["left"], record["next"] = self._state[kernels.LEFT], self._state[kernels.NEXT]
        record["words"] = self._state[: kernels.WORDS]
        if self._cache[1]:
            record["normal_y"], record["normal_valid"] = self._cache[0], 1
        record["float_normal"], record["float_valid"] = self._float_cache
        return wrap(np.frombuffer(record.tobytes(), np.uint8).copy())

    def set_state(self, new_state):
        """Puts the generator into a state that ``get_state`` (of tnn or of PyTorch) gave.

        Raises:
            TypeError: ``new_state`` is not a uint8 tensor.
            RuntimeError: it has another size, or is not a state.
        """
        if not isinstance(new_state, Tensor) or new_state._data.dtype != np.uint8:
            what = new_state.dtype if isinstance(new_state, Tensor) else type(new_state).__name__
            raise TypeError(f"expected the RNG state as a tensor of dtype tnn.uint8, but got {what}")
        if new_state._data.size != _STATE.itemsize:
            raise RuntimeError(f"expected an RNG state of {_STATE.itemsize} bytes, but got {new_state._data.size}")
        record = np.frombuffer(new_state._data.tobytes(), _STATE)[0]
        left, following = int(record["left"]), int(record["next"])
        # A count of words left that reaches past the state's end would let a kernel read there.
        inside = 1 <= left <= 624 and following <= 624 and (left == 1 or left - 1 + following == 624)
        if not record["seeded"] or not inside:
            raise RuntimeError("Invalid mt19937 state")
        self._seed = int(record["seed"])
        self._state[: kernels.WORDS] = record["words"]
        self._state[kernels.LEFT], self._state[kernels.NEXT] = left, following
        self._cache[0], self._cache[1] = record["normal_y"], 1.0 if record["normal_valid"] else 0.0
        self._float_cache = (float(record["float_normal"]), int(record["float_valid"]) & 1)

    def clone_state(self):
        """A new generator in the same state."""
        copy = Generator()
        copy.set_state(self.get_state())
        return copy

    def __reduce__(self):
        return _rebuild, (self.get_state(),)

    def __repr__(self):
        return f"<tnn.Generator device='cpu' seed={self._seed}>"


def _rebuild(state):
    generator = Generator()
    generator.set_state(state)
    return generator


default_generator = Generator()
default_generator.seed()


class _OfThread(threading.local):
    generator = None


_of_thread = _OfThread()


def current_generator():
    """The generator that this thread draws from: the default one, but in a loader's worker one of its own."""
    return _of_thread.generator or default_generator


def use_own_generator(seed):
    """Gives this thread a generator of its own in place of the default one."""
    _of_thread.generator = Generator().manual_seed(seed)


def manual_seed(seed):
    """Seeds the default generator and returns it; see :meth:`Generator.manual_seed`.

    Args:
        seed: an integer.
    """
    return current_generator().manual_seed(int(seed))


def seed():
    """Seeds the default generator with a number that nobody can foresee, and returns it."""
    return current_generator().seed()


def initial_seed():
    """The seed of the default generator."""
    return current_generator().initial_seed()


def get_rng_state():
    """The state of the default generator; see :meth:`Generator.get_state`."""
    return current_generator().get_state()


def set_rng_state(new_state):
    """Sets the state of the default generator; see :meth:`Generator.set_state`.

    Args:
        new_state: uint8 tensor, as :func:`get_rng_state` gives it.

    Raises:
        RuntimeError: it is no such state.
    """
    current_generator().set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type="cuda"):
    """Within it the default generator may be used and seeded at will: its state is put back at the end.

    Args:
        devices: ignored, there is only the CPU.
        enabled: when False, nothing is put back.
    """
    if not enabled:
        yield
        return
    generator = current_generator()
    state = generator.get_state()
    try:
        yield
    finally:
        generator.set_state(state)
