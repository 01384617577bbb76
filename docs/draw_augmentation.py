"""Draws docs/guides/augmentation.png: python docs/draw_augmentation.py

Every transform at the strongest of a few draws from its range in `augmentation=strong`, and six
pictures of the whole list; the defect's mask is tinted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from flexunet_exp.config.building import build
from flexunet_exp.config.compose import composed, plain
from flexunet_exp.data import synthetic
from flexunet_exp.data.augmentation import Pair, Transform, augment
from flexunet_exp.reporting import panels

FIGURE = Path(__file__).parent / "guides" / "augmentation.png"
SIDE, LINE, GAP, COLUMNS, DRAWS = 176, 20, 6, 6, 12
PALETTE = np.array([(0, 0, 0), (255, 60, 60)], np.uint8)


def main() -> None:
    tiles = list(pictures())
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new(
        "RGB", (GAP + COLUMNS * (SIDE + GAP), GAP + rows * (SIDE + LINE + GAP)), "white"
    )
    draw = ImageDraw.Draw(sheet)
    for place, (name, (image, mask)) in enumerate(tiles):
        row, column = divmod(place, COLUMNS)
        x, y = GAP + column * (SIDE + GAP), GAP + row * (SIDE + LINE + GAP)
        draw.text((x, y + 2), name, fill="black", font_size=13)
        overlay = panels.overlay(image, np.minimum(mask, 1), PALETTE)
        sheet.paste(Image.fromarray(overlay), (x, y + LINE))
    sheet.quantize(128).save(FIGURE, optimize=True)


def listed(name: str, **changes: float) -> list[Transform]:
    """The transforms of `augmentation=name`, with some of their arguments changed."""
    nodes = composed("train", [f"augmentation={name}"]).augmentation.transforms
    return [build({**plain(node), **changes}) for node in nodes]


def pictures() -> Iterator[tuple[str, Pair]]:
    image, mask = synthetic.render("grid", "glue", 4, 0, SIDE)
    mask = (mask > 0).astype(np.uint8)
    yield "original", (image, mask)
    for transform in listed("strong", probability=1):
        yield type(transform).__name__, strongest([transform], image, mask)
    for index in range(6):
        yield f"strong, picture {index + 1}", augment(listed("strong"), image, mask, (0, 0, index))


def strongest(transforms: Sequence[Transform], image: np.ndarray, mask: np.ndarray) -> Pair:
    """The result of several draws that changes the image most."""
    drawn = [augment(transforms, image, mask, (0, 0, index)) for index in range(DRAWS)]
    return max(drawn, key=lambda pair: np.abs(pair[0] - image.astype(float)).mean())


if __name__ == "__main__":
    main()
