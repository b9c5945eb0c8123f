"""Containers of modules and of parameters: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

import operator
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import chain

from ...ops.linear import linear_relu
from ...tensor import Tensor
from ..parameter import Parameter
from .activation import ReLU
from .linear import Linear
from .module import Module, indent, is_plain, typename

__all__ = ["Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def absolute_index(idx, size):
    """An index from the front.

    Raises:
        TypeError: ``idx`` is not an integer.
        IndexError: it is out of range.
    """
    idx = operator.index(idx)
    if not -size <= idx < size:
        raise IndexError(f"index {idx} is out of range for {size} elements")
    return idx + size if idx < 0 else idx


def key_value_pairs(name, values):
    """The pairs of an iterable of pairs.

    Raises:
        TypeError: ``values`` or one of its elements is not iterable.
        ValueError: an element is not a pair.
    """
    if not isinstance(values, Iterable):
        raise TypeError(
            f"{name}.update should be called with an iterable of key/value pairs, but got {type(values).__name__}"
        )
    for j, pair in enumerate(values):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{name} update sequence element #{j} should be Iterable; is {type(pair).__name__}")
        if len(pair) != 2:
            raise ValueError(f"{name} update sequence element #{j} has length {len(pair)}; 2 is required")
        yield pair[0], pair[1]


class Container(Module):
    """Deprecated: a module with the submodules that the keywords name. Subclass Module instead.

    Args:
        kwargs: submodules by name.

    Raises:
        TypeError: one is not a module.
    """

    def __init__(self, **kwargs):
        warnings.warn(
            "`nn.Container` is deprecated. All of its functionality is now implemented in `nn.Module`. Subclass that "
            "instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__()
        for name, module in kwargs.items():
            self.add_module(name, module)


class _ModuleSequence(Module):
    """What Sequential and ModuleList share: submodules in order."""

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def _key(self, idx):
        return list(self._modules)[absolute_index(idx, len(self._modules))]

    def __setitem__(self, idx, module):
        setattr(self, self._key(idx), module)

    def __delitem__(self, idx):
        for key in list(self._modules)[idx] if isinstance(idx, slice) else [self._key(idx)]:
            delattr(self, key)
        self._modules = {str(i): module for i, module in enumerate(self._modules.values())}

    def _insert(self, index, module):
        """Shifts the modules from ``index`` on by one and puts ``module`` in their place."""
        for i in range(len(self._modules), index, -1):
            self._modules[str(i)] = self._modules[str(i - 1)]
        self._modules[str(index)] = module

    def append(self, module):
        """Adds a module at the end.

        Returns:
            the container.
        """
        self.add_module(str(len(self)), module)
        return self

    def pop(self, key):
        """Removes the module at an index, or the modules of a slice, and returns it."""
        value = self[key]
        del self[key]
        return value


class Sequential(_ModuleSequence):
    """Runs modules one after the other, each on the output of the one before.

    Args:
        args: the modules; or one OrderedDict of names and modules.

    Raises:
        TypeError: one is not a module.

    Example::

        >>> import tnn
        >>> nn = tnn.nn
        >>> nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, 2)))
        Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): Unflatten(dim=1, unflattened_size=(2, 2))
        )
    """

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            items = args[0].items()
        else:
            items = ((str(i), module) for i, module in enumerate(args))
        for name, module in items:
            self.add_module(name, module)

    def forward(self, input):
        """The last module's output."""
        modules = list(self._modules.values())
        count, i = len(modules), 0
        while i < count:
            module, out = modules[i], None
            i += 1
            if type(module) is Linear and i < count and type(modules[i]) is ReLU and type(input) is Tensor:
                # one pass over the result where there would be two
                if is_plain(module) and is_plain(modules[i]):
                    out = linear_relu(input, module.weight, module.bias)
            if out is None:
                input = module(input)
            else:
                input = out
                i += 1
        return input

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(OrderedDict(list(self._modules.items())[idx]))
        return self._modules[self._key(idx)]

    def _check_sequential(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")

    def __add__(self, other):
        self._check_sequential(other)
        return Sequential(*self, *other)

    def __iadd__(self, other):
        self._check_sequential(other)
        return self.extend(list(other))

    def _check_factor(self, n):
        if not isinstance(n, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(n)}")
        if n <= 0:
            raise ValueError(f"Non-positive multiplication factor {n} for {type(self)}")

    def __mul__(self, n):
        self._check_factor(n)
        return Sequential(*(list(self) * n))

    __rmul__ = __mul__

    def __imul__(self, n):
        self._check_factor(n)
        return self.extend(list(self) * (n - 1))

    def insert(self, index, module):
        """Inserts a module before ``index``.

        Returns:
            the container.

        Raises:
            AssertionError: ``module`` is not a Module.
            IndexError: ``index`` is out of range.
        """
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}, got {type(module)}")
        n = len(self._modules)
        if not -n <= index <= n:
            raise IndexError(f"Index out of range: {index} for {n} modules")
        self._insert(index + n if index < 0 else index, module)
        return self

    def extend(self, sequential):
        """Adds the modules of an iterable at the end.

        Returns:
            the container.
        """
        for module in sequential:
            self.append(module)
        return self


