"""A basis keeps what varies in traces, in few numbers of 8 bits, and takes nothing that is no trace of its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganfingerprint.attribution import Basis, Gallery, fit_basis, read_gallery, save_gallery, traces_of
from ganfingerprint.attribution import basis as basis_module
from ganfingerprint.errors import DataError, GalleryError
from ganfingerprint.types import Float64Array

E, K = 6, 4  # numbers of an embedding and of a summary


def drawn(count: int = 80, seed: int = 0) -> Float64Array:
    """Traces whose roots and summaries vary in all directions, some more than others."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(size=(E + K, E + K)) * np.geomspace(0.6, 0.1, E + K)[:, None]
    values = rng.normal(size=(count, E + K)) @ mixing
    return np.concatenate([np.maximum(8 + values[:, :E], 0) ** 2, values[:, E:]], axis=1)


def plain(**changes: Any) -> Basis:
    """One that can be computed by hand: two numbers of an embedding and one of a summary, on two axes."""
    parts: dict[str, Any] = {
        "embedding": 2, "mean": np.array([1.0, 2.0, -1.0]), "scale": np.array([1.0, 1.0, 10.0]),
        "axes": np.array([[100, 0], [0, 0], [50, -1]], np.int8), "steps": np.array([0.01, 1.0]),
        "grain": np.array([0.5, 2.0]),
    }  # fmt: skip
    return Basis(**{**parts, **changes})


def test_features_by_hand() -> None:
    found = plain().features([[9.0, 123.0, -0.5], [0.0, 0.0, -1.0]])
    assert found == pytest.approx(np.array([[(3 - 1) * 1.0 + 5 * 0.5, -5.0], [-1.0, 0.0]]))
    assert plain().size == 2


def test_codes_by_hand() -> None:
    basis = plain()
    assert basis.codes([[9.0, 0.0, -0.5]]).tolist() == [[9, -2]]  # 4.5 / .5; -5 / 2, to the even one
    assert basis.rounded(np.array([[1e9, -1e9]])).tolist() == [[127, -127]]
    assert basis.opened(np.array([[9, -3]], np.int8)).tolist() == [[4.5, -6.0]]


def test_features_are_linear_in_roots_of_embeddings_and_in_summaries(rng: np.random.Generator) -> None:
    basis = fit_basis(drawn(), E)
    basis = replace(basis, grain=np.full(basis.size, 1e3))  # so that none is out of reach
    one, other = rng.uniform(0, 5, (2, 3, E + K))  # roots and summaries
    between = 0.3 * one + 0.7 * other

    def features(values: Float64Array) -> Float64Array:
        return basis.features(np.concatenate([values[:, :E] ** 2, values[:, E:]], axis=1))

    assert features(between) == pytest.approx(0.3 * features(one) + 0.7 * features(other))
    below = np.concatenate([-one[:, :E], one[:, E:]], axis=1)
    nought = np.concatenate([0 * one[:, :E], one[:, E:]], axis=1)
    assert np.array_equal(basis.features(below), basis.features(nought))  # an embedding is never below 0


def test_codes_stand_for_features_within_half_a_grain() -> None:
    basis, traces = fit_basis(drawn(), E), drawn(500, seed=1)
    codes = basis.codes(traces)
    assert codes.dtype == np.int8
    assert np.abs(codes.astype(int)).max() < 127
    apart = np.abs(basis.opened(codes) - basis.features(traces))
    assert (apart <= basis.grain / 2 * (1 + 1e-9)).all()
    assert apart.max() > 0
    deviations = basis.features(traces).std(axis=0)
    assert (basis.grain < deviations / 15).all()  # what is lost is little of what varies


def test_features_reach_no_further_than_their_codes() -> None:
    basis, far = fit_basis(drawn(), E), 100 * drawn(5, seed=1)
    assert np.abs(basis.codes(far).astype(int)).max() == 127
    assert (np.abs(basis.opened(basis.codes(far)) - basis.features(far)) <= basis.grain / 2 * (1 + 1e-9)).all()


