"""Taking the slice views to a slice of a volume, in the volume's own planes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import ijk_to_world
from .tables import slice_positions


def go_to_slice(slice_node: Any, volume_node: Any, axis: str, index: int, centre: Any | None = None) -> None:
    """Turn a slice view to the volume's slices along an axis and land on one of them.

    Args:
        slice_node: vtkMRMLSliceNode to move.
        volume_node: The volume.
        axis: Slice axis, ``"i"``, ``"j"`` or ``"k"``.
        index: Slice index.
        centre: World RAS of a point of the slice to centre on; ``None`` takes the slice's middle.
    """
    target = slice_positions(volume_node, axis)[index] if centre is None else np.asarray(centre, float)
    directions = ijk_to_world(volume_node)[:3, :3]
    directions = directions / np.linalg.norm(directions, axis=0)
    along, up = (a for a in range(3) if a != "ijk".index(axis))
    # Radiological habit: the patient's left to the right (axial, coronal), superior or anterior upwards.
    horizontal, vertical = directions[:, along], directions[:, up]
    horizontal = -horizontal if horizontal[np.abs(horizontal).argmax()] > 0 else horizontal
    vertical = -vertical if vertical[np.abs(vertical).argmax()] < 0 else vertical
    normal = np.cross(horizontal, vertical)
    slice_node.SetSliceToRASByNTP(*normal, *horizontal, *target, 0)
    slice_node.JumpSliceByCentering(*target)