class ModuleList(_ModuleSequence):
    """Submodules in a list: indexed like a Python list, registered like attributes.

    Args:
        modules: an iterable of modules.

    Raises:
        TypeError: an element is not a module.
        IndexError: there is no such place.

    Example::

        >>> import tnn
        >>> nn = tnn.nn
        >>> nn.ModuleList(nn.Flatten() for _ in range(3))
        ModuleList(
          (0-2): 3 x Flatten(start_dim=1, end_dim=-1)
        )
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self += modules

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(list(self._modules.values())[idx])
        return self._modules[str(absolute_index(idx, len(self._modules)))]

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, other):
        return ModuleList(chain(self, other))

    def insert(self, index, module):
        """Inserts a module before ``index``."""
        self._insert(index, module)

    def extend(self, modules):
        """Adds the modules of an iterable at the end.

        Returns:
            the container.

        Raises:
            TypeError: ``modules`` is not iterable.
        """
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList.extend should be called with an iterable, but got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def __repr__(self):
        blocks = []  # [first, last, text]: neighbours that print alike are one block
        for i, module in enumerate(self):
            text = repr(module)
            if blocks and blocks[-1][2] == text:
                blocks[-1][1] = i
            else:
                blocks.append([i, i, text])
        if not blocks:
            return self._get_name() + "()"
        lines = [indent(f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}", 2) for a, b, text in blocks]
        return "\n  ".join([self._get_name() + "(", *lines]) + "\n)"


class ModuleDict(Module):
    """Submodules in a dictionary: indexed like a Python dict, in order of insertion, registered like attributes.

    Args:
        modules: a mapping of names to modules, or an iterable of pairs.

    Raises:
        TypeError: a value is not a module, or ``modules`` neither a mapping nor an iterable of pairs.
        KeyError: there is no such name.

    Example::

        >>> import tnn
        >>> nn = tnn.nn
        >>> choices = nn.ModuleDict({"flat": nn.Flatten(), "deep": nn.Unflatten(1, (2, 2))})
        >>> choices["flat"]
        Flatten(start_dim=1, end_dim=-1)
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Removes all modules."""
        self._modules.clear()

    def pop(self, key):
        """Removes a module and returns it."""
        module = self[key]
        del self[key]
        return module

    def keys(self):
        """The names."""
        return self._modules.keys()

    def items(self):
        """The pairs of name and module."""
        return self._modules.items()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules):
        """Adds modules, in the place of those that have the same names.

        Args:
            modules: a mapping of names to modules, or an iterable of pairs.

        Raises:
            TypeError: ``modules`` or one of its elements is not iterable.
            ValueError: an element is not a pair.
        """
        pairs = (
            modules.items() if isinstance(modules, (Mapping, ModuleDict)) else key_value_pairs("ModuleDict", modules)
        )
        for name, module in pairs:
            self[name] = module


def _as_parameter(value):
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _line(key, value, what):
    """How one element of a container of parameters prints."""
    if not isinstance(value, Tensor):
        return f"  ({key}): Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"  ({key}): {kind} containing: [{what(value)} of size {'x'.join(map(str, value.shape))}]"


class ParameterList(Module):
    """Parameters in a list: indexed like a Python list, registered like attributes.

    Tensors that are put in become Parameters; other objects are kept as they are.

    Args:
        values: an iterable of elements.

    Raises:
        TypeError: ``values`` is not iterable.
        IndexError: there is no such place.

    Example::

        >>> import tnn
        >>> params = tnn.nn.ParameterList([tnn.zeros(2), tnn.zeros(3)])
        >>> [tuple(p.shape) for p in params]
        [(2,), (3,)]
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self += values

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(self[i] for i in range(*idx.indices(self._size)))
        return getattr(self, str(absolute_index(idx, self._size)))

    def __setitem__(self, idx, param):
        setattr(self, str(absolute_index(idx, self._size)), _as_parameter(param))

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter([self[i] for i in range(self._size)])

    def __iadd__(self, parameters):
        return self.extend(parameters)

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, value):
        """Adds an element at the end.

        Returns:
            the container.
        """
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values):
        """Adds the elements of an iterable at the end.

        Returns:
            the container.

        Raises:
            TypeError: ``values`` is a Tensor or not iterable.
        """
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self):
        """One line for each element."""
        return "\n".join(_line(i, p, lambda p: p.dtype) for i, p in enumerate(self))

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """Parameters in a dictionary: indexed like a Python dict, in order of insertion, registered like attributes.

    Tensors that are put in become Parameters; other objects are kept as they are.

    Args:
        parameters: a mapping of strings to elements, or an iterable of pairs. A plain dict is sorted by key; an
            OrderedDict, a ParameterDict and pairs keep their order.

    Raises:
        TypeError: ``parameters`` is neither a mapping nor an iterable of pairs.
        KeyError: there is no such name.

    Example::

        >>> import tnn
        >>> params = tnn.nn.ParameterDict({"left": tnn.zeros(2)})
        >>> [name for name, _ in params.named_parameters()]
        ['left']
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key):
        return getattr(self, self._key_to_attr(key))

    def __setitem__(self, key, value):
        attr = self._key_to_attr(key)
        setattr(self, attr, _as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, key)

    def _key_to_attr(self, key):
        if not isinstance(key, str):
            raise TypeError(f"a ParameterDict's keys are strings, got {key!r} of type '{type(key).__name__}'")
        return key

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(self._keys)

    def __contains__(self, key):
        return key in self._keys

    def __or__(self, other):
        new = self.copy()
        new.update(other)
        return new

    def __ror__(self, other):
        new = other.copy()
        new.update(self)
        return new

    def __ior__(self, other):
        self.update(other)
        return self

    def copy(self):
        """A ParameterDict with the same elements."""
        return ParameterDict(OrderedDict(self.items()))

    def setdefault(self, key, default=None):
        """The element of ``key``, which becomes ``default`` where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self):
        """Removes all elements."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key):
        """Removes an element and returns it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Removes the last element and returns its key and value.

        Raises:
            KeyError: there is none.
        """
        if not self._keys:
            raise KeyError("popitem(): ParameterDict is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def get(self, key, default=None):
        """The element of ``key``, ``default`` where there is none."""
        return self[key] if key in self else default

    def fromkeys(self, keys, default=None):
        """A new ParameterDict with these keys, ``default`` under each."""
        return ParameterDict((key, default) for key in keys)

    def keys(self):
        """The keys."""
        return self._keys.keys()

    def items(self):
        """The pairs of key and element."""
        return ((key, self[key]) for key in self._keys)

    def values(self):
        """The elements."""
        return (self[key] for key in self._keys)

    def update(self, parameters):
        """Adds elements, in the place of those that have the same keys.

        Args:
            parameters: as of the constructor.

        Raises:
            TypeError: ``parameters`` or one of its elements is not iterable, or a key is no string.
            ValueError: an element is not a pair.
        """
        if isinstance(parameters, (OrderedDict, ParameterDict)):
            pairs = parameters.items()
        elif isinstance(parameters, Mapping):
            pairs = sorted(parameters.items(), key=lambda pair: pair[0])
        else:
            pairs = key_value_pairs("ParameterDict", parameters)
        for key, value in list(pairs):
            self[key] = value

    def extra_repr(self):
        """One line for each element."""
        return "\n".join(_line(key, p, typename) for key, p in self.items())

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterDict should not be called.")
