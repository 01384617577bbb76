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
    seconds: float = 0.0
    refused: dict[Picture, str] = field(default_factory=dict)

    def sentence(self, output: Path) -> str:
        """The outcome in one line."""
        rate = f" ({self.done / self.seconds:.2f} a second)" if self.done else ""
        before = f"; {self.already} were done before" if self.already else ""
        return (
            f"{self.done} pictures predicted{rate}, {self.with_defect} of them with a defect, "
            f"{len(self.refused)} refused{before}. The results are in {output}"
        )

    def problems(self, output: Path) -> list[str]:
        """Why pictures were refused, and where to find the rest where they are many."""
        reasons, more = list(self.refused.values()), len(self.refused) - LISTED
        rest = [f"{more} more, in {output / 'summary.csv'}"] if more > 0 else []
        return reasons[:LISTED] + rest
