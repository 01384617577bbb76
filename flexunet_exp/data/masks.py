"""Reads images and masks from disk into the shapes that every other part relies on.

An image is uint8 (H, W, 3) RGB; a mask is uint8 (H, W), a class index a pixel, 0 background and
255 ignore. Masks are never interpolated.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from flexunet_exp.data import image_files
from flexunet_exp.errors import InputError
from flexunet_exp.system.files import replace_file

IGNORE = 255
OFF_PALETTE_RULES = ("present", "nearest")

# InputError names a broken file; OpenCV's own lines do not.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: str | Path) -> np.ndarray:
    """Read any 8 or 16-bit grey, RGB, RGBA or palette picture as uint8 (H, W, 3) RGB, upright.

    16 bits keep their high byte, alpha is dropped, the EXIF orientation is applied. Raises
    InputError naming a file that is missing, empty, truncated, no image or refused (`image_files`).
    """
    return decode_image(image_files.read_bytes(path), path)


def decode_image(data: bytes, path: str | Path) -> np.ndarray:
    """Decode bytes already read, as `read_image` does; `path` only names them in an error."""
    return decode_with_header(data, path)[0]


def decode_with_header(data: bytes, path: str | Path) -> tuple[np.ndarray, image_files.Header]:
    """What `decode_image` returns, and the facts of the file's header."""
    header = image_files.header(data, path)
    return _decode(data, path, header, "RGB"), header


def read_binary_mask(path: str | Path, class_index: int) -> np.ndarray:
    """Read a black-and-white defect mask as uint8 (H, W): 255 becomes `class_index`, 0 stays 0.

    Raises InputError where the file has any other value: it was interpolated, or is not a mask.
    """
    data = image_files.read_bytes(path)
    header = image_files.header(data, path)
    _refuse_lossy(header, path)
    grey = _decode(data, path, header, "L")
    white = grey == 255
    if np.count_nonzero(white) != np.count_nonzero(grey):
        odd = [int(value) for value in np.unique(grey) if value not in (0, 255)]
        mend = (
            "multiply it by 255."
            if odd == [1]
            else "was it resized with interpolation, or saved as JPEG? Export it again without."
        )
        raise InputError(
            f"{path}: a defect mask holds the values 0 and 255 only, found {_some(odd)} too: {mend}"
        )
    return white.astype(np.uint8) * np.uint8(class_index)


def read_any_shape(path: str | Path, class_index: int) -> np.ndarray:
    """Read a mask of 0 and one other value, whichever it is: that becomes `class_index`.

    MVTec LOCO AD writes the kind of the defect as the value. Raises InputError for more values.
    """
    data = image_files.read_bytes(path)
    header = image_files.header(data, path)
    _refuse_lossy(header, path)
    grey = _decode(data, path, header, "L")
    values = [int(value) for value in np.unique(grey) if value]
    if len(values) > 1:
        raise InputError(
            f"{path}: one mask of several holds 0 and one other value, found {_some(values)}: was "
            "it resized with interpolation? Export it again without."
        )
    return (grey > 0).astype(np.uint8) * np.uint8(class_index)


def read_colour_mask(
    path: str | Path, palette: np.ndarray, rule: str = "present", limit: float = 0.02
) -> tuple[np.ndarray, int]:
    """Read a multiclass mask as uint8 (H, W), and the number of its pixels of no class colour.

    `palette` is uint8 (C, 3), background first. Decided in this order:
    1. Every pixel's colour (a palette or grey file: the colour it shows) is a class colour.
    2. Else a palette or grey file whose stored values are all class indices (or 255, ignore) is an
       index mask. A black-and-white file of 0 and 255 alone is refused: it names no class.
    3. Else pixels of no class colour, such as interpolated edges, take the nearest class colour
       (squared RGB distance, ties to the lower class). With `rule="present"` only the background
       and the colours exactly present in this file are candidates; with `"nearest"`, the rule of
       the original program, all class colours are.
    An `.npz` holds a one-hot (H, W, C) array under `mask`; a pixel of no class, or of several, is
    background and counts as one of no class colour. Raises InputError where the share of such
    pixels (0..1) exceeds `limit`, or the file cannot be read.
    """
    check_rule(rule)
    palette = np.asarray(palette, dtype=np.uint8)
    if Path(path).suffix.lower() == ".npz":
        return _read_one_hot(path, len(palette), limit)
    colours, stored = _read_colours(path)
    mask = _exact_classes(colours, palette)
    unmatched = mask == IGNORE
    if not unmatched.any():
        return mask, 0
    if stored is not None and _is_index_mask(stored, len(palette)):
        _refuse_binary(stored, colours, path)
        return stored, 0
    _snap(mask, colours, palette, rule, limit, path)
    return mask, int(np.count_nonzero(unmatched))


