"""Keyboard shortcuts that exist only while the module is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt


class Shortcuts:
    """Shortcuts of the main window.

    Args:
        actions: What each key sequence does, for example ``{"Ctrl+Shift+N": next}``.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = actions
        self._installed: list[Any] = []

    def install(self, window: Any) -> None:
        """Make them active in a window; nothing where there is none, or where they are active already."""
        if window is None or self._installed:
            return
        for keys, action in self._actions.items():
            shortcut = qt.QShortcut(qt.QKeySequence(keys), window)
            shortcut.connect("activated()", action)
            self._installed.append(shortcut)

    def remove(self) -> None:
        """Take them out of the window."""
        for shortcut in self._installed:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._installed = []
