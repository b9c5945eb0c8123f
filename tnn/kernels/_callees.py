"""How Numba compiles what only compiled code calls: helpers of kernels and the bodies of parallel loops.

Numba links the code of a callee into each caller and optimizes it there again, which is what makes the helpers inline.
Yet it also optimizes each callee, with all that it calls, before it does so, gives it a way in from Python and from C
and machine code of its own, and wraps the body of a parallel loop in three layers that get the same. While a kernel of
this package is compiled, all this is left to the kernel itself: a library becomes machine code when somebody asks for
an address in it. (The digits example with an empty cache: 109 s became 52 s.) A function that is called from Python too
is compiled a second time for that.
"""

import gc
import os
from contextlib import contextmanager

from llvmlite import binding
from llvmlite.binding import Linkage
from numba.core import compiler, dispatcher, errors, event, sigutils
from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu import CPUContext
from numba.core.dispatcher import Dispatcher
from numba.core.environment import lookup_environment
from numba.core.typing import make_concrete_template

KERNELS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_OURS = "".join(f"{len(part)}{part}" for part in __name__.split(".")[:-1])


class Callee:
    """Stands for the way in from Python of a function that has none; Numba knows functions by this object."""

    def __init__(self, *environments):
        self.environments = environments  # Numba keeps weak references to them


class _State:
    """Of the compilation in progress, under Numba's compiler lock."""

    ours = False  # within a kernel of this package
    callee = False  # the function being compiled is wanted by the kernel's code alone


_numba_compile = Dispatcher.compile
_numba_get_call_template = Dispatcher.get_call_template
_numba_get_overload = Dispatcher.get_overload
_numba_customize_flags = dispatcher._FunctionCompiler._customize_flags
_numba_compile_ir = compiler.compile_ir
_numba_get_executable = CPUContext.get_executable
_numba_optimize = CPUCodeLibrary._optimize_final_module
_numba_finalize = CPUCodeLibrary._finalize_final_module
_numba_get_pointer = JITCodeLibrary.get_pointer_to_function


def ahead(function):
    """Marks a jitted helper to be optimized by itself before it is linked into its callers.

    For loops that LLVM vectorises in a function of some pointers and not in the middle of a large one, where it cannot
    tell those pointers apart.
    """
    function._is_optimized_ahead = True
    return function


def is_callee(compiled) -> bool:
    """Whether a compile result is without machine code."""
    return isinstance(compiled.entry_point, Callee)


def wanted_as_callee() -> bool:
    """Whether the function that is being compiled is wanted by a kernel's code alone."""
    return _State.callee


def reduced(compiled) -> tuple:
    """A compiled callee in parts that can be pickled."""
    environments = compiled._find_referenced_environments()
    fndesc = compiled.fndesc
    fndesc.typemap = fndesc.calltypes = None
    code = compiled.library._get_module_for_linking().as_bitcode()
    annotation, init = str(compiled.type_annotation), compiled.reload_init
    return compiled.library.name, code, fndesc, compiled.environment, compiled.signature, annotation, init, environments


def rebuilt(context, name, code, fndesc, environment, signature, annotation, init, environments):
    """The compile result of ``reduced``'s parts."""
    for function in init:
        function()
    library = context.codegen().create_library(name)
    library._final_module = library._shared_module = binding.parse_bitcode(code)
    library._finalized = library._awaits_machine_code = True
    return compiler.CompileResult(
        target_context=context,
        typing_context=context.typing_context,
        library=library,
        environment=environment,
        entry_point=Callee(environment, *environments),
        fndesc=fndesc,
        type_annotation=annotation,
        signature=signature,
        objectmode=False,
        lifted=(),
        typing_error=None,
        call_helper=None,
        metadata=None,
        reload_init=init,
        referenced_envs=environments,
    )


@contextmanager
def _compiling(ours, callee):
    before = _State.ours, _State.callee
    _State.ours, _State.callee = ours, callee
    # The collector looks at the compiler's objects over and over and finds next to nothing: 11 % of the time.
    rests = ours and gc.isenabled()
    if rests:
        gc.disable()
    try:
        yield
    finally:
        _State.ours, _State.callee = before
        if rests:
            gc.enable()


@global_compiler_lock
def _compile(self, sig):
    with _compiling(os.path.abspath(self.py_func.__code__.co_filename).startswith(KERNELS), False):
        return _numba_compile(self, sig)


