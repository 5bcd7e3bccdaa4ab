"""A network of our own on disk: NAME.safetensors and NAME.json, held together by a hash; never a pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from ganfingerprint.atomic import replacing
from ganfingerprint.errors import DataError
from ganfingerprint.fakes.decoders import DecoderSpec, build
from ganfingerprint.fakes.recipes import Recipe
from ganfingerprint.types import UInt8Array

FORMAT = 1
GOOD_PSNR = 22.0  # dB; a copy below it is visibly another picture


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What is known of a trained network."""

    spec: DecoderSpec
    steps: int
    psnr: float  # on crops of photographs that it did not learn from, dB
    sha256: str  # of its safetensors file

    @property
    def is_good(self) -> bool:
        """Whether its copies look like their originals."""
        return self.psnr >= GOOD_PSNR


def save(folder: Path, network: nn.Module, *, spec: DecoderSpec, steps: int, psnr: float) -> NetworkFacts:
    """Write a trained network under the name of its spec; the JSON comes last, so that what has one is whole."""
    state = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    content = safetensors.torch.save(state)
    facts = NetworkFacts(spec=spec, steps=steps, psnr=psnr, sha256=hashlib.sha256(content).hexdigest())
    with replacing(folder / f"{spec.name}.safetensors") as beside:
        beside.write_bytes(content)
    with replacing(folder / f"{spec.name}.json") as beside:
        beside.write_text(json.dumps({"format": FORMAT, **dataclasses.asdict(facts)}, indent=2) + "\n")
    return facts


def read_facts(folder: Path, name: str) -> NetworkFacts:
    """What is known of the network `name`.

    Raises:
        DataError: there is no such network, or its JSON is damaged or of a newer version.
    """
    path = folder / f"{name}.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise DataError(f"{path}: network format {told['format']} is not read by this version")
        spec = DecoderSpec(**told["spec"])
        return NetworkFacts(spec=spec, steps=told["steps"], psnr=float(told["psnr"]), sha256=str(told["sha256"]))
    except FileNotFoundError as problem:
        raise DataError(f"there is no network '{name}' in {folder}") from problem
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise DataError(f"{path} is not the description of a network ({problem})") from problem


def load(folder: Path, name: str) -> nn.Module:
    """The network `name`, ready to copy pictures.

    Raises:
        DataError: there is no such network, or its weights are not those that its JSON describes.
    """
    facts = read_facts(folder, name)
    path = folder / f"{name}.safetensors"
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != facts.sha256:
            raise DataError(f"{path} is damaged: its hash is not the one in {name}.json")
        network = build(facts.spec)
        network.load_state_dict(safetensors.torch.load(content))
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, safetensors.SafetensorError) as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem
    return network.eval()


@dataclass(frozen=True, slots=True)
class Copied:
    """Recipe: the picture as a network of our own copies it."""

    network: nn.Module
    stride: int  # pixels per cell of the bottleneck

    def __call__(self, pixels: UInt8Array, rng: np.random.Generator) -> UInt8Array:
        """The copy of [h, w, 3]; `rng` seeds the noise of the networks that have one."""
        height, width = pixels.shape[:2]
        framed = np.pad(
            pixels,
            (
                (self.stride, self.stride + -height % self.stride),
                (self.stride, self.stride + -width % self.stride),
                (0, 0),
            ),
            mode="symmetric",
        )
        x = torch.from_numpy(np.ascontiguousarray(framed.transpose(2, 0, 1)))[None]  # [1, 3, H, W]
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            copy = self.network(x.float() / 127.5 - 1)[0]
        copy = (copy.float().clamp(-1, 1) + 1) * 127.5
        drawn = copy.round().to(torch.uint8).numpy().transpose(1, 2, 0)
        return np.ascontiguousarray(drawn[self.stride : self.stride + height, self.stride : self.stride + width])


def load_recipe(folder: Path, name: str) -> Recipe:
    """The recipe `decoder:name`.

    Raises:
        DataError: as `load`.
    """
    return Copied(load(folder, name), read_facts(folder, name).spec.stride)
