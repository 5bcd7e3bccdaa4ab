"""What every export traces: the whole way from pixels to logits, embeddings, heat and perhaps a summary."""

from __future__ import annotations

from torch import Tensor, nn

from ganfingerprint.network.fingerprint_net import FingerprintNet

OUTPUTS = ("logits", "embeddings", "heat", "summary")  # the last is not there without a summary


class Traced(nn.Module):
    """A network in evaluation mode whose `forward` is its `explained`."""

    def __init__(self, network: FingerprintNet) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Logits [n], embeddings [n, d], heat [n, h, w] and perhaps a summary [n, k] of uint8 pixels [n, s, s, 3]."""
        return self.network.explained(pixels)

    @property
    def names(self) -> tuple[str, ...]:
        """What the outputs are called, in their order."""
        return OUTPUTS if self.network.backbone.summary else OUTPUTS[:-1]
