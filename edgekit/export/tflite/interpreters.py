"""LiteRT interpreters of one file, one for each thread."""

from __future__ import annotations

import threading
from typing import Any

from edgekit.export.parallel import ACTIVATIONS_BYTES
from edgekit.support.quiet import quiet_native_output


class Interpreters:
    """Interpreters of the file ``content`` with one thread each. A thread opens its own on first use."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._own = threading.local()
        self._opening = threading.Lock()

    @property
    def memory_bytes(self) -> int:
        """About what one interpreter takes: weights packed for XNNPACK, and all activations."""
        return len(self._content) + ACTIVATIONS_BYTES

    def of_this_thread(self) -> Any:
        """The interpreter of the calling thread."""
        from ai_edge_litert.interpreter import Interpreter

        if not hasattr(self._own, "interpreter"):
            with self._opening, quiet_native_output():
                interpreter: Any = Interpreter(model_content=self._content, num_threads=1)
                interpreter.allocate_tensors()
            self._own.interpreter = interpreter
        return self._own.interpreter
