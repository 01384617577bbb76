"""XML of anyone: read a part at a time, without entities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from flexunet_exp.errors import InputError

HEAD = 4096  # bytes that show what a file is


def head_of(path: Path) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


def parts_of(path: Path, shown: str) -> Iterator[Element]:
    """The elements right below the root, each let go before the next is read.

    Raises InputError where the file is cut off, no XML, or declares entities.
    """
    depth = 0
    root = None
    try:
        for event, element in iterparse(path, events=("start", "end"), forbid_dtd=True):
            root = element if root is None else root
            depth += 1 if event == "start" else -1
            if event == "end" and depth == 1:
                yield element
                root.clear()
    except ParseError as error:
        raise InputError(f"{shown}: no XML, or cut off ({error}). Export it again.") from error
    except DefusedXmlException as error:
        raise InputError(
            f"{shown}: declares a document type or entities, which no annotations need. Export it "
            "again."
        ) from error
    except (OSError, LookupError, ValueError) as error:
        raise InputError(f"{shown}: cannot be read ({error}). Export it again.") from error
