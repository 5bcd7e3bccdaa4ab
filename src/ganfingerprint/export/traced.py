"""What every export traces: the whole way from pixels to logits, embeddings and heat."""

from __future__ import annotations

from torch import Tensor, nn

from ganfingerprint.network.fingerprint_net import FingerprintNet

OUTPUTS = ("logits", "embeddings", "heat")


class Traced(nn.Module):
    """A network in evaluation mode whose `forward` is its `explained`."""

    def __init__(self, network: FingerprintNet) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [n], embeddings [n, d] and heat [n, h, w] of uint8 pixels [n, s, s, 3]."""
        return self.network.explained(pixels)
