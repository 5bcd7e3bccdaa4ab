from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganfingerprint.config import WindowConfig
from ganfingerprint.types import Image, ImageFacts, UInt8Array, Windows
from ganfingerprint.windows import cut_windows, pool

SIZE = 8
PLACEMENTS = ("center", "grid", "texture")


def policy(
    placement: str = "grid", count: int = 4, *, size: int = SIZE, resized_view: bool = False, slack: float = 0
) -> WindowConfig:
    return WindowConfig(size=size, placement=placement, count=count, resized_view=resized_view, slack=slack)


def noise(width: int, height: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def flat(width: int, height: int, level: int = 90) -> UInt8Array:
    return np.full((height, width, 3), level, np.uint8)


def boxes(windows: Windows) -> list[tuple[int, ...]]:
    return [tuple(box) for box in windows.boxes.tolist()]


def mirrored(length: int, place: int) -> int:
    """The pixel that a place outside `length` pixels reflects, by walking to and fro."""
    there_and_back = [*range(length), *range(length - 2, 0, -1)]
    return int(there_and_back[place % len(there_and_back)])


any_picture = st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(0, 9))
any_policy = st.builds(policy, st.sampled_from(PLACEMENTS), st.integers(1, 12))


# ---- what holds for every placement ----------------------------------------------------------------------------


@given(picture=any_picture, policy=any_policy)
@settings(deadline=None, max_examples=150)
def test_published_error_21_every_window_shows_the_pictures_own_pixels_at_its_box(
    picture: tuple[int, int, int], policy: WindowConfig
) -> None:
    width, height, seed = picture
    pixels = noise(width, height, seed)
    windows = cut_windows(pixels, policy)
    for window, (left, top, right, bottom) in zip(windows.pixels, boxes(windows), strict=True):
        assert (right - left, bottom - top) == (SIZE, SIZE)
        rows = [mirrored(height, y) for y in range(top, bottom)]
        columns = [mirrored(width, x) for x in range(left, right)]
        np.testing.assert_array_equal(window, pixels[np.ix_(rows, columns)])


@given(picture=any_picture, policy=any_policy)
@settings(deadline=None, max_examples=150)
def test_windows_stay_inside_and_padding_is_even(picture: tuple[int, int, int], policy: WindowConfig) -> None:
    width, height, _ = picture
    windows = cut_windows(flat(width, height), policy)
    for first, last, length in [(0, 2, width), (1, 3, height)]:
        starts, ends = windows.boxes[:, first], windows.boxes[:, last]
        if length >= SIZE:
            assert starts.min() >= 0
            assert ends.max() <= length
        else:  # the picture lies in the middle, with at most one pixel more after it than before
            assert set(starts.tolist()) == {-((SIZE - length) // 2)}


@given(picture=any_picture, policy=any_policy)
@settings(deadline=None, max_examples=150)
def test_the_count_is_respected_no_window_comes_twice_and_they_are_in_reading_order(
    picture: tuple[int, int, int], policy: WindowConfig
) -> None:
    width, height, seed = picture
    windows = cut_windows(noise(width, height, seed), policy)
    assert 1 <= len(windows.boxes) <= policy.count
    places = [(top, left) for left, top, _, _ in boxes(windows)]
    assert len(set(places)) == len(places)
    assert places == sorted(places)


@given(picture=any_picture, placement=st.sampled_from(PLACEMENTS), resized_view=st.booleans())
@settings(deadline=None, max_examples=60)
def test_the_same_picture_always_gives_the_same_windows(
    picture: tuple[int, int, int], placement: str, resized_view: bool
) -> None:
    pixels = noise(*picture)
    chosen = policy(placement, 3, resized_view=resized_view)
    first, again = cut_windows(pixels, chosen), cut_windows(pixels.copy(), chosen)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.boxes, again.boxes)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_picture_as_large_as_a_window_is_that_window(placement: str) -> None:
    pixels = noise(SIZE, SIZE)
    windows = cut_windows(pixels, policy(placement, 9, resized_view=True))
    assert boxes(windows) == [(0, 0, SIZE, SIZE)]
    np.testing.assert_array_equal(windows.pixels[0], pixels)


def test_windows_do_not_share_memory_with_the_picture() -> None:
    pixels = noise(30, 30)
    windows = cut_windows(pixels, policy("center"))
    windows.pixels[:] = 0
    assert pixels.any()
    assert windows.pixels.flags.c_contiguous


def test_an_image_and_its_pixels_give_the_same_windows() -> None:
    pixels = noise(30, 20)
    facts = ImageFacts(size_bytes=1, format="PNG", mode="RGB", width=30, height=20)
    image = Image(source="a.png", pixels=pixels, sha256="0", facts=facts)
    np.testing.assert_array_equal(cut_windows(image, policy()).pixels, cut_windows(pixels, policy()).pixels)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((20, 20, 3), np.float32),
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
    ],
)
def test_what_is_not_a_picture_is_refused(wrong: UInt8Array) -> None:
    with pytest.raises(ValueError, match="uint8"):
        cut_windows(wrong, policy())


