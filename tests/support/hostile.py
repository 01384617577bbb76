"""Data sets of defective files, each with a part of the error message expected for it."""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = [
    {"name": "background", "color": [0, 0, 0]},
    {"name": "bent", "color": [0, 0, 255]},
    {"name": "cut", "color": [0, 255, 0]},
]
SHAPE = (40, 48)


def picture(seed: int = 0, shape: tuple[int, ...] = (*SHAPE, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)


def truth(value=255, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros((*shape, *np.shape(value)), np.uint8)
    mask[10:20, 5:30] = value
    return mask


def content(array: np.ndarray, kind: str, mode: str | None = None) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(stream, kind)
    return stream.getvalue()


def png(side: int, pixels: bytes) -> bytes:
    """A PNG whose header says grey, side x side pixels; `pixels` is its compressed content."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def deep_tiff(side: int, bits: int = 16) -> bytes:
    """The directory of an RGB TIFF without any pixels after it."""
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, 200), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 300), (277, 3, 1, 3), (278, 4, 1, side), (279, 4, 1, 64)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    return start.ljust(200, b"\0") + struct.pack("<HHH", bits, bits, bits).ljust(200, b"\0")


def bmp_bomb() -> bytes:
    sizes = struct.pack("<IiiHHIIiiII", 40, 50000, 50000, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + sizes


def npy_header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz(member: bytes, name: str = "mask.npy") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, member)
    return stream.getvalue()


CMYK = content(picture(), "JPEG", "CMYK")
# Content of the file of a picture of the class bent → a part of its error message.
PICTURES: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "the file is empty"),
    "cut.png": (content(picture(), "PNG")[:2000], "cut off half-way"),
    "cut.jpg": (content(picture(), "JPEG")[:900], "cut off half-way"),
    "cut.tif": (content(picture(), "TIFF")[:3000], "cut off half-way"),
    "cut.bmp": (content(picture(), "BMP")[:3000], "cut off half-way"),
    "text.png": (b"no picture at all", "no readable image"),
    "zip.png": (npz(b"x"), "no readable image"),
    "head.png": (b"\x89PNG\r\n\x1a\n", "no readable image"),
    "bomb.png": (png(60000, zlib.compress(b"")), "3600000000 pixels"),
    "bomb.tif": (deep_tiff(40000), "1600000000 pixels"),
    "bomb.bmp": (bmp_bomb(), "2500000000 pixels"),
    "deep.tif": (deep_tiff(8, bits=24), "no readable image"),
    "stub.tif": (b"II*\0\xff\xff\xff\xff", "no readable image"),
    "cmyk.jpg": (CMYK, "CMYK colours, expected 8 or 16-bit grey, RGB"),
    "gif.png": (content(picture(), "GIF"), "a GIF picture, expected PNG, JPEG, BMP or TIFF"),
    "webp.jpg": (content(picture(), "WEBP"), "a WEBP picture, expected PNG"),
    "real.tif": (content(np.ones(SHAPE, np.float32), "TIFF"), "F colours, expected"),
    "long.tif": (content(np.ones(SHAPE, np.int32), "TIFF"), "I colours, expected"),
    "lab.tif": (content(picture(), "TIFF", "LAB"), "LAB colours, expected"),
}
PLACES = {
    "folder.png": "a folder, not a picture",
    "pipe.png": "a pipe, socket or device",
    "socket.png": "a pipe, socket or device",
    "nowhere.png": "No such file",
    "circle.png": "symbolic link",
    "giant.png": "3.0 GiB, expected less than 2 GiB",
}
# Content of the file of a mask of the class cut → a part of its error message.
BINARY_MASKS: dict[str, tuple[bytes, str]] = {
    "ones": (content(truth(1), "PNG"), "found others too: 1 (250 px). Multiply it by 255"),
    "soft": (
        content(truth(128), "PNG"),
        "found others too: 128 (250 px). Was it resized with interpolation",
    ),
    "lossy": (content(truth(), "JPEG"), "a mask saved as JPEG"),
    "bare": (b"", "the file is empty"),
    "small": (content(truth(shape=(30, 36)), "PNG"), "is 36 x 30: both must have one size"),
}
NAMES = {
    "lone.png": "without a mask",
    "orphan_mask.png": "without an image",
    "twice.png": "have one stem",
    "Case.png": "Give both one spelling",
    "e\u0301.png": "é_mask.png? Give both one spelling",
    "case_mask.png": "Case.png",
    "b'\\xff.png'": "is no text in UTF-8",
}
GOOD_NAMES = ("größe 1.png", "鏈 [a,b]=c.png", "عيب.png", "🙂.png", "a'b\"c.png")


def make_raw(folder: Path) -> dict[str, str]:
    """A raw MVTec AD folder with all these files among good ones; file → message."""
    bent, cut = folder / "test/bent", folder / "test/cut"
    truths = folder / "ground_truth"
    for number in range(6):
        for name in ("bent", "cut"):
            save(folder / f"test/{name}/{number:03}.png", picture(number + 10 * (name == "cut")))
            save(truths / f"{name}/{number:03}_mask.png", truth())
    for name in GOOD_NAMES:
        save(folder / "test/good" / name, picture(len(name) + ord(name[0])))
    for name, (data, _) in PICTURES.items():
        (bent / f"{name[:-4]}_{name[-3:]}{name[-4:]}").write_bytes(data)
    _make_places(bent)
    for path in [*bent.iterdir()]:
        save(truths / "bent" / f"{path.stem}_mask.png", truth())
    for stem, (data, _) in BINARY_MASKS.items():
        save(cut / f"{stem}.png", picture(99))
        suffix = "jpg" if stem == "lossy" else "png"
        (truths / "cut" / f"{stem}_mask.{suffix}").write_bytes(data)
    _make_names(cut, truths / "cut")
    expected = {f"{n[:-4]}_{n[-3:]}{n[-4:]}": words for n, (_, words) in PICTURES.items()}
    masks = {f"{stem}_mask.": words for stem, (_, words) in BINARY_MASKS.items()}
    return expected | PLACES | masks | NAMES


def _make_places(folder: Path) -> None:
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    here = os.getcwd()
    os.chdir(folder)  # a socket's address must be short
    try:
        socket.socket(socket.AF_UNIX).bind("socket.png")
    finally:
        os.chdir(here)
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "giant.png").touch()
    os.truncate(folder / "giant.png", 3 * 2**30)


def _make_names(images: Path, masks: Path) -> None:
    save(images / "lone.png", picture())
    save(masks / "orphan_mask.png", truth())
    for name in ("twice.jpg", "twice.png", "Case.png", "e\u0301.png"):
        save(images / name, picture())
    for name in ("twice_mask.png", "case_mask.png", "é_mask.png"):
        save(masks / name, truth())
    Path(os.fsdecode(os.fsencode(images) + b"/\xff.png")).write_bytes(content(picture(), "PNG"))


# Content of the file of a multiclass mask → a part of its error message.
CLASS_MASKS: dict[str, tuple[bytes, str]] = {
    "foreign.png": (
        content(truth((9, 9, 99)), "PNG"),
        "no class colour that are no edge between two class colours: (9, 9, 99)",
    ),
    "white.png": (content(truth(255), "PNG"), "does not say which class it shows"),
    "lossy.jpg": (content(truth((0, 0, 255)), "JPEG"), "a mask saved as JPEG"),
    "index.png": (content(truth(7), "PNG"), "(7, 7, 7) ("),
    "deep.png": (content(truth().astype(np.uint16) * 3, "PNG"), "a 16-bit mask with values up"),
    "text.png": (b"no mask", "no readable image"),
    "objects.npz": (npz(npy_header("(40, 48, 3)", "'|O'")), "holds Python objects"),
    "wide.npz": (
        npz(npy_header("(90000, 90000, 3)")),
        "unpacks to (90000, 90000, 3) numbers, at most 200,000,000 pixels",
    ),
    "deep.npz": (npz(npy_header("(9000, 9000, 99)", "'<f8'")), "unpacks to more than 2 GiB"),
    "short.npz": (npz(npy_header("(40, 48, 3)")), "expected an .npz file with a one-hot"),
    "other.npz": (npz(npy_header("(1,)"), "masks.npy"), "expected an .npz file with a one-hot"),
    "flat.npz": (npz(npy_header("(40, 48)") + b"\0" * 1920), "has shape (40, 48) of uint8"),
    "void.npz": (npz(npy_header("(0, 48, 3)")), "has shape (0, 48, 3) of uint8, expected numbers"),
    "words.npz": (npz(npy_header("(1, 1, 3)", "'|S1'") + b"100"), "of |S1, expected numbers"),
    "text.npz": (b"no archive", "expected an .npz file with a one-hot"),
}


def make_ready(folder: Path) -> dict[str, str]:
    """An image/mask folder with all these files among good pairs; file → message."""
    for number in range(3):
        save(folder / f"train/images/bent_{number}.png", picture(number))
        save(folder / f"train/masks/bent_{number}.png", truth((0, 0, 255)))
    for name, (data, _) in CLASS_MASKS.items():
        stem = name.replace(".", "_")
        save(folder / f"train/images/{stem}.png", picture(7))
        (folder / f"train/masks/{stem}{name[-4:]}").write_bytes(data)
    return {
        f"{name.replace('.', '_')}{name[-4:]}": words for name, (_, words) in CLASS_MASKS.items()
    }
