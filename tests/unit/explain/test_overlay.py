"""What people are shown: the blend, the sheet, the words of the verdict, the names of the files."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from ganfingerprint.explain.heat_map import HeatMap
from ganfingerprint.explain.overlay import (
    WORDING,
    blend,
    result_name,
    save_result,
    visualize_gradcam,
    visualize_result,
)
from ganfingerprint.explain.sheet import display_size, fit_text, printable, reduce_pixels, text_width
from ganfingerprint.types import Image, ImageFacts, Label, Prediction, UInt8Array, Verdict


def drawn_image(width: int, height: int, source: str = "folder/drawn.png") -> Image:
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=2).astype(np.uint8)
    facts = ImageFacts(size_bytes=9, format="PNG", mode="RGB", width=width, height=height)
    return Image(source=source, pixels=pixels, sha256="0" * 64, facts=facts)


def answer(image: Image, verdict: Verdict = Verdict.FAKE, prob: float = 0.97, log10_lr: float = 1.5) -> Prediction:
    return Prediction(
        source=image.source,
        sha256=image.sha256,
        format="PNG",
        size_bytes=9,
        width=image.width,
        height=image.height,
        logit=1.0,
        prob_fake=prob,
        log10_lr=log10_lr,
        verdict=verdict,
        boxes=np.array([[0, 0, 96, 96], [40, 0, 136, 96]], np.int32),
        window_prob_fake=np.array([prob, prob]),
        embedding=np.zeros(512, np.float32),
        detector_id="drawn-detector",
        latency_ms=1.0,
    )


def heat_map(image: Image, *, covered: float = 1.0, peak: float = 2.0, label: Label = Label.FAKE) -> HeatMap:
    """Heat 1 in the upper left quarter; the left share `covered` of the picture was looked at."""
    values = np.zeros((image.height, image.width), np.float32)
    values[: image.height // 2, : image.width // 2] = 1.0 if peak else 0.0
    coverage = np.zeros(values.shape, np.bool_)
    coverage[:, : round(image.width * covered)] = True
    return HeatMap(values=values * coverage, coverage=coverage, label=label, peak=peak, prediction=answer(image))


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def rendered(figure: Figure) -> UInt8Array:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    return np.asarray(np.rint(imread(buffer)[..., :3] * 255), np.uint8)


def test_blend_leaves_the_pixels_without_evidence_or_outside_the_mask_as_they_are() -> None:
    image = drawn_image(40, 30)
    heat = np.zeros((30, 40), np.float32)
    heat[:10] = 1.0
    mask = np.ones((30, 40), np.bool_)
    mask[:, :20] = False
    out = blend(image.pixels, heat, mask)
    changed = (out != image.pixels).any(axis=2)
    assert out.dtype == np.uint8
    assert changed[:10, 20:].all()
    assert not changed[10:].any()
    assert not changed[:, :20].any()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_blend_mixes_the_hottest_colour_at_the_given_opacity(alpha: float) -> None:
    grey = np.full((2, 2, 3), 100, np.uint8)
    out = blend(grey, np.ones((2, 2), np.float32), np.ones((2, 2), np.bool_), alpha)
    brightest = np.array([252, 255, 164])  # the last colour of inferno
    assert np.abs(out[0, 0] - (100 + alpha * (brightest - 100))).max() <= 1


def test_hotter_is_lighter_so_that_the_order_shows_without_colour_vision() -> None:
    heat = np.linspace(0.3, 1, 50, dtype=np.float32)[None]
    out = blend(np.full((1, 50, 3), 128, np.uint8), heat, np.ones((1, 50), np.bool_), 1.0)
    luminance = out[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) >= -0.5).all()
    assert luminance[-1] - luminance[0] > 100


def test_blend_refuses_heat_of_another_size() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        blend(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.float32), np.ones((4, 4), np.bool_))


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.FAKE, "looks generated"),
        (Verdict.UNCERTAIN, "cannot tell"),
        (Verdict.REAL, "no trace of generation found"),
    ],
)
def test_the_verdict_is_said_in_words_a_sign_and_a_colour_of_its_own(verdict: Verdict, said: str) -> None:
    image = drawn_image(200, 120)
    figure = visualize_result(image, answer(image, verdict))
    assert said in words(figure)
    assert WORDING[verdict].sign in words(figure)
    bars = [item for item in figure.artists if isinstance(item, Rectangle)]
    assert len({wording.fill for wording in WORDING.values()}) == 3
    assert len(bars) == 1


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_words_on_the_verdict_bar_have_readable_contrast(verdict: Verdict) -> None:
    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    light, dark = sorted((luminance(WORDING[verdict].fill), luminance(WORDING[verdict].ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


@pytest.mark.parametrize(
    ("prob", "log10_lr", "expected"),
    [
        (0.973, 1.88, ["97 %", "+1.88", "about 76 times likelier for a generated picture"]),
        (0.0004, -3.4, ["below 1 %", "\N{MINUS SIGN}3.40", "about 2,500 times likelier for a photograph"]),
        (0.9996, 3.4, ["above 99 %", "+3.40"]),
        (0.5, 0.0, ["50 %", "+0.00", "speaks for neither side"]),
        (0.6, 0.18, ["60 %", "about 1.5 times likelier for a generated picture"]),
    ],
)
def test_probability_and_weight_of_evidence_are_said_without_false_certainty(
    prob: float, log10_lr: float, expected: list[str]
) -> None:
    image = drawn_image(200, 120)
    said = words(visualize_result(image, answer(image, Verdict.UNCERTAIN, prob, log10_lr)))
    assert [part for part in expected if part not in said] == []
    assert "0 %" not in said.replace("50 %", "").replace("60 %", "")
    assert "100 %" not in said


@pytest.mark.parametrize(
    ("verdict", "true_label", "said"),
    [
        (Verdict.FAKE, Label.FAKE, "fake: the verdict agrees"),
        (Verdict.FAKE, Label.REAL, "real: the verdict disagrees"),
        (Verdict.REAL, Label.FAKE, "fake: the verdict disagrees"),
        (Verdict.REAL, Label.REAL, "real: the verdict agrees"),
        (Verdict.UNCERTAIN, Label.FAKE, "fake: left undecided"),
    ],
)
def test_a_known_true_label_is_held_against_the_verdict(verdict: Verdict, true_label: Label, said: str) -> None:
    image = drawn_image(200, 120)
    assert said in words(visualize_result(image, answer(image, verdict), true_label=true_label))
    assert "True label" not in words(visualize_result(image, answer(image, verdict)))


@pytest.mark.parametrize("label", list(Label))
def test_the_heat_panel_says_which_class_it_speaks_for(label: Label) -> None:
    image = drawn_image(200, 120)
    assert f"evidence for: {label}" in words(visualize_gradcam(image, heat_map(image, label=label)))
    both = visualize_result(image, answer(image), heat=heat_map(image, label=label))
    assert f"evidence for: {label}" in words(both)


def test_the_legend_says_what_was_not_examined_and_when_nothing_speaks_for_the_class() -> None:
    image = drawn_image(200, 120)
    assert "not examined" in words(visualize_gradcam(image, heat_map(image, covered=0.7)))
    whole = words(visualize_gradcam(image, heat_map(image)))
    assert "not examined" not in whole
    assert "strongest in this picture" in whole
    assert "nothing in the picture speaks for: fake" in words(visualize_gradcam(image, heat_map(image, peak=0.0)))


@pytest.mark.parametrize(("width", "height"), [(100, 100), (16, 16), (4000, 300), (300, 4000), (640, 480), (97, 53)])
def test_sheets_are_readable_for_pictures_of_any_size(width: int, height: int) -> None:
    image = drawn_image(width, height)
    figure = visualize_result(image, answer(image), heat=heat_map(image, covered=0.8), true_label=Label.FAKE)
    pixels = rendered(figure)
    sheet_width = pixels.shape[1]
    assert 640 <= sheet_width <= 1300
    assert pixels.shape[0] <= 900
    placed = [(text.get_text(), text.get_window_extent()) for text in figure.texts]
    for (word, box), (other, beside) in itertools.combinations(placed, 2):
        assert not box.overlaps(beside), (word, other)
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text.get_text()
        assert box.x1 <= sheet_width, text.get_text()
        assert box.height >= 8, text.get_text()


def test_the_figure_shows_the_heat_where_it_lies_in_the_picture() -> None:
    image = drawn_image(400, 400)
    figure = visualize_gradcam(image, heat_map(image))
    plain, heated = (axes.images[0].get_array() for axes in figure.axes[:2])
    assert plain is not None
    assert heated is not None
    differ = (np.asarray(plain) != np.asarray(heated)).any(axis=2)
    assert differ[:200, :200].mean() > 0.99
    assert not differ[200:].any()
    assert not differ[:, 200:].any()


def test_what_no_window_looked_at_is_whitened_and_everything_else_is_not() -> None:
    image = drawn_image(400, 400)
    figure = visualize_gradcam(image, heat_map(image, covered=0.75))
    panel = np.asarray(figure.axes[1].images[0].get_array())
    unseen = panel[:, 301:]
    assert unseen.min() >= 255 * 0.64
    assert (unseen == unseen[..., :1]).all()  # grey
    assert np.array_equal(panel[250:, :299], image.pixels[250:, :299])


@pytest.mark.parametrize(
    ("size", "shown"),
    [((100, 100), (400, 400)), ((4000, 2000), (560, 280)), ((480, 500), (480, 500)), ((4000, 2), (560, 1))],
)
def test_small_pictures_grow_by_whole_factors_and_large_ones_shrink(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert display_size(*size) == shown


def test_reducing_takes_the_mean_of_whole_blocks_with_a_ragged_edge() -> None:
    pixels = np.arange(7 * 4 * 3, dtype=np.float32).reshape(7, 4, 3)
    reduced = reduce_pixels(pixels, (3, 2))
    assert reduced.shape == (4, 2, 3)
    assert np.allclose(reduced[0, 0], pixels[:2, :2].mean(axis=(0, 1)))
    assert np.allclose(reduced[3, 1], pixels[6:, 2:].mean(axis=(0, 1)))
    assert np.array_equal(reduce_pixels(pixels, (7, 4)), pixels)


def test_long_names_lose_their_middle_and_keep_their_suffix() -> None:
    name = "IMG_" + "0123456789" * 30 + ".jpeg"
    short = fit_text(name, 300, bold=True)
    assert text_width(short, bold=True) <= 300
    assert short.startswith("IMG_")
    assert short.endswith(".jpeg")
    assert fit_text("a.jpg", 300) == "a.jpg"


@pytest.mark.parametrize("name", ["価格$100$.jpg", "tab\there.png", "\udcff.png", "ملف.png", "x_{$\\frac$.png"])
def test_names_in_any_script_are_drawn_without_a_warning(name: str) -> None:
    image = drawn_image(120, 90, source=name)
    assert rendered(visualize_result(image, answer(image))).size > 0


def test_letters_the_font_lacks_become_white_squares() -> None:
    assert printable("aé価\n.jpg") == "aé□□.jpg"


def test_published_error_16_a_jpg_and_a_png_of_one_stem_do_not_overwrite_each_other() -> None:
    """The published code writes both to one file."""
    taken: set[str] = set()
    sources = ["a.jpg", "a.png", "x/a.jpg", "y\\a.jpg", "A.JPG", "a.jpg-2", "a", "", "..", "a.jpg"]
    names = [result_name(source, taken) for source in sources]
    assert len({name.casefold() for name in names}) == len(sources)
    assert names[:4] == ["a.jpg.png", "a.png.png", "a.jpg-2.png", "a.jpg-3.png"]


@pytest.mark.parametrize(
    "source", ["https://x.org/a.jpg?w=1&h=*", "../../etc/passwd", "a\x00b.png", "n" * 500 + ".png", "."]
)
def test_result_names_stay_in_their_folder_and_are_writable(source: str, tmp_path: Path) -> None:
    name = result_name(source, set())
    assert Path(name).name == name
    (tmp_path / name).write_bytes(b"x")
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_results_are_written_whole_and_leave_nothing_beside_them(tmp_path: Path) -> None:
    image = drawn_image(120, 90)
    figure = visualize_result(image, answer(image))
    target = tmp_path / "result.png"
    target.write_bytes(b"an older result")
    save_result(target, figure)
    assert imread(target).shape[:2] == rendered(figure).shape[:2]
    assert [item.name for item in tmp_path.iterdir()] == ["result.png"]


def test_a_result_that_cannot_be_placed_leaves_nothing_behind(tmp_path: Path) -> None:
    image = drawn_image(120, 90)
    (tmp_path / "result.png").mkdir()
    with pytest.raises(OSError, match=r"result\.png"):
        save_result(tmp_path / "result.png", visualize_result(image, answer(image)))
    assert [item.name for item in tmp_path.iterdir()] == ["result.png"]
