"""The choices of segments, model, slice axis and order, which Slicer does not bind to parameters by itself."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..bundles.catalogue import models_folder
from .module_protocol import Parameters
from .panel_protocol import Panel


class InputsSection:
    """The lists of segments, models, axes and orders, and the buttons that add a model or install PyTorch.

    Args:
        panel: Of it are used: ui, parameters, listening, updating, errors_in_panel, refresh and, of its logic,
            segmentModels, models, addModel, torchInstalled and installTorch.
    """

    def __init__(self, panel: Panel) -> None:
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

    def show(self, parameters: Parameters) -> None:
        """Show the parameters as they are."""
        for name, combo in self._combos.items():
            row = combo.findData(getattr(parameters, name))
            combo.setCurrentIndex(max(0, row))
            if row < 0:  # such as a model of another computer: what is shown must be what is used
                setattr(parameters, name, combo.itemData(0))
        self.show_segments(parameters)
        self._show_torch()

    def show_segments(self, parameters: Parameters) -> None:
        """List the segments, each with its model."""
        segments_list = self._ui.segmentsList
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
        """Ask for the folder of a model, check it and copy it to the user's own models."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of a model"))
        if folder:
            with self._panel.errors_in_panel():
                self._panel.logic.addModel(folder)
                with self._panel.updating():
                    self._fill_models()
                self._panel.refresh()

    def _fill_models(self) -> None:
        self._ui.modelCombo.clear()
        self._ui.modelCombo.addItem(_("The one that fits each segment"), "")
        for folder in self._panel.logic.models():
            bundled = folder.parent == models_folder()  # kept by name: scenes are opened on other computers
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
        finally:  # an error is raised again after it was shown
            self._panel.refresh()

    def _on_chosen(self, combo: Any, name: str, index: int) -> None:
        parameters = self._panel.parameters
        if parameters is not None and self._panel.listening and index >= 0:
            setattr(parameters, name, combo.itemData(index))

    def _on_ticked(self, item: Any) -> None:
        parameters = self._panel.parameters
        if parameters is None or not self._panel.listening:
            return
        items = [self._ui.segmentsList.item(row) for row in range(self._listed)]
        off = [item.data(qt.Qt.UserRole) for item in items if item.checkState() == qt.Qt.Unchecked]
        with self._panel.updating():  # a refresh would replace the item that is being clicked
            parameters.deselected = "\n".join(off)
