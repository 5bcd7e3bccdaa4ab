"""What every export traces: the whole way from pixels to logits and embeddings."""

from __future__ import annotations

from torch import Tensor, nn

from ganfingerprint.network.fingerprint_net import FingerprintNet


class Traced(nn.Module):
    """A network in evaluation mode whose `forward` is its `outputs`."""

    def __init__(self, network: FingerprintNet) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n] and embeddings [n, d] of uint8 pixels [n, s, s, 3]."""
        return self.network.outputs(pixels)
