"""PyTorch in Slicer: whether it is installed, and its installation by the PyTorch extension."""

from __future__ import annotations

import importlib
import importlib.util

from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.2"

_found = False  # stays true once PyTorch was found: the check is made at each refresh of the panel


def torch_installed() -> bool:
    """Whether a PyTorch that fulfils the requirement can be imported; does not import it."""
    global _found
    if not _found:
        importlib.invalidate_caches()  # it may have been installed a moment ago
        _found = importlib.util.find_spec("torch") is not None and _is_new_enough()
    return _found


def _is_new_enough() -> bool:
    try:
        from slicer import packaging  # new in Slicer 5.11, which does not import it by itself
    except ImportError:
        return True
    return bool(packaging.pip_check(f"torch{TORCH_REQUIREMENT}"))


def install_torch() -> bool:
    """Install PyTorch with the PyTorch extension, which asks the user first.

    Returns:
        Whether the user agreed.

    Raises:
        RuntimeError: The extension is missing.
    """
    try:
        import PyTorchUtils
    except ImportError as error:
        raise RuntimeError(
            _("The PyTorch extension is missing: install it in the Extensions Manager and restart Slicer.")
        ) from error
    logic = PyTorchUtils.PyTorchUtilsLogic()
    return logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT) is not None
