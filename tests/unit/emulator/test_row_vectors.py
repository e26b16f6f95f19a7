"""Vectors in one byte a dimension, and the vectors themselves in a file: bounds, growth, and what is read."""

import errno
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batchsearch.emulator.search import exact_rows
from batchsearch.emulator.search.coarse_rows import CoarseRows
from batchsearch.emulator.search.exact_rows import BLOCK, ExactRows

SIDE = 16


def units(rows, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((rows, SIDE)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def coarse():
    made = CoarseRows(SIDE)
    yield made
    made.close()


@pytest.fixture
def exact():
    made = ExactRows(SIDE)
    yield made
    made.close()


NUMBERS = st.floats(-1, 1, width=32)


@settings(max_examples=200, deadline=None)
@given(
    vectors=arrays(np.float32, (5, SIDE), elements=NUMBERS), query=arrays(np.float32, SIDE, elements=NUMBERS)
)
def test_no_similarity_is_further_off_than_is_said(vectors, query):
    """Whatever the vectors: the exact similarity lies within the errors that are told."""
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-3))
    query = query / max(float(np.linalg.norm(query)), 1e-3)
    coarse = CoarseRows(SIDE)
    coarse.write(0, vectors)
    [found] = coarse.similarities(5, query[None].astype(np.float32))
    errors = coarse.errors(5, query.astype(np.float32))
    coarse.close()
    true = vectors.astype(np.float64) @ query.astype(np.float32).astype(np.float64)
    assert (np.abs(found - true) <= errors).all()


def test_the_errors_leave_few_to_score(coarse):
    """The bound is a small part of what similarities differ by, or nothing would be gained."""
    vectors = units(2_000)
    coarse.write(0, vectors)
    assert 0 < coarse.errors(2_000, vectors[0]).max() < 0.02


@pytest.mark.parametrize("in_memory", [0, 1, 8])
def test_rows_are_read_as_they_were_written(exact, in_memory, monkeypatch):
    """In memory or in the file, written at once or over, few of a block or most of it: each is its own."""
    monkeypatch.setattr(exact_rows, "IN_MEMORY", in_memory)
    vectors = units(3 * BLOCK + 5)
    for start in range(0, len(vectors), 5_000):
        exact.write(start, vectors[start : start + 5_000])
    vectors[[3, BLOCK, 2 * BLOCK + 1]] = units(3, seed=9)
    for row in (3, BLOCK, 2 * BLOCK + 1):
        exact.write(row, vectors[row : row + 1])
    few = np.array([0, 3, 9, BLOCK - 1, BLOCK, 2 * BLOCK + 1, 3 * BLOCK + 4])
    for wanted in (few, np.arange(0, len(vectors), 2)):
        into = np.empty((len(wanted), SIDE))
        exact.gather(wanted, into)
        assert np.array_equal(into, vectors[wanted])


@pytest.mark.parametrize("in_memory", [0, 8])
def test_kept_rows_move_down_alike(exact, coarse, in_memory, monkeypatch):
    """After rows are left out, both kinds have the same ones, and take more."""
    monkeypatch.setattr(exact_rows, "IN_MEMORY", in_memory)
    vectors = units(3 * BLOCK + 5)
    exact.write(0, vectors)
    coarse.write(0, vectors)
    kept = np.flatnonzero(np.arange(len(vectors)) % 3 > 0)
    exact.keep(kept)
    coarse.keep(kept)
    vectors = np.concatenate([vectors[kept], units(BLOCK, seed=2)])
    exact.write(len(kept), vectors[len(kept) :])
    coarse.write(len(kept), vectors[len(kept) :])
    into = np.empty((len(vectors), SIDE), np.float32)
    exact.gather(np.arange(len(vectors)), into)
    assert np.array_equal(into, vectors)
    query = units(1, seed=4)
    [found] = coarse.similarities(len(vectors), query)
    assert (np.abs(found - vectors @ query[0]) <= coarse.errors(len(vectors), query[0])).all()


def test_without_room_for_a_file_all_stays_in_memory(exact, monkeypatch):
    """A temporary folder that is full costs memory and no item."""

    def full(**_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(exact_rows, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    vectors = units(2 * BLOCK)
    exact.write(0, vectors)
    into = np.empty((2, SIDE))
    exact.gather(np.array([0, BLOCK + 1]), into)
    assert np.array_equal(into, vectors[[0, BLOCK + 1]])
