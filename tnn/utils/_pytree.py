"""Functions over nested tuples, lists and dicts."""

from ..func.tree import flatten

__all__ = ["tree_all", "tree_any", "tree_flatten", "tree_leaves", "tree_map", "tree_map_only", "tree_unflatten"]


class TreeSpec:
    """How leaves nest: made by :func:`tree_flatten`."""

    def __init__(self, build, num_leaves):
        self._build, self.num_leaves = build, num_leaves

    def unflatten(self, leaves):
        """The leaves nested as before."""
        return tree_unflatten(leaves, self)


def tree_flatten(tree):
    """``(leaves, spec)``."""
    leaves, build = flatten(tree)
    return leaves, TreeSpec(build, len(leaves))


def tree_unflatten(leaves, treespec):
    """The tree with other leaves.

    Raises:
        ValueError: there are more or fewer than the tree has.
    """
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(f"expected {treespec.num_leaves} leaves, got {len(leaves)}")
    return treespec._build(leaves)


def tree_leaves(tree):
    """The leaves in order."""
    return flatten(tree)[0]


def tree_map(func, tree, *rests):
    """The tree of ``func(leaf, ...)``, with the leaves of further trees of the same nesting as further arguments."""
    leaves, spec = tree_flatten(tree)
    return spec.unflatten(func(*values) for values in zip(leaves, *map(tree_leaves, rests), strict=True))


def tree_map_only(type_or_types, func, tree):
    """The same for leaves of the given types; others stay."""
    return tree_map(lambda x: func(x) if isinstance(x, type_or_types) else x, tree)


def tree_all(pred, tree):
    """Whether ``pred`` holds for each leaf."""
    return all(map(pred, tree_leaves(tree)))


def tree_any(pred, tree):
    """Whether ``pred`` holds for a leaf."""
    return any(map(pred, tree_leaves(tree)))
