"""How a module is walked: its parameters, buffers and submodules, by iteration and by dotted name."""


class TreeMethods:
    """The part of Module that finds parameters, buffers and submodules."""

    def get_submodule(self, target):
        """The submodule at a dotted path.

        Args:
            target: such as ``"encoder.layers.0"``; the empty string is the module itself.

        Raises:
            AttributeError: a part of the path does not exist or is not a Module.
        """
        module = self
        if target == "":
            return module
        for name in target.split("."):
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, TreeMethods):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target, module, strict=False):
        """Puts a module at a dotted path.

        Args:
            target: the path; its parent must exist.
            module: the new submodule.
            strict: only replace a submodule that is there, never add one.

        Raises:
            ValueError: ``target`` is empty or ``module`` is not a Module.
            AttributeError: the parent does not exist, what stands at ``target`` is not a Module, or nothing stands
                there and ``strict`` is set.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, TreeMethods):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if hasattr(parent, name):
            if not isinstance(getattr(parent, name), TreeMethods):
                raise AttributeError(f"`{name}` is not an nn.Module")
        elif strict:
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        setattr(parent, name, module)

    def get_parameter(self, target):
        """The parameter at a dotted path.

        Args:
            target: names of submodules and of the parameter, joined by dots.

        Raises:
            AttributeError: the path does not exist or does not lead to a parameter.
        """
        from ..parameter import Parameter

        value, name = self._get_leaf(target)
        if not isinstance(value, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return value

    def get_buffer(self, target):
        """The buffer at a dotted path.

        Args:
            target: names of submodules and of the buffer, joined by dots.

        Raises:
            AttributeError: the path does not exist or does not lead to a buffer.
        """
        value, name = self._get_leaf(target)
        module = self.get_submodule(target.rpartition(".")[0])
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return value

    def _get_leaf(self, target):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return getattr(module, name), name

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        """``(name, member)`` of this module and, when asked, of those below, each member once."""
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in get_members_fn(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def parameters(self, recurse=True):
        """The parameters, each once.

        Args:
            recurse: those of submodules too.
        """
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """``(dotted name, parameter)`` pairs.

        Args:
            prefix: put before every name.
            recurse: those of submodules too.
            remove_duplicate: a parameter that is shared comes once only.
        """
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """The buffers, each once.

        Args:
            recurse: those of submodules too.
        """
        for _, buf in self.named_buffers(recurse=recurse):
            yield buf

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """``(dotted name, buffer)`` pairs.

        Args:
            prefix: put before every name.
            recurse: those of submodules too.
            remove_duplicate: a buffer that is shared comes once only.
        """
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self):
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """``(name, module)`` pairs of the direct submodules, each module once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self, remove_duplicate=True):
        """This module and all below it.

        Args:
            remove_duplicate: a module that is shared comes once only.
        """
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """``(dotted name, module)`` pairs of this module and all below it.

        Args:
            memo: a set of modules that were yielded already.
            prefix: put before every name.
            remove_duplicate: a module that is shared comes once only.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def apply(self, fn):
        """Calls ``fn`` on every submodule and last on the module itself, as one does to initialise a model.

        Args:
            fn: a function of a module; what it returns is not used.

        Returns:
            the module.
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self
