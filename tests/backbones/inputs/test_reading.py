"""Reading pictures: every mode, file and array becomes the same upright, opaque RGB image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from saccade.backbones import Model
from saccade.backbones.inputs.reading import read_all, read_noted, read_picture
from saccade.studies.cli.inputs import open_picture
from saccade.studies.tasks import QuestionFile
from tests.tiny import fake_page

GREY = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
WIDE = GREY.astype(np.uint16) * 257


def as_rgb(grey: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.repeat(grey[:, :, None], 3, axis=2)


def seen(given: object) -> np.ndarray[Any, Any]:
    picture = read_picture(given)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def big_endian() -> Image.Image:
    return Image.frombytes("I;16B", (20, 12), WIDE.astype(">u2").tobytes())


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GREY),
        Image.fromarray(WIDE),
        big_endian(),
        Image.fromarray(WIDE.astype(np.int32)),
        Image.fromarray(GREY.astype(np.int32)),
        Image.fromarray(GREY.astype(np.float32)),
        Image.fromarray(GREY.astype(np.float32) / 255),
        Image.fromarray(GREY).convert("LA"),
        Image.fromarray(GREY).convert("P"),
        Image.fromarray(GREY).convert("P").convert("PA"),
        Image.fromarray(GREY).convert("RGBX"),
    ],
    ids=lambda image: image.mode,
)
def test_grey_of_every_mode_is_the_same_picture(image: Image.Image) -> None:
    assert np.array_equal(seen(image), as_rgb(GREY))


def test_16_bits_are_rounded_to_the_nearest_of_8() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    wanted = np.rint(values / 257).astype(np.uint8)
    assert np.array_equal(seen(Image.fromarray(values)), as_rgb(wanted))
    assert np.array_equal(seen(values), as_rgb(wanted))


@pytest.mark.parametrize("mode", ["1", "CMYK", "YCbCr", "HSV", "RGB", "P"])
def test_other_opaque_modes_are_converted(mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    assert np.array_equal(seen(image), np.asarray(image.convert("RGB")))
    assert read_noted(image)[1] == []


ALPHA = np.linspace(0, 255, 240).round().astype(np.uint8).reshape(12, 20)


def on_white(colour: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    share = ALPHA[:, :, None] / 255
    return np.asarray(colour * share + 255 * (1 - share))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa", "La", "PA"])
def test_alpha_is_laid_on_white(mode: str) -> None:
    start, plain = ("LA", GREY) if mode in ("LA", "La") else ("RGBA", COLOUR)
    image = Image.fromarray(plain)
    if mode == "PA":
        image = image.convert("P")
        image.putalpha(Image.fromarray(ALPHA))
    else:
        image = image.convert("RGB" if start == "RGBA" else "L").convert(start)
        image.putalpha(Image.fromarray(ALPHA))
        image = image.convert(mode)
    assert image.mode == mode
    opaque = np.asarray(
        Image.fromarray(plain).convert("P" if mode == "PA" else "RGB").convert("RGB")
    )
    gaps = np.abs(seen(image).astype(float) - on_white(opaque))
    assert gaps.max() <= 2  # premultiplied modes round twice
    assert read_noted(image)[1] == ["laid on white where transparent"]


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_a_transparent_colour_shows_white(mode: str, tmp_path: Path) -> None:
    grey = np.where(GREY > 100, 200, 0).astype(np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257 if mode == "I;16" else grey)
    image = image if mode == "I;16" else image.convert(mode)
    keys: dict[str, Any] = {"RGB": (0, 0, 0), "P": image.getpixel((0, 0)), "L": 0, "I;16": 0}
    image.save(tmp_path / "clear.png", transparency=keys[mode])
    wanted = np.where(grey == 0, 255, 200).astype(np.uint8)
    assert np.array_equal(seen(tmp_path / "clear.png"), as_rgb(wanted))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_pictures_are_turned_as_their_camera_says(
    orientation: int, kind: str, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{kind}"
    Image.fromarray(COLOUR).save(path, exif=exif)
    with Image.open(path) as stored:
        plain = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert np.array_equal(seen(path), plain)
    assert np.array_equal(seen(Image.open(path)), plain)
    assert plain.shape[:2] == ((20, 12) if orientation > 4 else (12, 20))
    again = read_picture(read_picture(path))
    assert np.array_equal(np.asarray(again), plain), "turned once only"


def test_damaged_exif_data_say_nothing(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "odd.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(seen(tmp_path / "odd.png"), COLOUR)
    Image.fromarray(COLOUR).save(tmp_path / "odd.png", exif=b"nothing of that kind")
    assert np.array_equal(seen(tmp_path / "odd.png"), COLOUR)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_a_damaged_orientation_says_nothing(orientation: int) -> None:
    image = Image.fromarray(COLOUR)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(seen(image), COLOUR)


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        (GREY, as_rgb(GREY)),
        (GREY[:, :, None], as_rgb(GREY)),
        (COLOUR, COLOUR),
        (COLOUR[::-1, ::2], COLOUR[::-1, ::2]),
        (WIDE, as_rgb(GREY)),
        (WIDE.astype(">u2"), as_rgb(GREY)),
        (COLOUR.astype(np.uint16) * 257, COLOUR),
        (COLOUR / 255, COLOUR),
        ((COLOUR / 255).astype(np.float32), COLOUR),
        ((GREY > 100), as_rgb((GREY > 100).astype(np.uint8) * 255)),
        (np.dstack([COLOUR, np.zeros_like(GREY)]), np.full_like(COLOUR, 255)),
        (np.dstack([COLOUR, np.full_like(GREY, 255)]), COLOUR),
    ],
)
def test_arrays_and_tensors(pixels: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(seen(pixels), wanted)
    if pixels.dtype != ">u2":
        tensor = torch.from_numpy(pixels.copy())
        assert np.array_equal(seen(tensor), wanted)
        if tensor.is_floating_point():
            assert np.array_equal(seen(tensor.requires_grad_()), wanted)


def test_half_precision_tensors() -> None:
    half = torch.tensor([[0.0, 0.5, 1.0]] * 5)
    for dtype in (torch.float16, torch.bfloat16):
        assert seen(half.to(dtype))[0, :, 0].tolist() == [0, 128, 255]


def test_tensors_that_are_views_with_another_sign() -> None:
    grey = torch.rand(5, 7)
    assert np.array_equal(seen(torch._neg_view(-grey)), seen(grey))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((3, 12, 20), np.uint8), r"channels first; give them last: .*permute\(1, 2, 0\)"),
        (torch.zeros(3, 12, 20), "channels first"),
        (torch.zeros(1, 12, 20), "channels first"),
        (torch.zeros(4, 12, 20), "channels first"),
        (np.zeros((3, 9, 3), np.uint8), "both ends may be channels"),
        (np.zeros((12, 20, 2), np.uint8), "2 channels"),
        (np.zeros((12, 20, 5), np.uint8), "5 channels"),
        (np.zeros((1, 12, 20, 3), np.uint8), "one picture an item, not a batch"),
        (np.zeros(12, np.uint8), r"shape \(12,\)"),
        (np.zeros((), np.uint8), r"shape \(\)"),
        (np.zeros((0, 20, 3), np.uint8), "no side 0"),
        (np.full((12, 20), np.nan), "NaN or infinite"),
        (np.full((12, 20), np.inf), "NaN or infinite"),
        (torch.full((12, 20), -torch.inf), "NaN or infinite"),
        (np.full((12, 20), 128.0), "128 to 128; allowed: 0 to 1"),
        (np.full((12, 20), -0.5), "-0.5 to -0.5"),
        (Image.fromarray(np.full((12, 20), np.nan, np.float32)), "NaN or infinite"),
        (Image.fromarray(np.full((12, 20), np.inf, np.float32)), "NaN or infinite"),
        (Image.fromarray(np.full((12, 20), 300, np.float32)), "300 to 300; allowed: 0 to 1, or"),
        (Image.fromarray(np.full((12, 20), -1, np.int32)), "-1 to -1; allowed"),
        (Image.fromarray(np.full((12, 20), 65536, np.int32)), "65536 to 65536"),
        (np.full((12, 20), 1.0000001), "from 1.0000001 to 1.0000001; allowed: 0 to 1"),
        (Image.new("RGB", (0, 5)), "each side must be 1"),
        ([fake_page()], r"\[image\], not \[\[image\]\]"),
        ((fake_page(),), r"\[image\], not \[\[image\]\]"),
        (np.zeros((12, 20), np.int64), "type int64; give uint8"),
        (np.zeros((12, 20), complex), "type complex128; give uint8"),
        (torch.zeros(12, 20, dtype=torch.int32), "type int32; give uint8"),
        (np.array([["a"]]), "give uint8"),
        (torch.zeros(8, 8).to_sparse(), "sparse, quantized or empty; give a plain one"),
        (torch.zeros(8, 8, device="meta"), "give a plain one"),
        ("https://a.org/b.png", "no picture at https://a.org/b.png"),
        (None, "type NoneType; give a PIL image, a path"),
        (3, "type int"),
        (b"page.png", "type bytes"),
    ],
)
def test_what_does_not_say_what_it_means(given: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        read_picture(given)
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=r"images\[1\]|a.org"):
        read_all([fake_page(), given])


def test_files_that_are_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_page(200, 100).save(tmp_path / "page.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "page.png").read_bytes()[:200])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, kind, message in (
        ("none.png", FileNotFoundError, "no picture at .*none.png"),
        ("", IsADirectoryError, "is a folder"),
        ("cut.png", ValueError, "cut.png cannot be read as a picture"),
        ("text.png", ValueError, "text.png is not a picture"),
        ("empty.png", ValueError, "empty.png is not a picture"),
    ):
        for path in (tmp_path / name, str(tmp_path / name)):
            with pytest.raises(kind, match=message):
                read_picture(path)
    with pytest.raises(ValueError, match=r"images\[0\] cannot be read as a picture"):
        read_all([Image.open(tmp_path / "cut.png")])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="exceeds limit"):
        read_picture(tmp_path / "page.png")


def test_command_line_library_and_question_files_read_the_same(
    tmp_path: Path, speaking: Model
) -> None:
    """One 16-bit grey picture, turned by its EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path, wanted = tmp_path / "page.png", np.rot90(GREY, -1)
    Image.fromarray(WIDE).save(path, exif=exif)
    (tmp_path / "q.jsonl").write_text('{"image": "page.png", "question": "?", "answer": "a"}')
    lengths: dict[str, Any] = {"gen_length": 4, "block_length": 4, "steps": 2}
    task = QuestionFile(name="own", file=tmp_path / "q.jsonl", **lengths)
    for picture in (read_picture(path), open_picture(path), task.items()[0].images[0]):
        assert np.array_equal(np.asarray(picture), as_rgb(wanted))
    ways: list[Callable[[], Any]] = [
        lambda: path,
        lambda: str(path),
        lambda: Image.open(path),
        lambda: np.ascontiguousarray(wanted),
        lambda: torch.from_numpy(as_rgb(wanted) / 255),
    ]
    alone = speaking.prepare("What?", [Image.fromarray(as_rgb(wanted))])
    for way in ways:
        assert torch.equal(speaking.prepare("What?", [way()]).embeds, alone.embeds)
        out = speaking.generate("What?", [way()], **lengths)
        (batched,) = speaking.generate(["What?"], [[way()]], **lengths)
        assert out.tokens == batched.tokens == speaking.generate(inputs=alone, **lengths).tokens
