"""Nested tuples, lists and dicts of values, as functions take and return them."""


def flatten(value):
    """``(leaves, build)``: the values that are no tuple, list or dict, in order, and what nests others alike."""
    if isinstance(value, dict):
        keys = list(value)
        leaves, builds = _several([value[k] for k in keys])
        return leaves, lambda new: type(value)(zip(keys, builds(new), strict=True))
    if isinstance(value, tuple | list):
        kind = type(value)
        leaves, builds = _several(value)
        return leaves, (lambda new: kind(*builds(new))) if hasattr(value, "_fields") else (
            lambda new: kind(builds(new))
        )
    return [value], lambda new: new[0]


def _several(values):
    parts = [flatten(v) for v in values]

    def builds(new):
        new, out = list(new), []
        for leaves, build in parts:
            out.append(build(new[: len(leaves)]))
            del new[: len(leaves)]
        return out

    return [leaf for leaves, _ in parts for leaf in leaves], builds


def spread(prefix, value):
    """For each leaf of ``value`` the one of ``prefix`` above it; ``prefix`` nests as ``value`` does, or less deeply.

    Raises:
        ValueError: the two do not nest alike.
    """
    if isinstance(prefix, tuple | list | dict):
        if not isinstance(value, dict if isinstance(prefix, dict) else tuple | list) or len(prefix) != len(value):
            raise ValueError(f"{prefix!r} does not nest as the values that it goes with")
        pairs = ((prefix[k], value[k]) for k in value) if isinstance(prefix, dict) else zip(prefix, value, strict=True)
        return [leaf for p, v in pairs for leaf in spread(p, v)]
    return [prefix] * len(flatten(value)[0])
