"""Weights from an address: ``load_state_dict_from_url``, with downloads kept in a folder."""

import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from .serialization import load

__all__ = ["download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

_folder = None


def get_dir():
    """Where downloads are kept: what :func:`set_dir` said, else ``$TORCH_HOME/hub``, else ``~/.cache/torch/hub``."""
    if _folder is not None:
        return _folder
    home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return os.path.join(os.path.expanduser(home), "hub")


def set_dir(d):
    """Sets where downloads are kept."""
    global _folder
    _folder = os.path.expanduser(d)


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Writes what lies at ``url`` to the file ``dst``, whole or not at all.

    Raises:
        RuntimeError: its SHA-256 does not begin with ``hash_prefix``.
    """
    dst = os.path.expanduser(dst)
    digest = hashlib.sha256()
    handle, part = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(dst)), suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file, urlopen(Request(url, headers={"User-Agent": "tnn"})) as source:
            while block := source.read(1 << 20):
                file.write(block)
                digest.update(block)
        if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}")')
        os.replace(part, dst)
    finally:
        Path(part).unlink(missing_ok=True)


def load_state_dict_from_url(
    url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=True
):  # fmt: skip
    """Loads the file at ``url``, which is downloaded where it is not in ``model_dir`` yet.

    Args:
        model_dir: the folder, by default ``checkpoints`` in :func:`get_dir`.
        check_hash: whether the file's name ends in the beginning of its SHA-256: ``name-0123abcd.pth``.
        file_name: its name in the folder; by default that in the address.
    """
    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(urlparse(url).path) if file_name is None else file_name
    file = os.path.join(folder, name)
    if not os.path.exists(file):
        if progress:
            sys.stderr.write(f'Downloading: "{url}" to {file}\n')
        found = re.search(r"-([a-f0-9]*)\.", name) if check_hash else None
        download_url_to_file(url, file, found.group(1) if found else None, progress=progress)
    return load(file, map_location=map_location, weights_only=weights_only)
