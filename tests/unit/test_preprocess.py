"""From an image's bytes to a model's input: expected values worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.preprocess import Preprocess, check_image, fit_image, normalise, prepare, resize

IMAGENET = Preprocess(size=1, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
# numbers 0..23 as an image 2 high, 4 wide, 3 channels: each pixel tells where it came from
COUNT = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def grey(*rows: list[int]) -> Any:
    return np.array(rows, np.uint8)[..., np.newaxis]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": "rgb"}, r"channels 'rgb' is not one of RGB, BGR, GRAY"),
        ({"fit": "pad"}, r"fit 'pad' is not one of crop, stretch"),
        ({"layout": "CHW"}, r"layout 'CHW' is not one of NHWC, NCHW"),
        ({"size": 0}, r"^\[preprocess\] size is 0; it must be a whole number or \[height, width\], each 1 or more$"),
        ({"size": (48, 0)}, r"size is \[48, 0\]; it must be a whole number or \[height, width\], each 1 or more"),
        ({"size": (-48, 64)}, r"size is \[-48, 64\]; it must be"),
        ({"size": (48, 64, 3)}, r"size is \[48, 64, 3\]; it must be"),
        ({"size": True}, r"size is True; it must be"),
        ({"size": "96"}, r"size is '96'; it must be"),
        ({"size": (48, True)}, r"size is \[48, True\]; it must be"),
        ({"size": 224, "resize": 96}, r"size 224 and resize 96: need resize >= size, or 0"),
        ({"size": (48, 64), "resize": 60}, r"size \[48, 64\] and resize 60: need resize >= size, or 0"),
        ({"resize": -1}, r"resize is -1; it must be a whole number or \[height, width\], each 0 or more"),
        ({"mean": (0.1, 0.2)}, r"mean has 2 values; RGB needs 3, or one for all"),
        ({"std": (1.0, 1.0, 1.0), "channels": "GRAY"}, r"std has 3 values; GRAY needs 1"),
        ({"mean": ()}, r"mean has 0 values; RGB needs 3"),
        ({"std": (1.0, 0.0, 1.0)}, r"std \[1\.0, 0\.0, 1\.0\] and divide_by 255\.0 must be over 0"),
        ({"divide_by": 0.0}, r"divide_by 0\.0 must be over 0"),
        ({"size": 96.0}, r"size is 96\.0; it must be"),
        ({"size": None}, r"size is None; it must be"),
        ({"mean": "0.5"}, r"mean\[0\] must be a number, not '0\.5'"),
        ({"mean": None}, r"mean\[0\] must be a number, not None"),
        ({"mean": float("nan")}, r"mean\[0\] must be a finite number, not nan"),
        ({"divide_by": "255"}, r"divide_by must be a number, not '255'"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Preprocess(**{"size": 4, **options})


@pytest.mark.parametrize("mean", [0.5, [0.5], np.float32(0.5), np.full((1, 1, 3), 0.5), [0.5, 0.5, 0.5]])
def test_mean_and_std_are_numbers_in_any_form(mean: Any) -> None:
    options = Preprocess(size=4, mean=mean, std=mean)
    assert {*options.mean, *options.std} == {0.5}
    assert hash(options) == hash(dataclasses.replace(options))  # match_input() keeps one a model


def test_normalisation_is_that_of_the_imagenet_models() -> None:
    # (255 / 255 - mean) / std and (0 - mean) / std by hand: the well-known ends of a torchvision input
    white, black = normalise(np.array([[[[255] * 3]], [[[0] * 3]]], np.uint8), IMAGENET)[:, 0, 0]
    assert white == pytest.approx([2.2489, 2.4286, 2.6400], abs=5e-5)  # four decimals are written down
    assert black == pytest.approx([-2.1179, -2.0357, -1.8044], abs=5e-5)


def test_normalisation_with_swapped_channels_gives_other_numbers() -> None:
    pixel = np.array([[[[10, 20, 30]]]], np.uint8)
    swapped = Preprocess(size=1, mean=IMAGENET.mean[::-1], std=IMAGENET.std[::-1])
    assert np.abs(normalise(pixel, IMAGENET) - normalise(pixel, swapped)).max() > 0.3


def test_bytes_pass_unchanged_where_the_model_wants_bytes() -> None:
    values = normalise(COUNT[np.newaxis], Preprocess(size=2, divide_by=1.0))
    assert values.dtype == np.float32
    assert_array_equal(values[0], COUNT)


def test_one_mean_and_std_will_do_for_all_channels() -> None:
    one, three = Preprocess(size=2, mean=(0.5,), std=(0.25,)), Preprocess(size=2, mean=(0.5,) * 3, std=(0.25,) * 3)
    assert_array_equal(normalise(COUNT, one), normalise(COUNT, three))


def test_nchw_moves_the_channels_and_changes_no_number() -> None:
    nhwc = normalise(COUNT[np.newaxis], Preprocess(size=2))
    nchw = normalise(COUNT[np.newaxis], Preprocess(size=2, layout="NCHW"))
    assert nchw.shape == (1, 3, 2, 4)
    assert nchw.flags.c_contiguous
    assert_array_equal(nchw.transpose(0, 2, 3, 1), nhwc)


def test_prepare_makes_a_batch_of_one() -> None:
    assert prepare(COUNT, Preprocess(size=2)).shape == (1, 2, 2, 3)
    assert prepare(COUNT, Preprocess(size=2, layout="NCHW")).shape == (1, 3, 2, 2)


def test_the_crop_is_the_centre() -> None:
    # columns 1 and 2 of 4
    assert_array_equal(fit_image(COUNT, Preprocess(size=2)), COUNT[:, 1:3])


def test_the_odd_pixel_of_a_crop_is_lost_at_the_end() -> None:
    image = grey([0, 1, 2, 3, 4])
    assert_array_equal(fit_image(image, Preprocess(size=1, channels="GRAY"))[0, 0], [2])
    image = grey([0, 1, 2, 3])
    assert_array_equal(fit_image(image, Preprocess(size=1, channels="GRAY"))[0, 0], [1])


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = COUNT[:, :2]
    assert_array_equal(fit_image(image, Preprocess(size=2)), image)


def test_crop_keeps_the_proportions_and_stretch_does_not() -> None:
    # left half black, right half white, 4 high and 8 wide: a crop sees both halves at full contrast
    image = np.repeat(grey([0] * 4 + [255] * 4), 4, axis=0)
    crop = fit_image(image, Preprocess(size=4, channels="GRAY"))
    stretch = fit_image(image, Preprocess(size=4, channels="GRAY", fit="stretch"))
    assert crop[0, :, 0].tolist() == [0, 0, 255, 255]
    # triangle of 4 source pixels: weights 1, 3, 3, 1 over 8, the outermost in the other half: 255 / 8 = 31.9
    assert stretch[0, :, 0].tolist() == [0, 32, 223, 255]


@pytest.mark.parametrize("shape", [(480, 640, 3), (640, 480, 3), (3, 1000, 3), (1, 1, 3), (224, 224, 1), (225, 224, 3)])
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_any_image_fits(shape: tuple[int, ...], fit: str) -> None:
    image = np.zeros(shape, np.uint8)
    assert fit_image(image, Preprocess(size=32, resize=36, fit=fit)).shape == (32, 32, 3)


@pytest.mark.parametrize("shape", [(480, 640, 3), (640, 480, 3), (3, 1000, 3), (1000, 3, 3), (1, 1, 3), (48, 64, 1)])
@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("resize", [0, 72, (54, 72)])
def test_any_image_fits_an_input_that_is_not_square(shape: tuple[int, ...], fit: str, resize: Any) -> None:
    options = Preprocess(size=(48, 64), resize=resize, fit=fit)
    assert fit_image(np.zeros(shape, np.uint8), options).shape == (48, 64, 3)


def test_height_comes_before_width() -> None:
    options = Preprocess(size=(2, 3))
    assert (options.height, options.width) == (2, 3)
    assert prepare(COUNT, options).shape == (1, 2, 3, 3)
    assert prepare(COUNT, Preprocess(size=(2, 3), layout="NCHW")).shape == (1, 3, 2, 3)


def test_a_camera_image_of_the_same_proportions_loses_nothing() -> None:
    # 6 x 8 in flat blocks of 2 x 2, to 3 x 4: the triangle keeps the mean of blocks that repeat, the edges their values
    image = np.kron(np.full((3, 4), 100), np.ones((2, 2)))[..., np.newaxis].astype(np.uint8)
    assert_array_equal(fit_image(image, Preprocess(size=(3, 4), channels="GRAY")), np.full((3, 4, 1), 100))


def test_an_image_that_is_too_wide_loses_columns_and_one_too_high_loses_rows() -> None:
    numbers = np.arange(24, dtype=np.uint8)
    wide, high = numbers.reshape(2, 12, 1), numbers.reshape(12, 2, 1)
    assert_array_equal(fit_image(wide, Preprocess(size=(2, 4), channels="GRAY")), wide[:, 4:8])
    assert_array_equal(fit_image(high, Preprocess(size=(4, 2), channels="GRAY")), high[4:8])


def test_two_equal_sides_are_one() -> None:
    assert Preprocess(size=(96, 96), resize=(110, 110)) == Preprocess(size=96, resize=110)


def test_bgr_is_rgb_backwards() -> None:
    assert_array_equal(fit_image(COUNT, Preprocess(size=2, channels="BGR")), COUNT[:, 1:3, ::-1])


def test_grey_is_the_luma_of_bt_601() -> None:
    # red, green, blue, white: 0.299, 0.587, 0.114 and 1 times 255
    image = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    assert_array_equal(fit_image(image, Preprocess(size=2, channels="GRAY"))[..., 0], [[76, 150], [29, 255]])


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_a_grey_image_gets_three_equal_channels(channels: str) -> None:
    image = grey([0, 100], [200, 255])
    assert_array_equal(fit_image(image, Preprocess(size=2, channels=channels)), np.repeat(image, 3, axis=-1))


def test_an_image_without_a_channel_axis_is_grey() -> None:
    assert check_image(np.zeros((5, 7), np.uint8)).shape == (5, 7, 1)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            np.zeros((3, 32, 32), np.uint8),
            r"uint8 \[3, 32, 32\]; expected .*; this looks like NCHW, did you mean trans",
        ),
        (np.zeros((3, 32, 32), np.float32), r"float32 \[3, 32, 32\].*NCHW"),
        (np.zeros((32, 32, 3), np.float32), r"float32 \[32, 32, 3\]; .*; store the bytes of the image"),
        (
            np.zeros((32, 32, 4), np.uint8),
            r"an image is uint8 \[32, 32, 4\]; expected uint8 \[height, width, 1 or 3\]$",
        ),
        (np.zeros((0, 32, 3), np.uint8), r"an image is uint8 \[0, 32, 3\]; expected"),
        (np.zeros((1, 32, 32, 3), np.uint8), r"an image is uint8 \[1, 32, 32, 3\]; expected"),
        (np.zeros(3, np.uint8), r"an image is uint8 \[3\]; expected"),
    ],
)
def test_what_is_no_image_is_refused_with_what_it_looks_like(image: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_image(image)


def test_half_the_size_is_the_triangle_mean_of_the_neighbours() -> None:
    # one white pixel in 4: the two targets see it with 3/8 (own pair, inner side) and 1/8 (other pair),
    # the first one without the weight that lies outside the image: 3/7 and 1/7 of 255
    assert resize(grey([0, 255, 0, 0]), 1, 2)[0, :, 0].tolist() == [109, 36]


def test_twice_the_size_is_bilinear_between_pixel_centres() -> None:
    # centres at 0.25 and 0.75 of a source pixel: weights 1/4 and 3/4, edges repeated
    assert resize(grey([0, 100]), 1, 4)[0, :, 0].tolist() == [0, 25, 75, 100]


def test_a_flat_image_stays_flat() -> None:
    assert np.unique(resize(np.full((37, 53, 3), 201, np.uint8), 11, 64)).tolist() == [201]


def test_rows_and_columns_are_not_mixed_up() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1) * 40
    assert_array_equal(resize(image, 4, 9).transpose(1, 0, 2), resize(image.transpose(1, 0, 2), 9, 4))
    assert resize(image, 4, 9).shape == (4, 9, 1)


@pytest.mark.parametrize("shape", [(2, 20_000), (20_000, 2)])
def test_what_a_very_long_image_has_beyond_eight_sides_is_cut_off_before_the_resize(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    image[shape[0] // 2 - 1 : shape[0] // 2 + 1, shape[1] // 2 - 1 : shape[1] // 2 + 1] = 200  # 2 x 2 in the centre
    assert_array_equal(fit_image(image, Preprocess(size=4))[1:3, 1:3], 200)
