"""How many bytes Arrow data takes, whatever its types are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from typing import Protocol

    class _Sized(Protocol):
        @property
        def nbytes(self) -> int: ...

        def get_total_buffer_size(self) -> int: ...


def size_of(data: _Sized) -> int:
    """Bytes of an array, column, batch or table.

    Of views pyarrow 21 cannot tell which part of their buffers a slice uses: the whole buffers count then.
    """
    try:
        return data.nbytes
    except pa.ArrowException:
        return data.get_total_buffer_size()
