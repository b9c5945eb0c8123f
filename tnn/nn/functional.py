"""The functions of ``torch.nn.functional``: re-exports of ``tnn.ops``, one import block for each family in alphabetical
order, and no bodies."""

# ruff: noqa: F401
