"""A word of the command line is taken apart, quoted for Hydra, and given back as it was typed."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet_exp.config.overrides import Word, shell, short, words_in

AWKWARD = st.text("ab'\\ ${}\"[]=,é", min_size=1)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("trainer.epochs=3", Word("trainer.epochs", "3")),
        ("+model.depth=3", Word("model.depth", "3", "+")),
        ("++a=b=c", Word("a", "b=c", "++")),
        ("~callbacks.curves", Word("callbacks.curves", None, "~")),
        ("loss=", Word("loss", "")),
        ("dataset/layout=mvtec", Word("dataset/layout", "mvtec")),
    ],
)
def test_a_word_is_a_key_its_sign_and_its_value(text, word):
    assert Word.parse(text) == word and str(word) == text


@given(AWKWARD)
def test_what_is_quoted_for_hydra_is_given_back_as_it_was_typed(path):
    typed = Word("dataset.path", path)
    quoted = typed.quoted()
    assert quoted == typed or quoted.as_typed() == typed


@given(AWKWARD)
def test_a_line_of_words_is_taken_apart_where_its_quotes_say(path):
    typed = Word("dataset.path", path)
    if typed.quoted() != typed:
        line = f"loss=dice {typed.quoted()} trainer.seed=1"
        assert words_in(line) == [Word("loss", "dice"), typed, Word("trainer.seed", "1")]


def test_a_line_cut_off_within_quotes_is_taken_apart_at_its_blanks():
    cut_off = f"loss=dice data_root='/my {'data ' * 1000}"
    assert words_in(cut_off)[:2] == [Word("loss", "dice"), Word("data_root", "'/my")]


def test_other_options_keep_hydras_quotes():
    word = Word.parse("+callbacks.note.text='a b'")
    assert word.quoted() == word and word.as_typed() == word


def test_a_folders_interpolation_is_hydras_and_a_paths_is_none():
    assert str(Word.parse("hydra.run.dir=a ${now:%Y}").quoted()) == "hydra.run.dir='a ${now:%Y}'"
    assert str(Word.parse("output=a${b}").quoted("infer")) == r"output='a\${b}'"


def test_a_word_that_two_commands_have_is_quoted_for_the_one_that_takes_a_path():
    word = Word.parse("images=16")
    assert str(word.quoted("import")) == "images='16'"  # a folder
    for command in ("compare", "export"):  # a number of pictures
        assert word.quoted(command) == word


def test_a_command_is_quoted_for_the_shell():
    line = shell(["flexunet", "train", Word("dataset.path", "/my data")])
    assert shlex.split(line) == ["flexunet", "train", "dataset.path=/my data"]


@pytest.mark.parametrize(
    ("typed", "quoted"),
    [
        ("model.encoder_weights=null,imagenet", "model.encoder_weights=null,'imagenet'"),
        ("data_root=/a b,/c", "data_root='/a b','/c'"),
        ("dataset.path='/a,b',/c", "dataset.path='/a,b','/c'"),
        ("init_from=choice(a,b)", "init_from=choice(a,b)"),
        ("init_from=[a,b]", "init_from=[a,b]"),
        ("init_from=a,", "init_from='a,'"),
        ("tracking.run_name=a,b", "tracking.run_name='a,b'"),
    ],
)
def test_each_value_of_an_axis_has_its_own_quotes(typed, quoted):
    word = Word.parse(typed)
    assert str(word.quoted(is_sweep=True)) == quoted
    assert Word.parse(quoted).as_typed() == word


def test_a_folder_with_a_comma_is_no_axis(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert str(Word.parse("data_root=a,b").quoted(is_sweep=True)) == "data_root='a,b'"


def test_a_cells_name_has_no_quotes():
    assert short("model.encoder_weights", "'imagenet'") == "ew=imagenet"
