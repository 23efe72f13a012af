"""Whether volume and segmentation show what was assessed: browsing a sequence replaces what its proxy nodes hold."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from vtk.util.numpy_support import vtk_to_numpy

from ..errors import InputError
from .result_nodes import nodes_of_class

# Of images, by VTK's modification time, which no two objects of a process share.
_checksums: dict[int, int] = {}
_KEPT = 64  # as many as a sequence may have frames


@dataclass(frozen=True)
class Shown:
    """What volume and segmentation showed at a time.

    Attributes:
        image: CRC-32 of the volume's pixels; ``None`` in scenes of versions that did not keep it.
        frame: Where the segmentation is browsed, the index value of the shown item of its sequence, such as a time;
            empty where it is not.
    """

    image: int | None = None
    frame: str = ""

    def differs(self, other: Shown) -> bool:
        """Whether something else is shown; not where that is not known."""
        if self.image is None or other.image is None:
            return False
        return self.image != other.image or ("" not in (self.frame, other.frame) and self.frame != other.frame)


def shown_by(volume_node: Any, segmentation_node: Any) -> Shown:
    """What volume and segmentation show now."""
    return Shown(_image_checksum(volume_node), _frame(segmentation_node))


def check_shown(volume_node: Any, segmentation_node: Any, assessed: Shown) -> None:
    """Check that the nodes show what was assessed.

    Raises:
        InputError: They show another image, or another frame of a sequence.
    """
    now = shown_by(volume_node, segmentation_node)
    if not now.differs(assessed):
        return
    if now.image != assessed.image:
        raise InputError(
            f"The volume {volume_node.GetName()} shows another image than was assessed: go back to it, or assess again."
        )
    raise InputError(
        f"The segmentation {segmentation_node.GetName()} shows another frame ({now.frame}) than was assessed "
        f"({assessed.frame}): go back to it, or assess again."
    )


def _image_checksum(volume_node: Any) -> int:
    data = volume_node.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None:
        return 0
    key = data.GetMTime()
    if key not in _checksums:
        if len(_checksums) >= _KEPT:
            _checksums.clear()
        _checksums[key] = zlib.crc32(memoryview(vtk_to_numpy(data.GetPointData().GetScalars())))
    return _checksums[key]


def _frame(segmentation_node: Any) -> str:
    scene = segmentation_node.GetScene()
    for browser in nodes_of_class(scene, "vtkMRMLSequenceBrowserNode") if scene is not None else []:
        sequence, master = browser.GetSequenceNode(segmentation_node), browser.GetMasterSequenceNode()
        if sequence is not None and master is not None and browser.GetPlayback(sequence):
            return str(master.GetNthIndexValue(browser.GetSelectedItemNumber()))
    return ""
