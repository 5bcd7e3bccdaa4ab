"""From the embedding to the logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganfingerprint.network.gradient import pull_back


class EnhancedClassifier(nn.Module):
    """512 → 256 → 128 → classes with the embedding added again, through a linear layer, after the second stage.

    Dropout is graduated: the last hidden stage drops .8 of what the first two drop.
    """

    def __init__(self, embedding_dim: int, dropout: float, classes: int = 1) -> None:
        super().__init__()
        self.layer1 = _stage(embedding_dim, 512, dropout)
        self.layer2 = _stage(512, 256, dropout)
        self.residual = nn.Linear(embedding_dim, 256)
        self.layer3 = _stage(256, 128, 0.8 * dropout)
        self.output = nn.Linear(128, classes)

    def forward(self, embedding: Tensor) -> Tensor:
        """Embeddings [B, embedding_dim] → logits [B, classes], whatever B is."""
        logits: Tensor = self.output(self.layer3(self._hidden(embedding)))
        return logits

    def pull_back(self, embedding: Tensor, gradient: Tensor) -> Tensor:
        """The gradient at embeddings [B, embedding_dim] of what has `gradient` [B, classes] at the logits."""
        gradient = pull_back([*self.layer3, self.output], self._hidden(embedding), gradient)
        through = pull_back([*self.layer1, *self.layer2], embedding, gradient)
        return through + pull_back([self.residual], embedding, gradient)

    def _hidden(self, embedding: Tensor) -> Tensor:
        """What the third stage sees, [B, 256]."""
        hidden: Tensor = self.layer2(self.layer1(embedding)) + self.residual(embedding)
        return hidden

    def initialise(self, generator: torch.Generator | None) -> None:
        """Start undecided, with logits near 0: wide ones are noise that the first hundred steps only unlearn."""
        nn.init.normal_(self.output.weight, std=0.1 * self.output.in_features**-0.5, generator=generator)


def decide(class_logits: Tensor, photographs: int) -> Tensor:
    """Logits of the classes [B, classes], photographs first → one logit [B], above 0 for a photograph.

    A single class is that logit; of several it is the log of the odds of all kinds of photographs against all
    generators.
    """
    if class_logits.shape[1] == 1:
        return class_logits[:, 0]
    of_photographs, of_fakes = class_logits.float().tensor_split([photographs], dim=1)
    return of_photographs.logsumexp(dim=1) - of_fakes.logsumexp(dim=1)


def decide_gradient(class_logits: Tensor, photographs: int) -> Tensor:
    """The gradient of `decide` at the logits of the classes, [B, classes]."""
    if class_logits.shape[1] == 1:
        return torch.ones_like(class_logits)
    of_photographs, of_fakes = class_logits.float().tensor_split([photographs], dim=1)
    return torch.cat([of_photographs.softmax(dim=1), -of_fakes.softmax(dim=1)], dim=1)


def _stage(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.1, inplace=True), nn.Dropout(dropout)
    )
