"""AsyncioContext when no implementation is named: the best that is available when it is created."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ._native import _auto_context


def auto_class(preferred: ModuleType) -> Any:
    """The class, derived from AsyncioContext of the implementation that is preferred at import."""

    class AsyncioContext(preferred.AsyncioContext):  # type: ignore[misc, name-defined]
        __doc__ = preferred.AsyncioContext.__doc__

        def _create_context(self, max_requests: int, **kwargs: Any) -> Any:
            context = _auto_context(max_requests, **kwargs)
            self.CONTEXT_CLASS = type(context)
            self.OPERATION_CLASS = sys.modules[type(context).__module__].Operation
            return context

    AsyncioContext.__module__ = "caio"
    AsyncioContext.__qualname__ = "AsyncioContext"
    return AsyncioContext