def test_fitted_axes_keep_all_that_varies() -> None:
    rng = np.random.default_rng(3)
    few = rng.normal(size=(200, 3)) @ rng.normal(size=(3, E + K))  # ten numbers that vary in three directions
    traces = np.concatenate([(9 + few[:, :E]) ** 2, few[:, E:]], axis=1)
    basis = fit_basis(traces, E)
    assert basis.size == 3
    features = basis.features(traces)
    assert features.mean(axis=0) == pytest.approx([0] * 3, abs=1e-6)
    scaled = (np.concatenate([9 + few[:, :E], few[:, E:]], axis=1) - basis.mean) * basis.scale
    assert features.var(axis=0).sum() == pytest.approx(scaled.var(axis=0).sum(), rel=0.01)
    of_two = [np.linalg.norm(values[:, None] - values, axis=2) for values in (features, scaled)]
    assert of_two[0] == pytest.approx(of_two[1], rel=0.02, abs=0.02)  # as far from one another as they were


def test_axes_are_the_principal_ones_and_the_first_are_kept() -> None:
    whole, four = fit_basis(drawn(), E), fit_basis(drawn(), E, size=4)
    features = whole.features(drawn())
    variances = features.var(axis=0)
    assert variances.tolist() == sorted(variances, reverse=True)
    related = np.corrcoef(features.T)
    assert np.abs(related[:6, :6] - np.eye(6)).max() < 0.02  # 8 bits of an axis turn it a little
    assert (whole.size, four.size) == (E + K, 4)
    assert np.array_equal(four.axes, whole.axes[:, :4])
    assert np.array_equal(four.features(drawn()), whole.features(drawn())[:, :4])


@pytest.mark.parametrize(("count", "size"), [(2, 1), (4, 3), (80, E + K)])
def test_few_pictures_make_few_axes(count: int, size: int) -> None:
    assert fit_basis(drawn(count), E).size == size


def test_numbers_that_do_not_vary_are_ignored() -> None:
    traces = drawn()
    traces[:, [2, E + 1]] = 0.3  # of which 80 have a mean that is not quite .3
    basis = fit_basis(traces, E)
    assert basis.size == E + K - 2
    other = drawn(10, seed=5)
    changed = other.copy()
    changed[:, [2, E + 1]] = 500.0
    assert np.array_equal(basis.features(changed), basis.features(other))


def test_each_number_of_a_summary_counts_alike_and_those_of_an_embedding_as_they_vary() -> None:
    traces = drawn()
    scaled = traces * np.concatenate([np.ones(E), [1e-3, 1e3, 5.0, 1.0]])
    assert fit_basis(scaled, E).features(scaled) == pytest.approx(fit_basis(traces, E).features(traces), abs=1e-3)
    assert len(set(fit_basis(traces, E).scale[:E])) == 1
    whole = traces * np.concatenate([np.full(E, 100.0), np.ones(K)])  # a network that answers louder
    assert fit_basis(whole, E).features(whole) == pytest.approx(fit_basis(traces, E).features(traces), abs=1e-3)


def test_an_embedding_has_its_share_however_many_numbers_either_has() -> None:
    traces = drawn(300)
    parts = {"embedding": traces.copy(), "summary": traces.copy()}
    parts["embedding"][:, E:] = 0.3
    parts["summary"][:, :E] = 0.3
    shares = {name: fit_basis(part, E).features(part).var(axis=0).sum() for name, part in parts.items()}
    assert shares["embedding"] == pytest.approx(0.7**2, rel=0.02)
    assert shares["summary"] == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("embedding", [0, E, E + K])
def test_a_trace_may_be_an_embedding_alone_or_a_summary_alone(embedding: int) -> None:
    traces = drawn()[:, :E] if embedding == E else drawn()
    basis = fit_basis(traces, embedding)
    assert basis.embedding == embedding
    assert basis.features(traces).var(axis=0).min() > 0
    assert basis.features(traces[:0]).shape == (0, basis.size)


def test_the_sign_of_an_axis_does_not_hang_on_the_order_of_pictures(rng: np.random.Generator) -> None:
    traces = drawn()
    basis, other = fit_basis(traces, E), fit_basis(traces[rng.permutation(len(traces))], E)
    assert np.abs(other.axes.astype(int) - basis.axes).max() <= 1  # by rounding alone
    assert (basis.axes.sum(axis=0, dtype=int) > -E - K).all()
    again = fit_basis(traces, E)
    assert np.array_equal(again.axes, basis.axes)
    assert np.array_equal(again.steps, basis.steps)


