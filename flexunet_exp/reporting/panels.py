"""Pictures of masks beside their image: overlays, panels, contact sheets.

OpenCV and Pillow draw them faster than matplotlib, which matters after every epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flexunet_exp.data.channels import shown
from flexunet_exp.data.masks import IGNORE, resize_image, resize_mask
from flexunet_exp.system.files import replace_file

IGNORE_COLOUR = (255, 0, 255)
LEAST_COLOUR = 40  # largest less least of red, green and blue: below it, a colour is a grey
GRID = np.array(np.meshgrid(*[[0, 64, 128, 191, 255]] * 3)).reshape(3, -1).T
VIVID = GRID[np.ptp(GRID, axis=1) > 190]  # of which substitutes for greys are chosen
Colour = tuple[int, int, int]
CAPTIONS = ("image", "truth", "prediction")
GAP = 8  # pixels between the parts of a panel
MIN_COLUMN = 120  # wide enough for a caption
LINE = 20  # height of a line of text
SWATCH = 20  # width of a legend's colour field and the space behind it
INK, FAINT, PAPER = (25, 25, 25), (110, 110, 110), (255, 255, 255)


def displayed(palette: np.ndarray) -> np.ndarray:
    """The palette (C, 3) as pictures show it: a colour stands for each defect's grey.

    Grey, black and white cannot be told from a grey picture. A substitute is as far as can be from
    the other classes' colours; the same palette gives the same ones.
    """
    drawn = palette.copy()
    greys = [index for index in range(1, len(palette)) if np.ptp(palette[index]) < LEAST_COLOUR]
    taken = [IGNORE_COLOUR, *np.delete(palette, [0, *greys], axis=0).tolist()]
    for index in greys:
        away = np.linalg.norm(VIVID[:, None] - np.array(taken)[None], axis=2).min(axis=1)
        drawn[index] = VIVID[away.argmax()]
        taken.append(drawn[index].tolist())
    return drawn


def colourise(mask: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """An index mask (H, W) in the colours that classes are displayed in, uint8 (H, W, 3).

    255 (ignore) is magenta.
    """
    lookup = np.zeros((256, 3), np.uint8)
    lookup[: len(palette)] = displayed(palette)
    lookup[IGNORE] = IGNORE_COLOUR
    return lookup[mask]


def overlay(
    image: np.ndarray, mask: np.ndarray, palette: np.ndarray, alpha: float = 0.4
) -> np.ndarray:
    """The image with every region tinted in its class colour and outlined along its inside.

    `alpha` 0..1 is the weight of the tint; background pixels stay as they are. uint8 (H, W, 3).
    """
    image = shown(image)
    drawn, region = image.copy(), mask > 0
    if not region.any():
        return drawn
    colours = colourise(mask[region], palette)
    drawn[region] = cv2.addWeighted(image[region], 1 - alpha, colours, alpha, 0)
    outline = region & _edges(mask, thickness=max(1, round(max(mask.shape) / 200)))
    drawn[outline] = colourise(mask[outline], palette)
    return drawn


def panel(
    image: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    palette: np.ndarray,
    title: str,
    *,
    max_side: int = 384,
    captions: Sequence[str] = CAPTIONS,
    more: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Image, truth and prediction side by side under a title, with a legend: uint8 (h, w, 3) RGB.

    `image` (H, W, N), shown as `channels.shown` says; `truth`, `prediction` (H, W) class indices.
    The longer side is shrunk to `max_side` pixels, or enlarged by the largest whole factor that
    fits; a shrunk defect keeps at least a pixel. The legend names every class present, and whether
    in truth or prediction. `more` are further pictures (H, W, 3) by their captions.
    """
    more = more or {}
    pictures = [tile(image, max_side)]
    pictures += [marked_tile(image, mask, palette, max_side) for mask in (truth, prediction)]
    pictures += [tile(picture, max_side) for picture in more.values()]
    drawn = strip(title, pictures, [*captions, *more])
    entries = _legend_entries(truth, prediction, class_names, palette)
    return np.concatenate([drawn, np.asarray(_legend(entries, drawn.shape[1]))])


def tile(image: np.ndarray, max_side: int) -> np.ndarray:
    """A picture (H, W, N) as large as `panel` shows it."""
    return _fit_image(image, _display_size(image.shape[:2], max_side))


