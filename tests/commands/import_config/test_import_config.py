"""flexunet import-config: INI files of the original program → an experiment and a data set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.commands.import_config import architectures, command, converting, ini
from flexunet_exp.commands.import_config.keys import TAKEN
from flexunet_exp.commands.infer import settings as infer_settings
from flexunet_exp.config import compose as composing
from flexunet_exp.errors import InputError

MODEL = '''[model]
model = "TensorFlowFlexUNet"
image_width = 512
image_height = 512
input_normalize = False
num_classes = 3
base_filters = 16
base_kernels = (9,9)
num_layers = 8
dropout_rate = 0.04
learning_rate = 6e-5
clipvalue = 0.4
'''  # fmt: skip
TRAIN = """[train]
epochs = 100
batch_size = 2
images_dir = "../../../dataset/BOLT/train/images/"
masks_dir = "../../../dataset/BOLT/train/masks/"
learning_rate_reducer = True
reducer_factor = 0.4
reducer_patience = 4
"""
MASK = """[mask]
; RGB colors  bent:blue, long scratch:red
rgb_map = {(0,0,0):0, (0,0,255):1,
   (255,0,0):2}
"""
PLAIN = MODEL + TRAIN + MASK
SCREW = PLAIN.replace("rgb_map", "color_map")
EVERY = (
    PLAIN.replace("[train]", 'generator = True\noptimizer = "AdamW"\nshow_summary = True\n[train]')
    + """[augmentor]