@pytest.mark.parametrize("traces", [drawn()[:0], drawn()[:1], np.repeat(drawn()[:1], 9, axis=0)])
def test_pictures_that_do_not_differ_are_refused(traces: Float64Array) -> None:
    with pytest.raises(DataError, match="pictures that differ"):
        fit_basis(traces, E)


@pytest.mark.parametrize(
    ("shape", "given", "remedy"),
    [
        ((2, 4), 4, "gallery fit"),
        ((0, 9), 9, "gallery fit"),
        ((2, 2), 2, "export"),
        ((0, 0), 0, "export"),
        ((), 0, "export"),
        ((3,), 3, ""),
        ((1, 3, 3), 3, ""),
    ],
)
def test_traces_of_another_length_are_refused_with_both_lengths_and_the_remedy_of_that_direction(
    shape: tuple[int, ...], given: int, remedy: str
) -> None:
    said = f"takes 3 numbers of a picture, and the engine gave {given}: .*`ganfingerprint {remedy}"
    with pytest.raises(GalleryError, match=said):
        plain().features(np.zeros(shape))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 20])
def test_many_traces_are_reduced_in_blocks(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    evened = basis_module._evened

    def counted(values: Float64Array, embedding: int) -> Float64Array:
        assert values.dtype == np.float64
        sizes.append(len(values))
        return evened(values, embedding)

    traces = drawn(20, seed=1)[:count].astype(np.float32)
    basis = fit_basis(drawn(), E)
    whole = basis.features(traces)
    monkeypatch.setattr(basis_module, "_BLOCK", 7)
    monkeypatch.setattr(basis_module, "_evened", counted)
    assert basis.features(traces) == pytest.approx(whole, abs=1e-9)  # a product may be rounded otherwise
    assert sizes == [7] * (count // 7) + [count % 7] * (count % 7 > 0)


def test_the_numbers_of_a_fitted_basis_are_those_that_a_file_keeps() -> None:
    basis = fit_basis(drawn(), E)
    for name in ("mean", "scale", "steps", "grain"):
        part = getattr(basis, name)
        assert part.dtype == np.float64, name
        assert np.array_equal(part.astype(np.float32), part), name


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    for at in range(3):
        with pytest.raises(GalleryError, match="not finite"):
            plain().codes(np.where(np.arange(3) == at, value, 1.0)[None])


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.zeros(2)},
        {"scale": np.ones(4)},
        {"steps": np.ones(3)},
        {"grain": np.ones(1)},
        {"axes": np.ones((3, 2), np.float32)},
        {"axes": np.ones((3, 3), np.int8)},
        {"axes": np.ones(3, np.int8)},
        {"axes": np.ones((3, 0), np.int8), "steps": np.ones(0), "grain": np.ones(0)},
        {"embedding": 4},
        {"embedding": -1},
        {"mean": np.array([1.0, np.nan, 0.0])},
        {"scale": np.array([1.0, np.inf, 0.0])},
        {"steps": np.array([1.0, np.nan])},
        {"grain": np.array([1.0, np.inf])},
        {"grain": np.array([1.0, 0.0])},
    ],
)
def test_a_basis_that_cannot_be_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"basis|grain|unpack"):
        plain(**changes)


def test_a_basis_is_read_as_it_was_saved(gallery: Gallery, world: Any, tmp_path: Path) -> None:
    save_gallery(gallery, tmp_path / "a")
    once = read_gallery(tmp_path / "a")
    assert once.basis.embedding == gallery.basis.embedding
    traces = world.traces("stranger", 50)
    assert np.array_equal(once.basis.features(traces), gallery.basis.features(traces))
    for name in ("mean", "scale", "axes", "steps", "grain"):
        assert np.array_equal(getattr(once.basis, name), getattr(gallery.basis, name)), name


def test_a_trace_is_an_embedding_and_then_a_summary(world: Any) -> None:
    pictures = world.predictions("a", 4)
    traces = traces_of(pictures)
    assert traces.dtype == np.float32
    assert np.array_equal(traces, world.traces("a", 4))
    alone = [replace(item, summary=None) for item in pictures]
    assert np.array_equal(traces_of(alone), traces[:, : len(pictures[0].embedding)])
    assert traces_of([]).shape == (0, 0)
    with pytest.raises(GalleryError, match="differently much"):
        traces_of([*pictures, *alone])