def _callees_of(dispatcher) -> dict:
    """The function's versions for callers, by argument types; apart from those for Python, so that what is compiled
    into a kernel does not depend on what was called before."""
    if not hasattr(dispatcher, "_callees"):
        dispatcher._callees = {}
    return dispatcher._callees


def _compile_callee(self, args):
    """As Numba's ``Dispatcher.compile``."""
    with _compiling(True, True), self._compiling_counter:
        known = _callees_of(self)
        if args in known:
            return
        made = self._cache.load_overload(args, self.targetctx)
        if made is not None:
            self.targetctx.insert_user_function(made.entry_point, made.fndesc, [made.library])
            known[args] = made
            return
        with event.trigger_event("numba:compile", data={"dispatcher": self, "args": args, "return_type": None}):
            try:
                made = self._compiler.compile(args, None)
            except errors.ForceLiteralArg as error:
                raise error.bind_fold_arguments(lambda a, k: self._compiler.fold_argument_types(a, k)[1]) from None
        made.library._is_optimized = getattr(self, "_is_optimized_ahead", False)
        known[args] = made
        self._cache.save_overload(args, made)


@global_compiler_lock
def _get_call_template(self, args, kws):
    if not _State.ours or not self._can_compile:
        return _numba_get_call_template(self, args, kws)
    pysig, args = self._compiler.fold_argument_types(args, kws)
    _compile_callee(self, tuple(args))
    signatures = [made.signature for made in _callees_of(self).values()]
    name = self.py_func.__name__
    return make_concrete_template(f"CallTemplate({name})", key=name, signatures=signatures), pysig, args, {}


def _get_overload(self, sig):
    made = _State.ours and _callees_of(self).get(tuple(sigutils.normalize_signature(sig)[0]))
    return made.entry_point if made else _numba_get_overload(self, sig)


def _customize_flags(self, flags):
    flags = _numba_customize_flags(self, flags)
    if _State.callee:
        flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    elif _State.ours and self.targetoptions.get("parallel"):
        flags.no_cfunc_wrapper = True  # C calls entries alone
    return flags


@global_compiler_lock
def _compile_ir(typingctx, targetctx, func_ir, args, return_type, flags, *rest, **named):
    if not _State.ours:
        return _numba_compile_ir(typingctx, targetctx, func_ir, args, return_type, flags, *rest, **named)
    flags = flags.copy()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    with _compiling(True, True):
        return _numba_compile_ir(typingctx, targetctx, func_ir, args, return_type, flags, *rest, **named)


def _get_executable(self, library, fndesc, env):
    if _State.callee:
        return Callee(env)
    library._is_optimized = True
    function = _numba_get_executable(self, library, fndesc, env)
    # The environments of callees lie in this library alone.
    for variable in library._final_module.global_variables:
        found = variable.name.startswith("_ZN08NumbaEnv") and lookup_environment(variable.name)
        if found:
            library.codegen.set_env(variable.name, found)
    return function


def _optimize(self):
    if _State.ours and not getattr(self, "_is_optimized", False):
        return
    # Each compiled function carries copies of the helpers that it calls, optimized along with it, as weak symbols. In
    # the process that compiled them the linker takes the helper's first version, which can round differently (another
    # choice of fused multiply-adds); a process that reads the cache has the copy alone. So the copies become local.
    functions = [f for f in self._final_module.functions if not f.is_declaration]
    if any(f.linkage == Linkage.external and _OURS in f.name for f in functions):
        for f in functions:
            if f.linkage in (Linkage.linkonce_odr, Linkage.weak_odr):
                f.linkage = "internal"
    _numba_optimize(self)


def _finalize(self):
    if not _State.ours:
        _numba_finalize(self)
        return
    self._finalize_dynamic_globals()
    self._verify_declare_only_symbols()
    self._finalized = self._awaits_machine_code = True


def _get_pointer(self, name):
    self._ensure_finalized()
    if getattr(self, "_awaits_machine_code", False):
        self._awaits_machine_code = False
        _numba_finalize(self)
    return _numba_get_pointer(self, name)


def install() -> None:
    """Compile the callees of this package's kernels so. Called once, before the first kernel is compiled."""
    Dispatcher.compile = _compile
    Dispatcher.get_call_template = _get_call_template
    Dispatcher.get_overload = _get_overload
    dispatcher._FunctionCompiler._customize_flags = _customize_flags
    compiler.compile_ir = _compile_ir
    CPUContext.get_executable = _get_executable
    CPUCodeLibrary._optimize_final_module = _optimize
    CPUCodeLibrary._finalize_final_module = _finalize
    JITCodeLibrary.get_pointer_to_function = _get_pointer
