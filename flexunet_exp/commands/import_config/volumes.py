"""The keys of [infer3d]: each becomes words of `flexunet infer`, whose options they are here."""

from __future__ import annotations

from typing import Any

from flexunet_exp.commands.import_config.keys import (
    MEANT,
    NO_EFFECT,
    UNSUPPORTED,
    Key,
    Outcome,
    Project,
    Table,
    no_effect,
    unsupported,
)
from flexunet_exp.config.rules import Rule, count, flag, is_text, one_of

TURNS = {  # as OpenCV names them → degrees, clockwise
    "ROTATE_90_CLOCKWISE": 90,
    "ROTATE_180": 180,
    "ROTATE_90_COUNTERCLOCKWISE": 270,
}
AXES = {"hwd": 2, "dhw": 0}
VIDEOS = (".mp4", ".gif")
TEXT = Rule(is_text, "a text in quotes", "'overlays'")


def typed(word: str, says: str = "") -> Outcome:
    behind = f"; {says}" if says else ""
    return Outcome(MEANT, f"flexunet infer run=RUN … {word}{behind}")


def normalize(value: bool, project: Project) -> Outcome:
    return typed("volume.window=slice" if value else "volume.window=[0,255]")


def rotation(value: Any, project: Project) -> Outcome:
    if value is None:
        return typed("volume.turn=0")
    turn = TURNS.get(str(value).removeprefix("cv2."))
    if turn is None:
        return Outcome(UNSUPPORTED, f"expected one of {', '.join(f'cv2.{one}' for one in TURNS)}")
    return typed(
        f"volume.turn={turn}",
        "masks are turned back. Slices of .nii need no turn: x is to the right here",
    )


def order(value: str, project: Project) -> Outcome:
    return typed(f"volume.axis={AXES[value]}", "of .nii and .mha volume.axis=0, whatever it says")


def overlay(value: bool, project: Project) -> Outcome:
    return video(project.get("infer3d", "video_fileformat"), project)


def video(value: str, project: Project) -> Outcome:
    if not project.get("infer3d", "mask_overlay"):
        return typed("volume.video=none")
    return typed(f"volume.video={value[1:]}", "overlays are a video of each volume, not pictures")


def of_video(value: str, project: Project) -> Outcome:
    if value == "overlays":
        return Outcome(MEANT, "volume.video shows the overlays")
    return Outcome(UNSUPPORTED, "volume.video shows the overlays alone")


def frames(value: int, project: Project) -> Outcome:
    if not project.get("infer3d", "mask_overlay"):
        return Outcome(NO_EFFECT, "mask_overlay is off")
    return typed(f"volume.fps={min(value, 50)}")


VOLUMES: Table = {
    ("infer3d", "images_dir"): unsupported("flexunet infer run=RUN input=FOLDER names it"),
    ("infer3d", "output_dir"): unsupported("flexunet infer run=RUN output=FOLDER names it"),
    ("infer3d", "slice_normalize"): Key(normalize, flag()),
    ("infer3d", "slice_resize"): Key(
        lambda value, project: Outcome(
            MEANT, "the network sees slices at dataset.image_size; a mask has its volume's size"
        )
    ),
    ("infer3d", "slice_rotation"): Key(rotation),
    ("infer3d", "slice_shape_order"): Key(order, one_of(*AXES)),
    ("infer3d", "mask_overlay"): Key(overlay, flag(), True),
    **{
        ("infer3d", f"overlay_{name}"): no_effect("read, and never used")
        for name in ("alpha", "beta", "gamma")
    },
    ("infer3d", "video_dir"): unsupported("a video is in the folder overlays of output=FOLDER"),
    ("infer3d", "video_fps"): Key(frames, count(10)),
    ("infer3d", "video_type"): Key(of_video, TEXT),
    ("infer3d", "video_fileformat"): Key(video, one_of(*VIDEOS), ".mp4"),
}