def odd_colours(path: str | Path, palette: np.ndarray) -> dict[tuple[int, ...], int]:
    """Colours of a mask file that are not in the palette (C, 3) → number of their pixels.

    Empty for an .npz. Raises InputError where the file cannot be read.
    """
    if Path(path).suffix.lower() == ".npz":
        return {}
    colours, _ = _read_colours(path)
    unmatched = _exact_classes(colours, np.asarray(palette, np.uint8)) == IGNORE
    packed, counts = np.unique(_pack(colours[unmatched]), return_counts=True)
    return dict(zip(map(tuple, _unpack(packed).tolist()), counts.tolist(), strict=True))


def check_rule(rule: str) -> None:
    """Raise InputError unless `rule` is a rule for pixels of no class colour."""
    if rule not in OFF_PALETTE_RULES:
        raise InputError(
            f"dataset.layout.off_palette={rule}: expected {' or '.join(OFF_PALETTE_RULES)}."
        )


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to `size` (height, width): area average when shrinking, bilinear when enlarging."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=interpolation)


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an index mask to `size` (height, width) by nearest neighbour, which adds no class."""
    height, width = size
    if mask.shape == (height, width):
        return mask
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def write_palette_mask(path: str | Path, mask: np.ndarray, palette: np.ndarray) -> None:
    """Write an index mask as palette PNG: pixel value = class, shown in the class's colour.

    `palette` is uint8 (C, 3); 255 (ignore) shows as magenta. A reader never sees half a file.
    `read_colour_mask` gives the same mask back.
    """
    replace_file(Path(path), encode_palette_mask(mask, palette))


def encode_palette_mask(mask: np.ndarray, palette: np.ndarray) -> bytes:
    """The file that `write_palette_mask` writes."""
    picture = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
    picture.putpalette(_full_palette(np.asarray(palette, dtype=np.uint8)).tobytes())
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def _decode(data: bytes, path: str | Path, header: image_files.Header, mode: str) -> np.ndarray:
    """The pixels as RGB (H, W, 3) or, for the mode L, as grey (H, W)."""
    if header.kind == "TIFF" and header.alpha:  # OpenCV would multiply the colours by alpha
        return np.array(_upright(data, path).convert(mode))
    flags = {"RGB": cv2.IMREAD_COLOR_RGB, "L": cv2.IMREAD_GRAYSCALE}[mode]
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise image_files.not_an_image(path)
    return pixels


def _refuse_lossy(header: image_files.Header, path: str | Path) -> None:
    if header.kind in ("JPEG", "MPO"):
        raise InputError(
            f"{path}: a mask saved as JPEG, which blends the classes at every edge: export it "
            "again as PNG."
        )


def _read_colours(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Shown colours (H, W, 3), and the stored values (H, W) of a palette or grey file."""
    picture = _open_upright(path)
    if picture.mode.startswith("I"):
        picture = _narrow(picture, path)
    colours = np.array(picture.convert("RGB"))
    if picture.mode == "P":
        return colours, np.array(picture)
    return colours, np.array(picture.convert("L")) if picture.mode in ("1", "L", "LA") else None


def _open_upright(path: str | Path) -> Image.Image:
    data = image_files.read_bytes(path)
    _refuse_lossy(image_files.header(data, path), path)
    return _upright(data, path)


def _upright(data: bytes, path: str | Path) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
        return ImageOps.exif_transpose(image_files.by_exif_alone(picture))
    except Exception as error:  # Pillow's readers raise errors of many kinds
        raise image_files.not_an_image(path) from error


def _narrow(picture: Image.Image, path: str | Path) -> Image.Image:
    values = np.asarray(picture)
    if values.max() > IGNORE or values.min() < 0:
        raise InputError(
            f"{path}: a 16-bit mask with values up to {values.max()}, expected class indices "
            "(255 = ignore): save it with 8 bits."
        )
    return Image.fromarray(values.astype(np.uint8))


