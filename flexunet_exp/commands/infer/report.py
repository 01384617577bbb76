"""What a call of `infer` did, as figures and sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flexunet_exp.data.find_pictures import Picture

LISTED = 20  # refused pictures in the last message; summary.csv has them all


@dataclass
class Report:
    """What a call of `infer` did; `refused` gives the reason for each refused picture."""

    already: int = 0  # done by an earlier call
    done: int = 0
    with_defect: int = 0
    slices: int = 0  # of the volumes among those done
    volumes: int = 0  # among those done
    seconds: float = 0.0
    refused: dict[Picture, str] = field(default_factory=dict)

    def sentence(self, output: Path) -> str:
        """The outcome in one line."""
        number = self.done - self.volumes + self.slices
        rate = f" ({number / self.seconds:.2f} a second)" if self.done else ""
        before = f"; {self.already} were done before" if self.already else ""
        return (
            f"{self.what()} predicted{rate}, {self.with_defect} of them with a defect, "
            f"{len(self.refused)} refused{before}. The results are in {output}"
        )

    def add_volume(self, depth: int, with_defect: bool) -> None:
        """Counts a volume of `depth` slices, which is done."""
        self.done += 1
        self.volumes += 1
        self.slices += depth
        self.with_defect += with_defect

    def what(self) -> str:
        """`3 pictures and 2 volumes of 80 slices`."""
        slices = f" of {self.slices} slices" if self.volumes else ""
        return counted(self.done - self.volumes, self.volumes) + slices

    def problems(self, output: Path) -> list[str]:
        """Why pictures were refused, and where to find the rest where they are many."""
        reasons, more = list(self.refused.values()), len(self.refused) - LISTED
        rest = [f"{more} more, in {output / 'summary.csv'}"] if more > 0 else []
        return reasons[:LISTED] + rest


def counted(pictures: int, volumes: int) -> str:
    """`3 pictures and 2 volumes`; what there is none of is left out."""
    parts = [f"{pictures} pictures"] * bool(pictures or not volumes)
    parts += [f"{volumes} volume{'s' * (volumes > 1)}"] * bool(volumes)
    return " and ".join(parts)