def marked_tile(
    image: np.ndarray, mask: np.ndarray, palette: np.ndarray, max_side: int
) -> np.ndarray:
    """A mask (H, W) over the picture in grey, as large as `panel` shows it."""
    size = _display_size(image.shape[:2], max_side)
    return _marked(_washed_grey(_fit_image(image, size)), fitted_mask(mask, size), palette)


def strip(
    title: str,
    pictures: Sequence[np.ndarray],
    captions: Sequence[str],
    below: Sequence[str] = (),
) -> np.ndarray:
    """Pictures of one size side by side under a title, each captioned: uint8 (h, w, 3) RGB.

    `below` are second captions, under the pictures.
    """
    height, width = pictures[0].shape[:2]
    column = max(width, MIN_COLUMN)
    top = 2 * LINE + GAP
    bottom = top + height + GAP
    shape = (GAP + len(pictures) * (column + GAP), bottom + LINE * bool(below))
    canvas = Image.new("RGB", shape, PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((GAP, 4), _shortened(title, shape[0] - 2 * GAP, 14), INK, _font(14))
    for index, (caption, picture) in enumerate(zip(captions, pictures, strict=True)):
        left = GAP + index * (column + GAP) + (column - width) // 2
        room = column - (column - width) // 2
        draw.text((left, LINE + 5), _shortened(caption, room, 12), FAINT, _font(12))
        canvas.paste(Image.fromarray(picture), (left, top))
        if below:
            draw.text((left, bottom - 4), _shortened(below[index], room, 12), INK, _font(12))
    return np.asarray(canvas)


def class_legend(class_names: Sequence[str], palette: np.ndarray, width: int) -> np.ndarray:
    """Colour and name of every defect class, in rows of `width` pixels: uint8 (h, w, 3) RGB."""
    entries: list[tuple[Colour | None, str]] = [
        (tuple(displayed(palette)[index].tolist()), name)
        for index, name in enumerate(class_names)
        if index > 0
    ]
    return np.asarray(_legend(entries, width))


def annotated(
    image: np.ndarray, mask: np.ndarray, class_names: Sequence[str], palette: np.ndarray
) -> np.ndarray:
    """The overlay at the picture's own size above a legend of its classes: uint8 (h, w, 3) RGB.

    The legend grows with the picture, so that it is readable when a screen shows all of it.
    """
    entries: list[tuple[Colour | None, str]] = [
        (tuple(displayed(palette)[index].tolist()), class_names[index])
        for index in np.unique(mask[mask > 0]).tolist()
    ]
    scale = max(1, min(mask.shape) // 400)
    width = max(mask.shape[1], MIN_COLUMN)
    legend = _legend(entries or [(None, "no defect")], width // scale)
    below = np.asarray(legend.resize((width, legend.height * scale)))
    drawn = overlay(image, mask, palette)
    beside = cv2.copyMakeBorder(
        drawn, 0, 0, 0, width - drawn.shape[1], cv2.BORDER_CONSTANT, value=PAPER
    )
    return np.concatenate([beside, below])


def text_strip(left: str, right: str, width: int, colour: Colour) -> np.ndarray:
    """A line of `width` pixels with a text at either end: uint8 (h, width, 3) RGB."""
    line = Image.new("RGB", (width, LINE), PAPER)
    draw = ImageDraw.Draw(line)
    space = round(_font(12).getlength(right))
    draw.text((0, 1), _shortened(left, width - space - GAP, 12), colour, _font(12))
    draw.text((width - space, 1), right, colour, _font(12))
    return np.asarray(line)


def contact_sheet(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Panels one under the other, narrower ones padded on the right: uint8 (h, w, 3)."""
    width = max(part.shape[1] for part in panels)
    rows = [
        cv2.copyMakeBorder(part, 0, GAP, 0, width - part.shape[1], cv2.BORDER_CONSTANT, value=PAPER)
        for part in panels
    ]
    return np.concatenate(rows)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture (h, w, 3) uint8 RGB as PNG; a reader never sees half a file."""
    _, content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    replace_file(path, content.tobytes())


def _edges(mask: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels (H, W) that have another class within `thickness` pixels, along rows and columns."""
    kernel = cv2.getStructuringElement(cv2.MORPH_CROSS, (2 * thickness + 1,) * 2)
    return cv2.dilate(mask, kernel) != cv2.erode(mask, kernel)


def _display_size(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    factor = max_side / max(size)
    factor = factor if factor < 1 else float(int(factor))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _fit_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    image = shown(image)
    if max(size) > max(image.shape[:2]):
        return cv2.resize(image, size[::-1], interpolation=cv2.INTER_NEAREST)
    return resize_image(image, size)


def fitted_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) in another size; a shrunk defect keeps at least a pixel."""
    shrink = int(np.ceil(max(mask.shape) / max(size)))
    if shrink > 1:
        # Nearest neighbour skips pixels: a thin scratch would disappear.
        mask = _widened(mask, np.ones((shrink, shrink), np.uint8))
    return resize_mask(mask, size)


def _widened(mask: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The mask with wider regions; where two meet, the class of fewer pixels shows, 255 last."""
    classes, counts = np.unique(mask[mask > 0], return_counts=True)
    order = np.lexsort((-counts, classes != IGNORE))
    widened = np.zeros_like(mask)
    for label in classes[order].tolist():
        widened[cv2.dilate((mask == label).view(np.uint8), kernel) > 0] = label
    return widened


def _washed_grey(image: np.ndarray) -> np.ndarray:
    """Middle greys only (60..180), on which dark and bright class colours both stand out."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=120 / 255, beta=60), cv2.COLOR_GRAY2RGB)


def _marked(grey: np.ndarray, mask: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The overlay with a black rim, which makes grey and very small regions visible."""
    drawn = overlay(grey, mask, palette)
    region = (mask > 0).astype(np.uint8)
    drawn[cv2.dilate(region, np.ones((3, 3), np.uint8)) > region] = 0
    return drawn


def _legend_entries(
    truth: np.ndarray, prediction: np.ndarray, class_names: Sequence[str], palette: np.ndarray
) -> list[tuple[Colour | None, str]]:
    """Colour and label of every class in truth or prediction, background left out."""
    true, predicted = (set(np.unique(mask).tolist()) for mask in (truth, prediction))
    seen = {(True, True): "", (True, False): " (truth only)", (False, True): " (prediction only)"}
    entries: list[tuple[Colour | None, str]] = []
    for index in sorted((true | predicted) - {0, IGNORE}):
        label = class_names[index] + seen[index in true, index in predicted]
        entries.append((tuple(displayed(palette)[index].tolist()), label))
    if IGNORE in true:
        entries.append((IGNORE_COLOUR, "ignored"))
    return entries or [(None, "no defect in truth or prediction")]


def _legend_places(entries: list[tuple[Colour | None, str]], width: int) -> list[tuple[int, int]]:
    """Where (x, y) each entry goes, row after row; the last one is in the lowest row."""
    places = []
    x, y = GAP, 0
    for _, label in entries:
        space = SWATCH + round(_font(12).getlength(label)) + 2 * GAP
        if x > GAP and x + space > width:
            x, y = GAP, y + LINE
        places.append((x, y))
        x += space
    return places


def _legend(entries: list[tuple[Colour | None, str]], width: int) -> Image.Image:
    """The entries as swatch and name, in as many rows as `width` pixels make necessary."""
    room = width - 2 * GAP - SWATCH
    entries = [(colour, _shortened(label, room, 12)) for colour, label in entries]
    places = _legend_places(entries, width)
    legend = Image.new("RGB", (width, places[-1][1] + LINE), PAPER)
    draw = ImageDraw.Draw(legend)
    for (x, y), (colour, label) in zip(places, entries, strict=True):
        if colour is not None:
            draw.rectangle((x, y + 2, x + 13, y + 15), fill=colour, outline=INK)
            x += SWATCH
        draw.text((x, y + 1), label, INK, _font(12))
    return legend


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font has no accents and no dashes; matplotlib's has most alphabets.
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / "DejaVuSans.ttf", size)


def _shortened(text: str, width: int, size: int) -> str:
    """The text; where it is wider than `width` pixels, its two ends with an ellipsis between."""
    shown, keep = text, len(text)
    while keep > 2 and _font(size).getlength(shown) > width:
        keep -= 1
        shown = text[: (keep + 1) // 2] + "…" + text[len(text) - keep // 2 :]
    return shown