def _exact_classes(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Class of every colour (..., 3) by exact comparison; IGNORE for other colours."""
    packed = _pack(colours)
    classes = np.full(packed.shape, IGNORE, dtype=np.uint8)
    for index, colour in enumerate(_pack(palette)):
        classes[packed == colour] = index
    return classes


def _pack(colours: np.ndarray) -> np.ndarray:
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _unpack(packed: np.ndarray) -> np.ndarray:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1)


def _is_index_mask(stored: np.ndarray, num_classes: int) -> bool:
    return bool(np.all((stored < num_classes) | (stored == IGNORE)))


def _refuse_binary(stored: np.ndarray, colours: np.ndarray, path: str | Path) -> None:
    """Raise InputError for a file of black 0 and white 255, which looks like an index mask."""
    values, shown = np.unique(stored), np.unique(_pack(colours))
    if set(values.tolist()) <= {0, IGNORE} and set(shown.tolist()) <= {0x000000, 0xFFFFFF}:
        raise InputError(
            f"{path}: a black-and-white mask does not say which class it shows, expected class "
            "colours or class indices. For raw MVTec AD folders: dataset/layout=mvtec."
        )


def _snap(
    mask: np.ndarray,
    colours: np.ndarray,
    palette: np.ndarray,
    rule: str,
    limit: float,
    path: str | Path,
) -> None:
    """Give the unmatched pixels of `mask` a class by `rule`, in place, if they are few enough."""
    unmatched = mask == IGNORE
    packed, inverse, counts = np.unique(
        _pack(colours[unmatched]), return_inverse=True, return_counts=True
    )
    odd = _unpack(packed)
    most_frequent = [tuple(odd[i].tolist()) for i in np.argsort(-counts, kind="stable")]
    _check_share(int(counts.sum()), mask.size, limit, path, most_frequent)
    candidates = np.arange(len(palette))
    if rule == "present":
        candidates = np.union1d([0], mask[~unmatched])
    mask[unmatched] = _nearest(odd, palette, candidates)[inverse]


def _nearest(colours: np.ndarray, palette: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Class index (K,) uint8 of the candidate colour nearest to each of `colours` (K, 3)."""
    differences = colours[:, None] - palette[candidates].astype(np.int32)
    return candidates[np.argmin((differences**2).sum(axis=-1), axis=1)].astype(np.uint8)


def _read_one_hot(path: str | Path, num_classes: int, limit: float) -> tuple[np.ndarray, int]:
    one_hot = image_files.array_of(image_files.read_bytes(path), path, "mask")
    is_whole = one_hot.ndim == 3 and one_hot.shape[-1] == num_classes and one_hot.size
    if not is_whole or one_hot.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: the mask has shape {one_hot.shape} of {one_hot.dtype}, expected numbers "
            f"(H, W, {num_classes}): one channel a class of dataset.classes, background first."
        )
    unclassed = (one_hot == one_hot.max(axis=-1, keepdims=True)).sum(axis=-1) != 1
    count = int(np.count_nonzero(unclassed))
    _check_share(count, unclassed.size, limit, path, ["no class, or several alike"])
    mask = one_hot.argmax(axis=-1).astype(np.uint8)
    mask[unclassed] = 0
    return mask, count


def _check_share(unmatched: int, total: int, limit: float, path: str | Path, odd: list) -> None:
    if unmatched > limit * total:
        raise InputError(
            f"{path}: {unmatched / total:.2%} of the pixels ({unmatched:,} of {total:,}) have no "
            f"class colour, at most {limit:.2%} may; found {_some(odd)}. Add the class to "
            "dataset.classes, or raise dataset.layout.off_palette_limit."
        )


def _some(values: list, most: int = 3) -> str:
    shown = ", ".join(str(value) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def _full_palette(palette: np.ndarray) -> np.ndarray:
    full = np.zeros((256, 3), dtype=np.uint8)
    full[: len(palette)] = palette
    used = set(_pack(palette).tolist())
    magentas = ((255, green, 255) for green in range(256))
    full[IGNORE] = next(c for c in magentas if int(_pack(np.array(c))) not in used)
    return full
