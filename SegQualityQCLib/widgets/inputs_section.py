"""What is assessed: segments, model and slice direction, beside the choices that Slicer binds by itself."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..bundles.catalogue import models_folder


class InputsSection:
    """The lists that Slicer does not bind to parameters.

    Args:
        panel: The module's widget.
    """

    def __init__(self, panel: Any) -> None:
        self._panel = panel
        self._ui = panel.ui
        self._listed = 0
        self._combos = {"model": self._ui.modelCombo, "axis": self._ui.axisCombo, "order": self._ui.orderCombo}
        self._fill_models()
        self._ui.axisCombo.addItem(_("the direction of the largest spacing"), "")
        for axis in "ijk":
            self._ui.axisCombo.addItem(axis, axis)
        self._ui.orderCombo.addItem(_("worst first"), "worst")
        self._ui.orderCombo.addItem(_("suggested"), "suggested")
        for name, combo in self._combos.items():
            combo.connect(
                "currentIndexChanged(int)", lambda index, combo=combo, name=name: self._on_chosen(combo, name, index)
            )
        self._ui.segmentsList.connect("itemChanged(QListWidgetItem*)", self._on_ticked)
        self._ui.addModelButton.connect("clicked(bool)", lambda checked=False: self.add_model())
        self._ui.installButton.connect("clicked(bool)", lambda checked=False: self._install_torch())

    def show(self) -> None:
        """Show the parameters as they are."""
        parameters = self._panel.parameters
        for name, combo in self._combos.items():
            row = combo.findData(getattr(parameters, name))
            combo.setCurrentIndex(max(0, row))
            if row < 0:  # a model of another computer, for example: what is shown is what is used
                setattr(parameters, name, combo.itemData(0))
        self.show_segments()
        self._show_torch()

    def show_segments(self) -> None:
        """List the segments, each with its model."""
        parameters, segments_list = self._panel.parameters, self._ui.segmentsList
        segments_list.clear()
        self._listed = 0
        if parameters.segmentation is None:
            return
        deselected = parameters.deselected.split("\n")
        for key, name, model, fits in self._panel.logic.segmentModels(parameters.segmentation, parameters.model):
            text = _("{segment} ({model})") if fits else _("{segment} ({model}: made for another structure)")
            item = qt.QListWidgetItem(text.format(segment=name, model=model))
            item.setData(qt.Qt.UserRole, key)
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled)
            item.setCheckState(qt.Qt.Unchecked if key in deselected else qt.Qt.Checked)
            segments_list.addItem(item)
            self._listed += 1

    def add_model(self) -> None:
        """Ask for the folder of a model, check it and copy it to the user's own."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of a model"))
        if folder:
            with self._panel.errorsInPanel():
                self._panel.logic.addModel(folder)
                with self._panel.updating():
                    self._fill_models()
                self._panel.refresh()

    def _fill_models(self) -> None:
        self._ui.modelCombo.clear()
        self._ui.modelCombo.addItem(_("The one that fits each segment"), "")
        for folder in self._panel.logic.models():
            bundled = folder.parent == models_folder()  # by its name, since scenes are opened on other computers
            self._ui.modelCombo.addItem(folder.name, folder.name if bundled else str(folder))

    def _show_torch(self) -> None:
        installed = self._panel.logic.torchInstalled()
        self._ui.torchLabel.setVisible(not installed)
        self._ui.installButton.setVisible(not installed)
        if not installed:
            self._ui.torchLabel.setText(
                _(
                    "Assessing needs PyTorch, which is installed by the PyTorch extension: about 1 GB on disk for the "
                    "processor alone, several with CUDA. Saved results can be opened without it."
                )
            )

    def _install_torch(self) -> None:
        try:
            with slicer.util.tryWithErrorDisplay(_("PyTorch could not be installed."), waitCursor=True):
                if not self._panel.logic.installTorch():
                    self._ui.statusLabel.setText(_("PyTorch was not installed: assessing needs it."))
        finally:  # the error goes on to the console after it was shown
            self._panel.refresh()

    def _on_chosen(self, combo: Any, name: str, index: int) -> None:
        if self._panel.listening and index >= 0:
            setattr(self._panel.parameters, name, combo.itemData(index))

    def _on_ticked(self, item: Any) -> None:
        if not self._panel.listening:
            return
        items = [self._ui.segmentsList.item(row) for row in range(self._listed)]
        off = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Unchecked]
        with self._panel.updating():  # or the list would be filled anew while its item is being clicked
            self._panel.parameters.deselected = "\n".join(off)
