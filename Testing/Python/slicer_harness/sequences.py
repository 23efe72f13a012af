"""Sequences, as Slicer's Sequences module browses them: the same nodes show one frame after the other."""

import numpy as np
import slicer


def sequence_of(nodes, frames):
    """A browser of a sequence for each node; a frame is what a function makes of the nodes, the first as they are.

    The browser shows the first frame; ``SetSelectedItemNumber`` shows another one.
    """
    scene = nodes[0].GetScene()
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    sequences = [scene.AddNewNodeByClass("vtkMRMLSequenceNode") for _ in nodes]
    for number, change in enumerate([lambda: None, *frames]):
        change()
        for node, sequence in zip(nodes, sequences, strict=True):
            sequence.SetDataNodeAtValue(node, str(number))
    for node, sequence in zip(nodes, sequences, strict=True):
        browser.AddSynchronizedSequenceNode(sequence)
        browser.AddProxyNode(node, sequence, False)
        browser.SetOverwriteProxyName(sequence, False)
        browser.SetSaveChanges(sequence, True)
    browser.SetSelectedItemNumber(0)
    return browser


def move_image(volume):
    """Another frame of a volume: the same image, moved by some pixels."""
    pixels = slicer.util.arrayFromVolume(volume)
    pixels[:] = np.roll(pixels, 8, axis=1)
    slicer.util.arrayFromVolumeModified(volume)
