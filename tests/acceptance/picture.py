"""Draws the public image validator's test picture from the colour table inside its package.

Usage: picture.py OUTPUT.png
"""

import sys

from iiif_validator.validator import ValidationInfo
from PIL import Image

SQUARE = 100


def draw():
    columns = ValidationInfo().colorInfo
    picture = Image.new("RGB", (SQUARE * len(columns), SQUARE * len(columns[0])))
    for x, column in enumerate(columns):
        for y, colour in enumerate(column):
            picture.paste(tuple(colour), (x * SQUARE, y * SQUARE, (x + 1) * SQUARE, (y + 1) * SQUARE))
    return picture


if __name__ == "__main__":
    draw().save(sys.argv[1])