hflip = True
vflip = True
rotation = True
angles = [90, 180, 270, 5, 355]
shrinks = [0.8, 0.9]
shears = [0.2]
deformation = True
distortion = True
barrdistortion = True
pincdistortion = True
sharpening = True
brightening = True
[deformation]
alpah = 1300
sigmoids = [8, 9]
[distortion]
gaussian_filter_rsigma = 40
gaussian_filter_sigma = 0.5
distortions = [0.02, 0.03]
[barrdistortion]
radius = 0.3
amount = 0.3
centers = [(0.3, 0.3), (0.7, 0.7)]
[pincdistortion]
radius = 0.3
amount = -0.3
[sharpening]
k = 1.0
[brightening]
alpha = 1.2
beta = 10
[eval]
batch_size = 4
[tiledinfer]
split_size = 512
overlapping = 64
[inspect]
path = "here"
"""
)
SIGMOID = (
    PLAIN.replace("num_classes = 3", 'num_classes = 1\nfinal_activation = "sigmoid"')
    .replace("[train]", 'loss = "binary_crossentropy"\n[train]')
    .split("[mask]")[0]
)
ATTENTION = PLAIN.replace("FlexUNet", "AttentionUNet").replace("num_layers = 8", "num_layers = 5")
TILED = PLAIN.replace("[mask]", "epoch_change_tiled_infer = True\n[mask]")
TILED += "[tiledinfer]\nsplit_size = 512\noverlapping = 64\n"
FILES = {"plain": PLAIN, "screw": SCREW, "every": EVERY, "sigmoid": SIGMOID,
         "attention": ATTENTION, "tiled": TILED}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "data/BOLT/train/images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def imported(compose, folder):
    """Imports a text, and composes the experiment that it became."""

    def run(text: str, *words: str):
        (folder / "bolt.config").write_text(text)
        command.task(compose("import_config", "input=bolt.config", "data_root=data", *words))
        return composing.composed(
            "train", [f"hydra.searchpath=[file://{folder}/conf]", "experiment=bolt"]
        )

    return run


def refused(imported, text: str, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        imported(text, *words)
    assert not Path("conf").exists()
    return str(caught.value)


@pytest.mark.parametrize("faithful", ["true", "false"])
@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_becomes_an_experiment_that_composes(imported, name, faithful):
    cfg = imported(FILES[name], f"faithful={faithful}")

    assert cfg.dataset.path.endswith("data/BOLT")
    assert cfg.trainer.epochs == 100 and cfg.optimizer.learning_rate == 6e-5


@pytest.mark.parametrize("name", architectures.MODELS)
def test_each_network_of_the_original_is_a_model_here(imported, name):
    cfg = imported(PLAIN.replace("TensorFlowFlexUNet", f"TensorFlow{name}"))

    assert cfg.model._target_.startswith("flexunet_exp.models.")


def test_the_keys_of_swin_unet_are_those_of_its_levels(imported, caplog):
    keys = "stack_num_down = 4\nnum_heads = [4, 8, 8, 8]\nwindow_size = [8, 8, 4, 2]\n"
    swin = PLAIN.replace("FlexUNet", "SwinUNet").replace(
        "[train]", f"{keys}shift_window = 2\n[train]"
    )
    cfg = imported(swin.replace("image_width = 512", "image_width = 512\nfilter_num_begin = 64"))

    assert (cfg.model.embed_dim, list(cfg.model.depths)) == (64, [4, 4, 4, 4])
    assert (list(cfg.model.num_heads), list(cfg.model.window_sizes)) == (
        [4, 8, 8, 8],
        [8, 8, 4, 2],
    )


def test_values_names_and_colours_are_those_of_the_file(imported):
    cfg = imported(PLAIN)

    assert (cfg.model.base_kernel, cfg.model.num_layers, cfg.dataset.image_size) == (9, 8, 512)
    assert cfg.model.input_scaling == "none"
    assert [(one.name, [*one.color]) for one in cfg.dataset.classes] == [
        ("background", [0, 0, 0]), ("bent", [0, 0, 255]), ("long_scratch", [255, 0, 0])
    ]  # fmt: skip


def test_the_defaults_of_the_original_fill_what_a_file_lacks(imported):
    cfg = imported(PLAIN.replace("epochs = 100\n", "").replace("clipvalue = 0.4\n", ""))

    assert (cfg.trainer.epochs, cfg.optimizer.clipvalue) == (100, 0.2)


def test_the_patience_of_the_reducer_is_as_written_or_as_it_worked(imported, folder):
    assert imported(PLAIN).callbacks.reduce_lr.patience == 4
    cfg = imported(PLAIN, "faithful=true", "overwrite=true")
    assert cfg.callbacks.reduce_lr.patience == 10
    assert cfg.dataset.layout.off_palette == "nearest"


def test_a_map_under_the_wrong_name_is_meant_and_the_default_is_what_was_trained(imported):
    assert len(imported(SCREW).dataset.classes) == 3
    cfg = imported(SCREW, "faithful=true", "overwrite=true")
    assert [[*one.color] for one in cfg.dataset.classes][1:] == [
        [0, 255, 0], [255, 0, 0], [0, 0, 255]
    ]  # fmt: skip


def test_classes_that_the_original_merged_are_one(imported, caplog):
    names = "scratch:yellow, cut:cyan, dent:gray, dust:dark"
    text = SCREW.replace("long scratch:red", names)
    text = text.replace("(255,0,0):2", "(255,255,0):2, (0,255,255):3, (128,128,128):4, (9,0,9):5")
    text = text.replace("num_classes = 3", "num_classes = 6")

    with caplog.at_level("INFO"):
        data = imported(text, "faithful=true").dataset
    assert "nearest of its default map's four" in caplog.text
    assert {one.name: [*one.color] for one in data.classes} == {
        "background": [0, 0, 0],
        "scratch_or_cut_or_dent": [0, 255, 0],  # a tie with red or blue goes to the first
        "class_2": [255, 0, 0],
        "bent": [0, 0, 255],
    }
    assert [(one.name, one["class"]) for one in data.layout.mask_classes] == [
        ("background", "background"),
        ("bent", "bent"),
        ("scratch", "scratch_or_cut_or_dent"),
        ("cut", "scratch_or_cut_or_dent"),
        ("dent", "scratch_or_cut_or_dent"),
        ("dust", "background"),
    ]
    apart = imported(text, "overwrite=true").dataset
    assert len(apart.classes) == 6
    assert apart.layout.mask_classes is None


def test_a_class_that_no_mask_holds_takes_no_name_of_the_masks(imported):
    lines = [line for line in SCREW.splitlines() if "long scratch:red" not in line]
    text = "\n".join(lines).replace("(255,0,0):2", "(0,0,200):2")

    data = imported(text, "faithful=true").dataset
    names = [one.name for one in data.classes]
    assert names == ["background", "default_1", "default_2", "class_1_or_class_2"]
    assert [one["class"] for one in data.layout.mask_classes] == [names[0], names[3], names[3]]


def test_a_map_counts_by_its_values_or_by_its_order(imported):
    text = PLAIN.replace("(0,0,255):1", "(0,0,255):2").replace("(255,0,0):2", "(255,0,0):1")

    assert [*imported(text).dataset.classes[1].color] == [255, 0, 0]
    cfg = imported(text, "faithful=true", "overwrite=true")
    assert [*cfg.dataset.classes[1].color] == [0, 0, 255]


def test_tiled_pictures_of_epochs_are_a_callback(imported):
    tiled = imported(TILED).callbacks.tiled_epoch_images

    assert (tiled.tile, tiled.overlap) == (512, 0.2)
    assert "tiled_epoch_images" not in imported(PLAIN, "overwrite=true").callbacks


def test_one_sigmoid_class_is_background_against_a_defect(imported):
    assert len(imported(SIGMOID).dataset.classes) == 2


def test_every_variant_of_the_augmentor_has_its_share(imported):
    transforms = imported(EVERY).augmentation.transforms

    names = [one._target_.rpartition(".")[2] for one in transforms]
    assert names.count("Elastic") == names.count("Distortion") == 2
    assert len(set(names)) == 12
    assert sum(one.probability for one in transforms) < 1


def test_the_report_has_a_line_for_each_key(imported, caplog):
    with caplog.at_level("INFO"):
        imported(EVERY + "[train]\nepoch = 7\n")

    entries = ini.read(Path("bolt.config"))
    assert all(f"{one.place} = " in caplog.text for one in entries)
    assert "epoch = 7: not supported: no key of the original. Did you mean 'epochs'?" in caplog.text
    assert "show_summary = True: of no effect there" in caplog.text
    kept = Path("conf/experiment/bolt.yaml").read_text()
    assert all(f"# {one.place} = " in kept for one in entries)


def test_a_part_of_another_data_set_is_not_taken(imported, caplog):
    parts = """[valid]
