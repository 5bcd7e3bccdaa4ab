"""The product's own head on stored statistics: what an experiment varies, how the head learns, how it scores."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganfingerprint.catalog import Sample
from ganfingerprint.config import NetworkConfig
from ganfingerprint.network.backbones import Backbone
from ganfingerprint.network.classifier import decide
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.network.loss import class_loss, contrastive_loss, detection_loss
from ganfingerprint.training.averaging import WeightAverage
from ganfingerprint.training.sampling import find_partners, in_pairs, sample_weights
from ganfingerprint.training.targets import class_targets, kinds_of, with_classes

POOLINGS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "median": np.median, "max": np.max}
LARGEST = 8.0  # deviations from the mean; a few channels of CLIP are far out


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """What decides a head and how it learns; the names are those of the product's settings where it has them."""

    blocks: tuple[int, ...] = (5, 7, 9)
    statistics: tuple[str, ...] = ("class", "mean", "deviation")
    views: tuple[str, ...] = ("plain",)  # learnt from; `a+b` are the features of two views of a picture side by side
    judged: str = "plain"  # the view that is scored, and that standardises; `a,b`: windows whose scores are pooled
    pooling: str = "mean"  # of several windows' scores, as `window.pooling`
    pairs: bool = False  # an aligned fake brings its photograph into its batch, as `data.pairs` does
    head: str = "document"  # "shallow": one hidden layer of 256, dropout .3 on its inputs and .5 behind it
    hidden: int = 256  # of the shallow head
    targets: str = "two"  # as `optim.targets`; a shallow head can tell generators apart, and sources of photographs
    dropout: float = 0.4
    weight_decay: float = 0.05
    lr: float = 1e-3
    epochs: int = 8
    batch_size: int = 256
    label_smoothing: float = 0.0
    balance_power: float = 0.5
    proxy_weight: float = 0.3
    heads: int = 1  # from as many seeds, their logits averaged
    averaging: float = 0.0  # decay of a running mean of the weights, which is what scores, as `optim.ema_decay`
    contrastive: float = 0.0  # weight of the supervised contrastive loss over generators on the hidden layer


