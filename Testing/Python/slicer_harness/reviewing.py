"""The panel with the demo heart assessed, and what a reviewer sees and does there."""

import time

import slicer

from SegQualityQCLib.scene.navigation import shown_slice
from SegQualityQCLib.scene.stored_results import read_results

from .application import open_panel, process_events, start


def assessed_demo():
    """The module's widget, opened on the demo heart and assessed, with a reviewer's name."""
    module = start()
    module.SegQualityQCLogic().loadDemo()
    widget = open_panel(module)
    widget.ui.assessButton.click()
    wait(widget.panel)
    widget.ui.reviewerEdit.setText("Dr A")
    return widget


def wait(panel, pause=0.15):
    """Until the panel has noticed what happened and has no work left."""
    begun = time.monotonic()
    process_events(lambda: time.monotonic() - begun > pause and not panel.steps.running)


def segmentation(panel):
    return panel.parameters.segmentation


def results(panel):
    return read_results(segmentation(panel))


def select(panel, index):
    panel.table.select(next(row for row, entry in enumerate(panel.table.rows) if entry[1] == index))
    return panel.table.selected


def red(panel):
    return slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()


def shown(panel):
    return shown_slice(red(panel), panel.parameters.volume, "k")


def text(panel, row, column):
    return panel.ui.resultsTable.item(row, column).text()