# ---- small pictures --------------------------------------------------------------------------------------------


def test_published_error_21_a_small_picture_is_reflected_and_never_enlarged() -> None:
    row = np.array([10, 20, 30], np.uint8)
    pixels = np.repeat(row[None, :, None], 3, axis=2).repeat(SIZE, axis=0)  # 3 wide
    windows = cut_windows(pixels, policy())
    assert boxes(windows) == [(-2, 0, 6, 8)]
    assert windows.pixels[0, 0, :, 0].tolist() == [30, 20, 10, 20, 30, 20, 10, 20]


def test_a_single_pixel_fills_the_window() -> None:
    windows = cut_windows(flat(1, 1, 77), policy("texture", resized_view=True))
    assert boxes(windows) == [(-3, -3, 5, 5)]
    assert set(np.unique(windows.pixels)) == {77}


# ---- center ----------------------------------------------------------------------------------------------------


@given(width=st.integers(SIZE, 200), height=st.integers(SIZE, 200), placement=st.sampled_from(PLACEMENTS[:2]))
@settings(deadline=None, max_examples=60)
def test_center_and_a_grid_of_one_are_the_middle(width: int, height: int, placement: str) -> None:
    count = 7 if placement == "center" else 1
    ((left, top, right, bottom),) = boxes(cut_windows(flat(width, height), policy(placement, count)))
    assert 0 <= (width - right) - left <= 1
    assert 0 <= (height - bottom) - top <= 1


# ---- grid ------------------------------------------------------------------------------------------------------