class Probe:
    """Heads on features, learnt from `train` pictures."""

    def __init__(
        self,
        features: Mapping[str, Tensor],
        samples: Sequence[Sample],
        train: np.ndarray,
        config: ProbeConfig,
        *,
        seed: int,
        often: np.ndarray,
    ) -> None:
        """Learn.

        Args:
            features: of each view of `config`, standardised, [n, d].
            samples: the n pictures.
            train: bool [n], which of them are learnt from.
            often: factor on how often each is drawn within its class, [n].
            seed: of weights, draws and dropout.
        """
        rows = np.flatnonzero(train & (often > 0))
        chosen = [samples[int(i)] for i in rows]
        self._fake = torch.tensor([sample.is_fake for sample in chosen])
        self._network = with_classes(NetworkConfig(), chosen, config.targets)
        self._classes = class_targets(self._network, chosen, config.targets)
        weights = sample_weights(chosen, power=config.balance_power, proxy_weight=config.proxy_weight)
        weights = weights * often[rows]
        for of_class in (self._fake.numpy(), ~self._fake.numpy()):
            weights[of_class] /= 2 * weights[of_class].sum()
        self._partners = find_partners(chosen) if config.pairs else None
        self._kinds = kinds_of(chosen)
        views = [features[name][torch.from_numpy(rows)] for name in config.views]
        self.heads = [self._learn(views, weights, config, seed + 1000 * k) for k in range(config.heads)]

    def scores(self, features: Tensor) -> np.ndarray:
        """How fake: the logit turned round, float32 [n]."""
        with torch.inference_mode():
            found = torch.stack([self._decided(head(features.float())) for head in self.heads])
        return -found.mean(dim=0).numpy()

    def pooled(self, views: Mapping[str, Tensor], rows: np.ndarray, judged: str, pooling: str) -> np.ndarray:
        """How fake the pictures `rows` are by the windows `judged`, float32 [n]."""
        chosen = torch.from_numpy(rows)
        return POOLINGS[pooling](np.stack([self.scores(views[name][chosen]) for name in judged.split(",")]), axis=0)

    def _learn(self, views: list[Tensor], weights: np.ndarray, config: ProbeConfig, seed: int) -> nn.Module:
        rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout draws from the global generator
        head = self._built(views[0].shape[1], config, generator).train()
        decayed = [p for p in head.parameters() if p.ndim > 1]
        others = [p for p in head.parameters() if p.ndim < 2]
        optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=config.lr,
            fused=True,
        )
        steps = max(1, config.epochs * len(views) * len(weights) // config.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.lr, total_steps=steps + 1, pct_start=0.1)
        average = WeightAverage(head, config.averaging) if config.averaging else None
        edges = np.cumsum(weights) / weights.sum()
        for _ in range(steps):
            ticks = (np.arange(config.batch_size) + rng.random()) / config.batch_size
            chosen = np.minimum(np.searchsorted(edges, ticks), len(weights) - 1)
            if self._partners is not None:
                chosen, _ = in_pairs(chosen, self._partners, rng)
            drawn = torch.from_numpy(chosen)
            with torch.autocast("cpu", torch.bfloat16):
                hidden = head.hidden(views[int(rng.integers(len(views)))][drawn])
                found = head.logits(hidden)
            loss = self._loss(found, drawn, config.label_smoothing)
            if config.contrastive:
                loss = loss + config.contrastive * contrastive_loss(hidden, self._kinds[drawn])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if average is not None:
                average.update(head)
        if average is not None:
            with average.applied(head):
                head = copy.deepcopy(head)
        return head.eval()

    def _built(self, inputs: int, config: ProbeConfig, generator: torch.Generator) -> DocumentHead | ShallowHead:
        if config.head == "shallow":
            outputs = max(1, len(self._network.classes))
            return ShallowHead(inputs, config.dropout, generator, hidden=config.hidden, outputs=outputs)
        if config.targets != "two":
            raise SystemExit(f"targets {config.targets} need the shallow head")
        return DocumentHead(inputs, config.dropout, generator)

    def _loss(self, found: Tensor, drawn: Tensor, smoothing: float) -> Tensor:
        if self._classes is not None:
            return class_loss(found, self._classes[drawn], smoothing=smoothing)
        return detection_loss(self._decided(found), self._fake[drawn], smoothing=smoothing)

    def _decided(self, found: Tensor) -> Tensor:
        """Logits [n] of a head, those of its classes [n, k] as the product decides."""
        return found if found.ndim == 1 else decide(found, self._network.photograph_classes)


class DocumentHead(nn.Module):
    """The product's network of statistics alone, whose statistics [n, d] come standardised: logits [n]."""

    def __init__(self, inputs: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        absent = Backbone(channels=(1, 1, 1), strides=(1, 1, 1), summary=inputs - 6)
        off = {"fusion": False, "frequency": False, "attention": False, "fingerprint_block": False}
        self.network = FingerprintNet(absent, dropout=dropout, statistics=True, generator=generator, **off)

    def hidden(self, statistics: Tensor) -> Tensor:
        """The embedding [n, 512]; the encoder's own standardisation is left out."""
        encoder = self.network.statistics
        assert encoder is not None
        projected: Tensor = encoder.project(encoder.dropout(statistics))
        return self.network.embedding(projected)

    def logits(self, hidden: Tensor) -> Tensor:
        """[n], above 0 for a photograph."""
        return self.network.classify(hidden)

    def forward(self, statistics: Tensor) -> Tensor:
        return self.logits(self.hidden(statistics))


class ShallowHead(nn.Module):
    """One hidden layer: logits [n], or of several classes [n, outputs], of standardised statistics [n, d]."""

    def __init__(
        self, inputs: int, dropout: float, generator: torch.Generator, *, hidden: int = 256, outputs: int = 1
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.top = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, outputs))
        for layer in (*self.body, *self.top):
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.weight.shape[1] ** -0.5, generator=generator)

    def hidden(self, statistics: Tensor) -> Tensor:
        """The hidden layer [n, hidden], 0 or above."""
        found: Tensor = self.body(statistics)
        return found

    def logits(self, hidden: Tensor) -> Tensor:
        """[n], above 0 for a photograph, or [n, outputs] of several."""
        found: Tensor = self.top(hidden)
        return found[:, 0] if found.shape[1] == 1 else found

    def forward(self, statistics: Tensor) -> Tensor:
        return self.logits(self.hidden(statistics))


def standardised(features: Tensor, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation of `features` over `rows`, each [d]."""
    chosen = features[torch.from_numpy(np.flatnonzero(rows))].float()
    return chosen.mean(dim=0), chosen.std(dim=0) + 1e-4


def scaled(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Features [n, d] in deviations from the mean, at most `LARGEST`, bfloat16."""
    out = torch.empty(features.shape, dtype=torch.bfloat16)
    for start in range(0, len(features), 1024):
        part = features[start : start + 1024].float()
        out[start : start + 1024] = ((part - mean) / deviation).clamp(-LARGEST, LARGEST).bfloat16()
    return out
