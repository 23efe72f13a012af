"""Long work in short steps, which the event loop does one by one, so that the window stays alive in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import qt

_PAUSE_MS = 1


class Steps:
    """Runs one generator at a time.

    Args:
        on_progress: Gets what the generator yields.
        on_error: Gets the exception that ended it.
        on_end: Called when it came to its end.
    """

    def __init__(
        self,
        on_progress: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        on_end: Callable[[], None],
    ) -> None:
        self._on_progress = on_progress
        self._on_error = on_error
        self._on_end = on_end
        self._generator: Iterator[Any] | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.connect("timeout()", self._step)

    @property
    def running(self) -> bool:
        """Whether there is work."""
        return self._generator is not None

    def start(self, generator: Iterator[Any]) -> None:
        """Begin with a generator; the one before it is stopped."""
        self.stop()
        self._generator = generator
        self._timer.start()

    def stop(self) -> None:
        """Close the generator; it is asked for nothing more."""
        self._timer.stop()
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.close()  # type: ignore[attr-defined] # a generator's own

    def _step(self) -> None:
        generator = self._generator
        if generator is None:
            return
        try:
            progress = next(generator)
        except StopIteration:
            self._generator = None
            self._on_end()
        except Exception as error:
            self._generator = None
            self._on_error(error)
        else:
            self._on_progress(progress)
            if self.running:
                self._timer.start()
