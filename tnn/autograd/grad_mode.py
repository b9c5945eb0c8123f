"""Whether operations are recorded: no_grad, enable_grad, inference_mode, one setting for each thread."""

import functools
import inspect
import threading


class _Mode(threading.local):
    grad = True
    inference = False


mode = _Mode()
_new = object.__new__


class _Switch:
    """A context manager that also decorates functions and generator functions."""

    def __enter__(self):
        self._before = (mode.grad, mode.inference)
        self._set()

    def __exit__(self, *exc):
        mode.grad, mode.inference = self._before

    def _set(self):
        raise NotImplementedError

    def clone(self):
        """A fresh instance with the same setting."""
        return type(self)()

    def __call__(self, func):
        if inspect.isclass(func):
            func.__init__ = self(func.__init__)
            return func
        if inspect.isgeneratorfunction(func):
            return self._wrap_generator(func)

        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            with self.clone():
                return func(*args, **kwargs)

        return wrapped

    def _wrap_generator(self, func):
        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            gen = func(*args, **kwargs)
            value, error = None, None
            while True:
                try:
                    with self.clone():
                        out = gen.send(value) if error is None else gen.throw(error)
                except StopIteration as stop:
                    return stop.value
                try:
                    value, error = (yield out), None
                except GeneratorExit:
                    gen.close()
                    raise
                except BaseException as e:
                    value, error = None, e

        return wrapped


class no_grad(_Switch):
    """Nothing is recorded inside: results do not require gradients.

    Args:
        func: a function to decorate, or None.

    >>> import tnn
    >>> x = tnn.ones(2, requires_grad=True)
    >>> with tnn.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, func=None):
        return _new(cls) if func is None else _new(cls)(func)

    def __enter__(self):
        self._before = mode.grad
        mode.grad = False

    def __exit__(self, *exc):
        mode.grad = self._before


class enable_grad(_Switch):
    """Recording is on inside, also within ``no_grad``.

    Args:
        func: a function to decorate, or None.
    """

    def __new__(cls, func=None):
        return _new(cls) if func is None else _new(cls)(func)

    def __enter__(self):
        self._before = mode.grad
        mode.grad = True

    def __exit__(self, *exc):
        mode.grad = self._before


class set_grad_enabled(_Switch):
    """Turns recording on or off, as a function (at once) or as a context manager.

    Args:
        mode: True to record.
    """

    def __init__(self, mode):
        self._before = (globals()["mode"].grad, globals()["mode"].inference)
        self.mode = bool(mode)
        globals()["mode"].grad = self.mode

    def __enter__(self):
        mode.grad = self.mode

    def __call__(self, func):
        mode.grad = self._before[0]
        return super().__call__(func)

    def clone(self):
        before = mode.grad
        fresh = type(self)(self.mode)
        mode.grad = before
        fresh._before = (before, mode.inference)
        return fresh


class inference_mode(_Switch):
    """As ``no_grad``: nothing is recorded, and tensors made inside never require gradients.

    Args:
        mode: True to enter inference mode, False to leave it.
    """

    def __new__(cls, mode=True):
        self = object.__new__(cls)
        if callable(mode):
            self.mode = True
            return self(mode)
        self.mode = mode
        return self

    def clone(self):
        return type(self)(self.mode)

    def _set(self):
        mode.inference = self.mode
        mode.grad = not self.mode


class _Accepted(_Switch):
    """A setting that means nothing here: accepted as a function and as a region."""

    def __init__(self, mode=True):
        self.mode = mode

    def clone(self):
        return type(self)(self.mode)

    def _set(self):
        pass


class set_multithreading_enabled(_Accepted):
    """Accepted: backward runs in the calling thread, and its kernels in as many as ``tnn.set_num_threads`` says."""


class enforce_grad_layout_policy(_Accepted):
    """Accepted: accumulated gradients are laid out as they come."""


def is_grad_enabled():
    """Whether operations are recorded in this thread."""
    return mode.grad


def is_inference_mode_enabled():
    """Whether this thread is in inference mode."""
    return mode.inference
