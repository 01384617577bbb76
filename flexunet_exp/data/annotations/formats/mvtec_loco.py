"""MVTec LOCO AD: several masks of a picture, coded by a table of each object.

`OBJECT/{train,validation}/good`, `OBJECT/test/KIND/NAME.png` and `OBJECT/ground_truth/KIND/NAME/
NNN.png`, as anomalib 2.7.0 reads them (data/datasets/image/mvtec_loco.py). A mask's value is the
`pixel_value` of a defect in `OBJECT/defects_config.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from flexunet_exp.data.annotations.checked_json import member, want
from flexunet_exp.data.annotations.formats.format import each
from flexunet_exp.data.annotations.formats.mvtec_family import BY_NC_SA, MVTecFamily
from flexunet_exp.data.annotations.formats.public import by_table, class_names, parts_of
from flexunet_exp.data.annotations.place import Place
from flexunet_exp.data.annotations.records import Stored
from flexunet_exp.errors import InputError


class MVTecLoco(MVTecFamily):
    """MVTec LOCO AD, whose classes are the defects of each object's defects_config.json."""

    title = "MVTec LOCO AD"
    things = ("breakfast_box", "juice_bottle", "pushpins", "screw_bag", "splicing_connectors")
    layout = "OBJECT/defects_config.json, with OBJECT/ground_truth/KIND/NAME/000.png"
    terms = (
        f"MVTec LOCO AD: {BY_NC_SA} Cite: Bergmann, Batzner, Fauser, Sattlegger, Steger: Beyond "
        "Dents and Scratches, IJCV 130, 2022, doi 10.1007/s11263-022-01578-9"
    )
    config = "defects_config.json"

    def tables(self, place: Place, things: set[str]) -> dict[str, dict[int, str]]:
        files = {parts_of(place, path)[-2]: path for path in self.said_by(place)}
        if lacking := sorted(things - files.keys()):
            raise InputError(
                f"{place.given}: there is no {lacking[0]}/{self.config}, which says what the "
                "values in the masks are. Unpack the set again"
            )
        name = class_names(things)
        return dict(each(sorted(things), lambda thing: (thing, table_of(place, files[thing],
                    lambda defect: name(thing, defect)))))  # fmt: skip

    def said_by(self, place: Place) -> list[Path]:
        return [path for path in place.of_suffix(".json") if path.name == self.config]

    def rules(self) -> list[str]:
        return []

    def mask(self, path: Path, label: str, table: Mapping[int, str]) -> Stored:
        return by_table(path, table, is_defect=True)


def table_of(place: Place, path: Path, label: Callable[[str], str]) -> dict[int, str]:
    """Value → label of a defects_config.json."""
    shown = place.shown(path)
    table: dict[int, str] = {}
    for index, node in enumerate(want(place.json(path), list, shown)):
        where = f"{shown} [{index}]"
        want(node, dict, where)
        value = member(node, "pixel_value", int, where)
        if not 0 < value < 256 or value in table:
            raise InputError(f"{where}: pixel_value={value}, expected 1 to 255, each once.")
        table[value] = label(member(node, "defect_name", str, where))
    return table
