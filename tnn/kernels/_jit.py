"""JIT flags shared by every kernel."""

JIT = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}

# Below this many elements a kernel runs its loop on the calling thread.
GRAIN = 32768
# Elements in one chunk of a parallel loop over a flat array: fixed, so that results do not depend on the thread count.
CHUNK = 16384
