"""Attention layers against the definition, pair by pair, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from flexunet_exp.models.attention import Attention, WindowAttention
from flexunet_exp.models.feature_maps import DepthToSpace, PositionEmbedding, SpaceToDepth


def maps(number: int, height: int, width: int, filters: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.normal(size=(2, height, width, filters)).astype("float32") for _ in range(number)]


def by_pairs(query, key, value, heads: int, score) -> np.ndarray:
    """Attention of (B, H, W, F) in which `score(head, p, q)` is added to that of two pixels."""
    batch, height, width, filters = query.shape
    d = filters // heads
    flat = [part.reshape(batch, -1, heads, d).astype(float) for part in (query, key, value)]
    scores = np.einsum("bqhd,bkhd->bhqk", flat[0], flat[1]) / np.sqrt(d)
    ours = [(row, column) for row in range(height) for column in range(width)]
    theirs = [(row, column) for row in range(key.shape[1]) for column in range(key.shape[2])]
    for head in range(heads):
        scores[:, head] += [[score(head, p, q) for q in theirs] for p in ours]
    mixed = np.einsum("bhqk,bkhd->bqhd", softmax(scores, axis=-1), flat[2])
    return mixed.reshape(query.shape)


def test_global_attention_over_a_smaller_map():
    (query,), (key, value) = maps(1, 4, 6, 8), maps(2, 2, 3, 8)
    expected = by_pairs(query, key, value, 2, lambda *_: 0)
    np.testing.assert_allclose(Attention(2)(query, key, value), expected, atol=1e-5)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(8, 8), (6, 10), (3, 9), (2, 3)])
def test_window_attention_of_any_size(size, shifted):
    """A pixel sees the pixels of its own (moved) window alone, none wrapped around."""
    window, heads = 4, 2
    layer = WindowAttention(heads, window, shifted)
    query, key, value = maps(3, *size, 8)
    layer(query, key, value)
    bias = np.random.default_rng(1).normal(size=layer.bias.shape)
    layer.bias.assign(bias)
    shifts = [window // 2 if shifted and side > window else 0 for side in size]

    def place(pixel):
        """Which window a pixel is in: the moved grid of windows begins at -shift + window."""
        return tuple((index - shift) // window for index, shift in zip(pixel, shifts, strict=True))

    def score(head, p, q):
        if place(p) != place(q):
            return -np.inf
        row, column = (a - b + window - 1 for a, b in zip(p, q, strict=True))
        return bias[row * (2 * window - 1) + column, head]

    expected = by_pairs(query, key, value, heads, score)
    np.testing.assert_allclose(layer(query, key, value), expected, atol=1e-5)


def test_depth_and_space():
    (x,) = maps(1, 4, 6, 8)
    merged = np.asarray(SpaceToDepth()(x))
    squares = [x[:, r::2, c::2] for c in (0, 1) for r in (0, 1)]  # as in Swin's patch merging
    np.testing.assert_array_equal(merged, np.concatenate(squares, axis=-1))
    up = np.asarray(DepthToSpace(2)(x))
    assert up.shape == (2, 8, 12, 2)
    np.testing.assert_array_equal(up[:, 1::2, 0::2], x[..., 4:6])


def test_positions_are_interpolated_for_another_grid():
    layer = PositionEmbedding((2, 3))
    zeros = np.zeros((1, 2, 3, 4), "float32")
    own = np.asarray(layer(zeros))
    np.testing.assert_array_equal(own, layer.embedding)
    larger = np.asarray(layer(np.zeros((1, 4, 6, 4), "float32")))
    assert larger.shape == (1, 4, 6, 4)
    assert own.min() <= larger.min() and larger.max() <= own.max()
