#!/usr/bin/env python3
"""Draws the sample images of the demo: a chart of an archipelago that never was, plates of ferns and of shells.

Everything is computed from fixed seeds, so that running it again gives the same pictures:
    python3 -m venv venv && venv/bin/pip install numpy pillow && venv/bin/python make.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).parent
PAPER, INK, SEA = np.array([243, 234, 214]), (62, 48, 38), np.array([203, 219, 217])


def noise(rng, height, width, octaves=7):
    """Clouds: random grids of growing fineness, each smoothly enlarged and half as strong as the last."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        cells = 3 * 2**octave
        grid = Image.fromarray(rng.random((cells, max(1, cells * width // height))).astype("f"))
        total += np.asarray(grid.resize((width, height), Image.BICUBIC)) / 2**octave
    return (total - total.min()) / (total.max() - total.min())


def paper(rng, height, width):
    grain = noise(rng, height, width, 8)[..., None] * 26 - 13 + rng.normal(0, 2.2, (height, width, 1))
    return PAPER + grain


def save(pixels, path, **options):
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.clip(pixels, 0, 255).astype("u1"))
    picture.save(HERE / path, **options)


def chart():
    rng = np.random.default_rng(1877)
    height, width = 2000, 2800
    land = noise(rng, height, width)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    land = land - 0.32 * (x**2 + y**2)
    shore = np.quantile(land, 0.62)
    picture = paper(rng, height, width)
    sea = land < shore
    picture[sea] = picture[sea] * 0.35 + SEA * 0.65
    step = (land.max() - shore) / 9
    bands = np.floor((land - shore) / step)
    edges = (bands != np.roll(bands, 1, 0)) | (bands != np.roll(bands, 1, 1))
    thick = np.asarray(Image.fromarray((edges & ~sea).astype("u1") * 255).filter(ImageFilter.MaxFilter(3))) > 0
    picture[thick] = picture[thick] * 0.45 + np.array(INK) * 0.55
    depths = np.floor((shore - land) / step * 1.6)
    for depth in (1, 2, 3):
        line = sea & (depths == depth) & ((np.roll(depths, 1, 0) != depth) | (np.roll(depths, 1, 1) != depth))
        picture[line] = picture[line] * 0.7 + np.array([80, 110, 120]) * 0.3
    image = Image.fromarray(np.clip(picture, 0, 255).astype("u1"))
    draw = ImageDraw.Draw(image)
    for k in range(1, 14):
        draw.line([(k * 200, 40), (k * 200, height - 40)], fill=(150, 140, 125), width=1)
    for k in range(1, 10):
        draw.line([(40, k * 200), (width - 40, k * 200)], fill=(150, 140, 125), width=1)
    for inset, stroke in ((40, 6), (56, 2)):
        draw.rectangle([inset, inset, width - inset, height - inset], outline=INK, width=stroke)
    rose(draw, 2480, 1680, 190)
    save(image, "chart.jpg", quality=72, optimize=True)


def rose(draw, x, y, radius):
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=INK, width=3)
    for k in range(16):
        length = radius * (1.15 if k % 4 == 0 else 0.85 if k % 2 == 0 else 0.6)
        a, b = np.pi * k / 8, 0.16
        tip = (x + length * np.sin(a), y - length * np.cos(a))
        for side, fill in ((b, INK), (-b, (235, 226, 205))):
            foot = (x + radius * 0.22 * np.sin(a + side * 3), y - radius * 0.22 * np.cos(a + side * 3))
            draw.polygon([(x, y), foot, tip], fill=fill, outline=INK)


def fern(number, lean, curl):
    rng = np.random.default_rng(number)
    height, width = 1500, 1100
    maps = np.array([
        [0, 0, 0, 0.16, 0, 0, 0.01],
        [0.85, lean, -lean, 0.85, 0, 1.6, 0.85],
        [0.2, -0.26, 0.23 + curl, 0.22, 0, 1.6, 0.07],
        [-0.15, 0.28, 0.26 + curl, 0.24, 0, 0.44, 0.07],
    ])
    steps, walkers = 400, 1500
    x, y = np.zeros(walkers), np.zeros(walkers)
    dots = np.zeros((height, width))
    for step in range(steps):
        a, b, c, d, e, f, _ = maps[rng.choice(4, walkers, p=maps[:, 6])].T
        x, y = a * x + b * y + e, c * x + d * y + f
        if step > 20:
            column = np.clip(width * 0.5 + x * 120, 0, width - 1).astype(int)
            row = np.clip(height - 110 - y * 125, 0, height - 1).astype(int)
            np.add.at(dots, (row, column), 1)
    shade = np.minimum(np.sqrt(dots) / 3, 1)[..., None]
    picture = paper(rng, height, width) * (1 - shade) + np.array([58, 88, 52]) * shade
    plate(picture, f"plates/ferns/plate-{number}.jpg")


def shell(number, turns, growth, size):
    rng = np.random.default_rng(100 + number)
    height, width = 1500, 1100
    image = Image.fromarray(np.clip(paper(rng, height, width), 0, 255).astype("u1"))
    draw = ImageDraw.Draw(image)
    for t in np.linspace(0, turns * 2 * np.pi, 900):
        radius = size * np.exp(growth * t)
        x, y = width * 0.42 + radius * np.cos(t), height / 2 + radius * np.sin(t)
        wide = radius * 0.62
        tone = int(214 - 60 * (0.5 + 0.5 * np.sin(t * 9)))
        draw.ellipse([x - wide, y - wide, x + wide, y + wide], fill=(tone, int(tone * 0.88), int(tone * 0.74)), outline=(118, 92, 70))
    plate(np.asarray(image).astype(float), f"plates/shells/shell-{number}.jpg")


def plate(picture, path):
    image = Image.fromarray(np.clip(picture, 0, 255).astype("u1"))
    draw = ImageDraw.Draw(image)
    draw.rectangle([44, 44, image.width - 44, image.height - 44], outline=INK, width=3)
    save(image, path, quality=70, optimize=True)


chart()
for number, (lean, curl) in enumerate([(0.04, 0), (-0.03, 0.02), (0.0, 0.06)], 1):
    fern(number, lean, curl)
for number, (turns, growth, size) in enumerate([(4, 0.158, 5.2), (3, 0.2, 6.5)], 1):
    shell(number, turns, growth, size)