@given(width=st.integers(SIZE, 90), height=st.integers(SIZE, 90), count=st.integers(1, 64))
@settings(deadline=None, max_examples=200)
def test_a_grid_covers_the_picture_with_as_few_windows_as_can_whenever_the_count_allows(
    width: int, height: int, count: int
) -> None:
    windows = cut_windows(flat(width, height), policy("grid", count))
    needed = -(-width // SIZE) * -(-height // SIZE)
    seen = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes(windows):
        seen[top:bottom, left:right] = True
    if count >= needed:
        assert len(windows.boxes) == needed
        assert seen.all()
    else:  # then no pixel is spent twice
        assert len(windows.boxes) < needed
        columns = {left for left, *_ in boxes(windows)}
        rows = {top for _, top, *_ in boxes(windows)}
        assert len(columns) <= -(-width // SIZE)
        assert len(rows) <= -(-height // SIZE)


@given(length=st.integers(SIZE, 300), count=st.integers(2, 20))
@settings(deadline=None, max_examples=100)
def test_a_row_of_windows_reaches_from_edge_to_edge_in_even_steps(length: int, count: int) -> None:
    lefts = [left for left, *_ in boxes(cut_windows(flat(length, SIZE), policy("grid", count)))]
    if len(lefts) == 1:
        assert length == SIZE or count == 1
        return
    if len(lefts) * SIZE >= length:
        assert (lefts[0], lefts[-1]) == (0, length - SIZE)
    steps = np.diff(lefts)
    assert steps.max() - steps.min() <= 1


@pytest.mark.parametrize(
    ("width", "slack", "lefts"),
    [(10, 0, [0, 2]), (10, 0.25, [1]), (11, 0.25, [0, 3]), (20, 0.25, [1, 11]), (21, 0.25, [0, 7, 13])],
)
def test_a_margin_within_the_slack_stays_unseen(width: int, slack: float, lefts: list[int]) -> None:
    windows = cut_windows(flat(width, SIZE), policy("grid", 9, slack=slack))
    assert [left for left, *_ in boxes(windows)] == lefts


@pytest.mark.parametrize(("count", "centres"), [(1, [500]), (2, [250, 750]), (4, [125, 375, 625, 875])])
def test_too_few_windows_to_cover_lie_in_the_middle_of_their_shares(count: int, centres: list[int]) -> None:
    """At the edges they would look at the corners of a large picture and never at what it shows."""
    lefts = [left for left, *_ in boxes(cut_windows(flat(1000, SIZE), policy("grid", count)))]
    assert [left + SIZE // 2 for left in lefts] == centres


@pytest.mark.parametrize(
    ("width", "height", "count", "columns", "rows"),
    [
        (80, 60, 4, 2, 2),
        (80, 60, 5, 2, 2),  # five in one line would look at a strip only
        (80, 60, 6, 3, 2),
        (60, 80, 6, 2, 3),
        (80, 60, 12, 4, 3),
        (200, 20, 4, 4, 1),  # a panorama
        (20, 200, 4, 1, 4),
        (80, 80, 3, 1, 3),  # three in a column see more than one in the middle
        (16, 16, 64, 2, 2),  # covered: no more than needed
    ],
)
def test_a_grid_follows_the_shape_of_the_picture(width: int, height: int, count: int, columns: int, rows: int) -> None:
    windows = cut_windows(flat(width, height), policy("grid", count))
    assert len({left for left, *_ in boxes(windows)}) == columns
    assert len({top for _, top, *_ in boxes(windows)}) == rows


# ---- texture ---------------------------------------------------------------------------------------------------


def test_texture_finds_the_textured_parts_in_reading_order() -> None:
    pixels = flat(64, 64)
    pixels[40:48, 8:16] = noise(8, 8)  # on the grid of candidates, whose step is 4
    pixels[8:16, 48:56] = noise(8, 8, 1)
    windows = cut_windows(pixels, policy("texture", 2))
    assert boxes(windows) == [(48, 8, 56, 16), (8, 40, 16, 48)]


def test_a_smooth_slope_is_no_texture_but_fine_grain_is() -> None:
    pixels = np.repeat((np.arange(64) * 4).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    pixels[32:40, 32:40] = 128 + (np.indices((8, 8)).sum(0) % 2 * 6).astype(np.uint8)[..., None]
    ((left, top, _, _),) = boxes(cut_windows(pixels, policy("texture", 1)))
    assert (left, top) == (32, 32)


@given(picture=any_picture, count=st.integers(1, 12))
@settings(deadline=None, max_examples=100)
def test_textured_windows_do_not_cover_more_than_half_of_each_other(picture: tuple[int, int, int], count: int) -> None:
    found = boxes(cut_windows(noise(*picture), policy("texture", count)))
    for i, (left, top, _, _) in enumerate(found):
        for other_left, other_top, _, _ in found[:i]:
            across = max(0, SIZE - abs(left - other_left))
            down = max(0, SIZE - abs(top - other_top))
            assert across * down <= SIZE * SIZE / 2


@given(picture=st.tuples(st.integers(SIZE, 60), st.integers(SIZE, 60), st.integers(0, 9)))
@settings(deadline=None, max_examples=60)
def test_the_most_textured_window_has_the_largest_energy_of_an_independent_measure(
    picture: tuple[int, int, int],
) -> None:
    pixels = noise(*picture)
    luma = pixels.astype(int) @ [77, 150, 29] // 256
    edged = np.pad(luma, 1, mode="edge")
    neighbours = np.lib.stride_tricks.sliding_window_view(edged, (3, 3)).mean(axis=(2, 3))
    energy = np.lib.stride_tricks.sliding_window_view(np.abs(luma - neighbours), (SIZE, SIZE)).mean(axis=(2, 3))
    ((left, top, _, _),) = boxes(cut_windows(pixels, policy("texture", 1)))
    all_candidates = boxes(cut_windows(pixels, policy("texture", 64)))
    best = max(energy[y, x] for x, y, _, _ in all_candidates)
    assert energy[top, left] == pytest.approx(best)


def test_equal_texture_is_taken_from_the_top_left() -> None:
    windows = cut_windows(flat(32, 32), policy("texture", 3))
    assert boxes(windows) == [(0, 0, 8, 8), (4, 0, 12, 8), (8, 0, 16, 8)]


# ---- the whole picture as one more view ------------------------------------------------------------------------


def test_the_resized_view_comes_last_and_shows_the_centred_square() -> None:
    pixels = flat(64, 32)
    pixels[:, 16:48] = 200  # the square of the shorter side
    windows = cut_windows(pixels, policy("grid", 2, resized_view=True))
    assert boxes(windows)[-1] == (16, 0, 48, 32)
    assert len(windows.boxes) == 3
    np.testing.assert_array_equal(windows.pixels[-1], 200)


def test_the_resized_view_averages_areas() -> None:
    pixels = noise(4 * SIZE, 4 * SIZE)
    view = cut_windows(pixels, policy("center", resized_view=True)).pixels[-1]
    blocks = pixels.reshape(SIZE, 4, SIZE, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(view, blocks, atol=1)


@pytest.mark.parametrize(
    ("width", "height", "views"), [(SIZE, SIZE, 0), (100, SIZE, 0), (5, 100, 0), (SIZE + 1, SIZE + 1, 1), (100, 30, 1)]
)
def test_the_resized_view_is_left_out_where_it_would_not_reduce(width: int, height: int, views: int) -> None:
    with_view = cut_windows(noise(width, height), policy("grid", 4, resized_view=True))
    without = cut_windows(noise(width, height), policy("grid", 4))
    assert len(with_view.boxes) - len(without.boxes) == views
    np.testing.assert_array_equal(with_view.pixels[: len(without.boxes)], without.pixels)


# ---- pooling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "expected"),
    [("mean", 1.0), ("median", 0.5), ("max", 5.0)],
)
def test_scores_are_pooled(how: str, expected: float) -> None:
    assert pool(np.array([-2.0, 0.5, 5.0, 0.5], np.float32), how) == pytest.approx(expected)


@given(scores=st.lists(st.floats(-50, 50), min_size=1, max_size=20), how=st.sampled_from(["mean", "median", "max"]))
def test_a_pooled_score_lies_among_the_scores_and_does_not_depend_on_their_order(scores: list[float], how: str) -> None:
    pooled = pool(np.array(scores, np.float64), how)
    assert min(scores) - 1e-9 <= pooled <= max(scores) + 1e-9
    assert pool(np.array(scores[::-1], np.float64), how) == pytest.approx(pooled)


def test_max_takes_the_strongest_evidence_for_fake() -> None:
    one_fake_window = np.array([-3.0, -3.0, 4.0])
    assert pool(one_fake_window, "max") == 4.0


def test_pooling_nothing_or_in_an_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        pool(np.array([], np.float32), "mean")
    with pytest.raises(ValueError, match="sum"):
        pool(np.array([1.0]), "sum")