images_dir = "../../../dataset/BOLT/valid"
[test]
images_dir = "../../../dataset/NUT/test/images/"
"""
    with caplog.at_level("INFO"):
        imported(PLAIN + parts)

    verdicts = re.findall(r"\[(\w+)\] images_dir = .*?: ([a-z ]+): (.+)", caplog.text)
    assert [(part, verdict) for part, verdict, _ in verdicts] == [
        *(("train", "taken"), ("valid", "taken"), ("test", "not supported"))
    ]
    assert verdicts[2][2].startswith("../../../dataset/NUT")


def test_transforms_that_the_original_drew_by_default_are_reported(imported, caplog):
    on = PLAIN.replace("[train]", "generator = True\n[train]") + "[augmentor]\nhflip = False\n"
    with caplog.at_level("INFO"):
        cfg = imported(on + "deformation = True\n")

    absent = re.findall(r"^absent: (.+, there .+?): (?:taken|meant)", caplog.text, re.MULTILINE)
    assert {one for one in absent if one.startswith(("[augmentor]", "[deformation]"))} == {
        *("[augmentor] vflip, there True", "[augmentor] rotation, there True"),
        *("[augmentor] angles, there [90, 180, 270]", "[augmentor] shrinks, there [0.8]"),
        *("[deformation] alpah, there 1300", "[deformation] sigmoids, there [8]"),
    }
    assert "absent: [sharpening]" not in caplog.text
    names = {one._target_.rpartition(".")[2] for one in cfg.augmentation.transforms}
    assert names == {"VerticalFlip", "QuarterTurn", "Shrink", "Elastic"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("num_layers = 8 ; levels", "the comment behind it made it unreadable"),
        ("num_layers = 7\nnum_layers = 8", "it is given twice, and line 10 counts"),
    ],
)
def test_what_made_the_original_lose_a_value_is_taken_and_said(imported, caplog, line, says):
    with caplog.at_level("INFO"):
        cfg = imported(PLAIN.replace("num_layers = 8", line))

    assert cfg.model.num_layers == 8
    assert says in caplog.text


def test_a_map_that_ends_in_a_line_of_its_own_is_read(imported):
    text = PLAIN.replace("\n   (255,0,0):2}", "\n(255,0,0):2\n}")

    assert len(imported(text).dataset.classes) == 3


def test_what_the_original_could_not_read_is_refused_as_faithful(imported):
    text = PLAIN.replace("num_layers = 8", "num_layers = 7\nnum_layers = 8")

    assert "it is given twice" in refused(imported, text, "faithful=true")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("num_layers = 8", "num_layers = eight", "is not a whole number of at least 2"),
        ("num_layers = 8", "num_layers = __import__('os').getpid()", "is code, which is never run"),
        ("num_layers = 8", "num_layers = %(levels)s", "Write the value itself"),
        ("num_layers = 8", "num_layers = 12", "dataset.image_size"),
        ("num_classes = 3", "num_classes = 4", "the colour map has 3 colours"),
        ("(0,0,255):1", "(0,0,0):1", "has (0, 0, 0) twice"),
        ("(0,0,0):0", "(9,9,9):0", "has no (0, 0, 0)"),
        ("FlexUNet", "HexUNet", "is no network of the original"),
        ("[model]", "", "before any [section]"),
        ("model = ", "nodel = ", "[model] model is missing"),
    ],
)
def test_bad_input_is_a_sentence_and_writes_nothing(imported, old, new, says):
    assert says in refused(imported, PLAIN.replace(old, new, 1))


def test_all_problems_are_said_at_once(imported):
    text = PLAIN.replace("num_layers = 8", "num_layers = 0").replace("epochs = 100", "epochs = -1")

    assert refused(imported, text).count("is not a whole number") == 2


def test_paths_of_another_machine_are_asked_for(compose, folder):
    (folder / "bolt.config").write_text(PLAIN)

    with pytest.raises(InputError, match="data_root=FOLDER"):
        command.task(compose("import_config", "input=bolt.config"))


def test_a_file_that_is_there_stays_as_it_is(imported):
    imported(PLAIN)
    before = Path("conf/experiment/bolt.yaml").read_text()

    with pytest.raises(InputError, match="overwrite=true"):
        imported(EVERY)
    assert Path("conf/experiment/bolt.yaml").read_text() == before


def test_a_network_that_conf_lacks_can_be_replaced(imported):
    text = PLAIN.replace("FlexUNet", "HexUNet").replace("num_layers = 8", "num_layers = 5")

    assert imported(text, "network=attention_unet").model._target_.endswith("attention_unet")


class Choices:
    faithful, network, data_root = False, None, None


ORIGINAL = Path(__file__).parent / "original.config"  # every key of the original program
# Keys that no code of the original reads, found in some configurations of its family.
ODD = {
    ("mask", "mask_datatyoe"), ("mask", "color_order"), ("image", "file_format"),
    ("train", "epoch_changeinfer"), ("train", "epoch_changeinfer_dir"),
    ("train", "poch_change_infer"), ("augmentor", "image_width"), ("augmentor", "image_height"),
}  # fmt: skip


def of_original(folder: Path, name: str = "flexunet", faithful: bool = False):
    """What the file with every key becomes, with another network."""
    file = folder / "original.config"
    text = ORIGINAL.read_text().replace("TensorFlowFlexUNet", f"TensorFlow{name}")
    if name == "transunet":  # whose key of this name is a number
        text = text.replace("num_heads = [4, 8, 8, 8]", "num_heads = 12")
    file.write_text(text)
    choices = Choices()
    choices.faithful, choices.data_root = faithful, str(folder / "data")
    return converting.convert(ini.read(file), file, choices)


@pytest.mark.parametrize("faithful", [False, True])
@pytest.mark.parametrize("name", architectures.MODELS)
def test_every_key_of_the_original_has_a_verdict_and_a_reason(folder, name, faithful):
    given = of_original(folder, name, faithful).given

    assert len(given) == len({one.name for one, _ in given}) > 140
    unknown = [one.place for one, result in given if "no key of the original" in result.says]
    silent = [one.place for one, result in given if not (result.says or result.settings)]
    assert not unknown and not silent
    unexplained = [
        one.place for one, result in given if result.verdict != TAKEN and not result.says
    ]
    assert not unexplained


def test_the_file_of_every_key_lacks_none_that_is_known(folder):
    there = {one.name for one in ini.read(ORIGINAL)}

    assert set(converting.rows("flexunet")) - there - {("model", "model")} == ODD


def test_the_keys_of_volumes_are_words_of_infer(folder, compose):
    given = {one.name: result for one, result in of_original(folder).given}
    said = " ".join(result.says for (section, _), result in given.items() if section == "infer3d")

    words = set(re.findall(r"volume\.\w+=[^\s;,]+", said))
    assert words == {
        "volume.window=slice", "volume.turn=90", "volume.axis=2", "volume.axis=0",
        "volume.video=mp4", "volume.fps=10",
    }  # fmt: skip
    for word in words:
        infer_settings.check(compose("infer", "input=a", "output=b", word))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("slice_normalize = True", "slice_normalize = False", "volume.window=[0,255]"),
        ("ROTATE_90_CLOCKWISE", "ROTATE_90_COUNTERCLOCKWISE", "volume.turn=270"),
        ("ROTATE_90_CLOCKWISE", "FLIP", "expected one of cv2.ROTATE_90_CLOCKWISE"),
        ('"cv2.ROTATE_90_CLOCKWISE"', "None", "volume.turn=0"),
        ('"hwd"', '"dhw"', "volume.axis=0"),
        ("mask_overlay = True", "mask_overlay = False", "volume.video=none"),
        ("mask_overlay = True", "mask_overlay = False", "mask_overlay is off"),
        ('".mp4"', '".gif"', "volume.video=gif"),
        ('"overlays"', '"masks"', "volume.video shows the overlays alone"),
    ],
)
def test_each_value_of_a_key_of_volumes_has_its_word(imported, caplog, old, new, says):
    with caplog.at_level("INFO"):
        imported(ORIGINAL.read_text().replace(old, new))

    assert says in caplog.text


@given(st.data())
def test_no_mutation_raises_anything_but_an_input_error(tmp_path_factory, data):
    text = list(data.draw(st.sampled_from([*FILES.values()])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        new = data.draw(
            st.text(max_size=4) | st.sampled_from(["", "[", "{", "%(a)s", "\n", "None"])
        )
        text[at : at + data.draw(st.integers(0, 9))] = list(new)
    file = tmp_path_factory.getbasetemp() / "mutated.config"
    file.write_text("".join(text), errors="surrogatepass")
    (file.parent / "data/BOLT/train").mkdir(parents=True, exist_ok=True)
    choices = Choices()
    choices.faithful = data.draw(st.booleans())
    choices.data_root = str(file.parent / "data")

    try:
        converted = converting.convert(ini.read(file), file, choices)
    except InputError as error:
        assert error.problems
    else:
        yaml.safe_dump(converted.classes)
