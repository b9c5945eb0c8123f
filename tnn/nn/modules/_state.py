"""A module's state_dict: how it is collected and how it is read back."""

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

from ...autograd.grad_mode import no_grad
from ...tensor import Tensor
from ..parameter import Parameter, is_lazy

EXTRA_STATE = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What :meth:`Module.load_state_dict` returns: two lists of names."""

    __slots__ = ()

    def __repr__(self):
        if self.missing_keys or self.unexpected_keys:
            return super().__repr__()
        return "<All keys matched successfully>"

    __str__ = __repr__


class StateMethods:
    """The part of Module that saves and loads its state."""

    def get_extra_state(self):
        """Anything else that :meth:`state_dict` shall hold: override it together with :meth:`set_extra_state`.

        Raises:
            RuntimeError: it was not overridden.
        """
        raise RuntimeError(f"{self._get_name()} does not override get_extra_state")

    def set_extra_state(self, state):
        """Receives from :meth:`load_state_dict` what :meth:`get_extra_state` gave.

        Args:
            state: what it gave.

        Raises:
            RuntimeError: it was not overridden.
        """
        raise RuntimeError(f"{self._get_name()} does not override set_extra_state")

    def _persistent_buffers(self):
        skip = self._non_persistent_buffers_set
        return ((k, v) for k, v in self._buffers.items() if k not in skip)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Writes this module's own parameters, buffers and extra state into ``destination``."""
        for table in (self._parameters.items(), self._persistent_buffers()):
            for name, value in table:
                if value is not None:
                    destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not StateMethods.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """The parameters and persistent buffers by dotted name, detached and sharing memory with the module.

        Args:
            args: ``destination``, ``prefix`` and ``keep_vars`` by position, the old form.
            destination: a dictionary to write to; None makes an OrderedDict.
            prefix: put before every name.
            keep_vars: give the parameters themselves, not detached.

        Returns:
            ``destination``; its attribute ``_metadata`` holds each module's version.

        Raises:
            RuntimeError: a post hook returns something else than None.
        """
        if args:
            warnings.warn(
                "Positional args of state_dict are deprecated, use the keywords destination, prefix and keep_vars.",
                FutureWarning,
                stacklevel=2,
            )
            if destination is None:
                destination = args[0]
            if len(args) > 1 and prefix == "":
                prefix = args[1]
            if len(args) > 2 and keep_vars is False:
                keep_vars = args[2]
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata

        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            out = hook(self, destination, prefix, local_metadata)
            if out is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError(f"state_dict post-hook must return None, got {type(out)}")
            destination = out
        return destination

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        """Reads this module's own part of ``state_dict``; problems are added to the three lists.

        Args:
            state_dict: names to tensors; the hooks may change it.
            prefix: what this module's names begin with.
            local_metadata: this module's entry of the saved ``_metadata``.
            strict: look for missing and unexpected names.
            missing_keys: names that the module has and the dictionary lacks.
            unexpected_keys: names that the dictionary has and the module lacks.
            error_msgs: everything else that is wrong.
        """
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

        own = {k: v for k, v in (*self._parameters.items(), *self._persistent_buffers()) if v is not None}
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, current in own.items():
            key = prefix + name
            if key in state_dict:
                self._load_one(name, key, current, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)

        extra = prefix + EXTRA_STATE
        if type(self).set_extra_state is not StateMethods.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)

        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra:
                    head, dot, _ = key[len(prefix) :].partition(".")
                    if head not in (self._modules if dot else own):
                        unexpected_keys.append(key)

    def _load_one(self, name, key, current, value, assign, error_msgs):
        if not isinstance(value, Tensor):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected a Tensor from checkpoint but received '
                f"{type(value)}"
            )
            return
        lazy = is_lazy(current)
        if not lazy:
            if is_lazy(value):
                raise RuntimeError(
                    f'"{key}" in the checkpoint is an uninitialized parameter: it cannot be loaded into an '
                    "initialized one."
                )
            if len(current.shape) == 0 and tuple(value.shape) == (1,):
                value = value[0]
            if tuple(value.shape) != tuple(current.shape):
                error_msgs.append(
                    f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                    f"the shape in current model is {current.shape}."
                )
                return
        try:
            with no_grad():
                if not assign:
                    current.copy_(value)
                    return
                if isinstance(current, Parameter):
                    if isinstance(value, Parameter):
                        value.requires_grad_(current.requires_grad)
                    else:
                        value = Parameter(value, requires_grad=current.requires_grad)
                setattr(self, name, value)
        except Exception as error:
            sizes = (
                "unknown"
                if lazy or is_lazy(value)
                else f"{current.shape} in the model, {value.shape} in the checkpoint"
            )
            error_msgs.append(
                f'While copying the parameter named "{key}" (shapes: {sizes}), an exception occurred : {error.args}.'
            )

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copies a state_dict into the module's parameters and buffers.

        Args:
            state_dict: as :meth:`state_dict` gives it.
            strict: names that miss and names that are too many are errors.
            assign: make the given tensors the module's own in place of copying their values; whether a parameter
                requires a gradient stays as it is in the module.

        Returns:
            A named tuple of the lists ``missing_keys`` and ``unexpected_keys``.

        Raises:
            TypeError: ``state_dict`` is not a mapping.
            RuntimeError: names (when strict) or shapes differ; the message lists all of them.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing, unexpected, errors = [], [], []
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)  # hooks may change it
        if metadata is not None:
            state_dict._metadata = metadata

        def load(module, part, prefix):
            local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
            if assign:
                local_metadata["assign_to_params_buffers"] = assign
            module._load_from_state_dict(part, prefix, local_metadata, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    below = f"{prefix}{name}."
                    load(child, {k: v for k, v in part.items() if k.startswith(below)}, below)
            keys = _IncompatibleKeys(missing, unexpected)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, keys) is not None:
                    raise AssertionError(
                        "a hook registered with register_load_state_dict_post_hook must return None: to change the "
                        "incompatible keys it changes the two lists in place"
                    )

        load(self, state_dict, "")
        if strict:
            for what, keys in (("Unexpected", unexpected), ("Missing", missing)):
                if keys:
                    names = ", ".join(f'"{k}"' for k in keys)
                    errors.insert(0, f"{what} key(s) in state_dict: {names}. ")
        if errors:
            raise RuntimeError(f"Error(s) in loading state_dict for {self._get_name()}:\n\t" + "\n\t".join(errors))
        return _IncompatibleKeys(missing, unexpected)
