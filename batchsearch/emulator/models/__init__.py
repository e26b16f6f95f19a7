"""The networks of the embedded instance, as files of the package, and how they are opened.

`README.md` beside this file says what they are, whose they are, and what was changed.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np

from batchsearch.errors import MissingExtraError


def open_session(name: str, *, wanted_for: str) -> Any:
    """An onnxruntime session over one of the package's networks, on one CPU thread a call.

    One thread a call because callers are many: calls run side by side instead. What a call needs for its
    layers it takes from the C library and gives back: a pool of the network's own would keep for ever what as
    many calls as ever ran side by side needed, and spares 2 % of the time.

    Args:
        name: File name beside this module.
        wanted_for: What the caller needs it for; begins the message when onnxruntime is missing.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    # Heavy, and part of an extra: only who opens a network needs it.
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("emulator", wanted_for) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    content = resources.files(__package__).joinpath(name).read_bytes()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def open_arrays(name: str) -> dict[str, Any]:
    """The arrays of one of the package's `.npz` files."""
    with resources.files(__package__).joinpath(name).open("rb") as file, np.load(file) as arrays:
        return {key: arrays[key] for key in arrays.files}
