"""One colour scale for predicted Dice: from dark red over yellow to blue, told apart by colour-blind readers too."""

from __future__ import annotations

import numpy as np

# ColorBrewer's RdYlBu (Brewer and Harrower, colorbrewer2.org), at Dice 0, 0.25, 0.5, 0.7, 0.85, 1.
_DICE = (0.0, 0.25, 0.5, 0.7, 0.85, 1.0)
_RED = (0.65, 0.84, 0.99, 1.00, 0.57, 0.27)
_GREEN = (0.00, 0.19, 0.68, 1.00, 0.77, 0.46)
_BLUE = (0.15, 0.15, 0.38, 0.75, 0.87, 0.71)


def colour_of(dice: float) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1] of a predicted Dice."""
    red, green, blue = (float(np.interp(dice, _DICE, channel)) for channel in (_RED, _GREEN, _BLUE))
    return red, green, blue


def hex_colour_of(dice: float) -> str:
    """The colour of a predicted Dice as a web page writes it, for example ``#a50026``."""
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in colour_of(dice))
