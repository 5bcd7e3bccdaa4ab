"""What the backbone's maps hold of a window as a whole, without its place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganfingerprint.network.backbones import Backbone, FeatureMaps
from ganfingerprint.network.gradient import pull_back

_EPS = 1e-6


def condensed(maps: FeatureMaps) -> FeatureMaps:
    """Maps of two cells [B, c, 1, 2] whose means and deviations are those of `maps`; the summary as it is.

    A network that uses nothing else of its maps can learn from these, which take a hundredth of the room.
    """

    def two_cells(plane: Tensor) -> Tensor:
        cells = plane.float().flatten(2)  # [B, c, n]
        mean, deviation = cells.mean(dim=2), cells.var(dim=2, correction=0).sqrt()
        return torch.stack([mean - deviation, mean + deviation], dim=2).unsqueeze(2)

    return FeatureMaps(two_cells(maps.low), two_cells(maps.mid), two_cells(maps.high), maps.summary)


class StatisticsEncoder(nn.Module):
    """Mean and deviation of each map over its cells, and the backbone's summary, standardised and projected.

    A generator's trace is spread over the whole window, so that statistics of a pretrained network's features tell
    it almost by themselves (Ojha et al., 2023, probe the last class token of CLIP). The document has no such branch.

    Args:
        backbone: whose maps these are.
        out_channels: length of the result.
        dropout: of the standardised statistics, 0..1.
    """

    def __init__(self, backbone: Backbone, out_channels: int, *, dropout: float) -> None:
        super().__init__()
        inputs = 2 * sum(backbone.channels) + backbone.summary
        self.places = nn.Identity()  # the maps on their way in, for a look at where the evidence lies
        self.standardise = nn.BatchNorm1d(inputs, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Sequential(nn.Linear(inputs, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU())

    @staticmethod
    def statistics(maps: FeatureMaps) -> Tensor:
        """Means of the three maps, their deviations, then the summary: [B, inputs], float32."""
        planes = [plane.float().flatten(2) for plane in (maps.low, maps.mid, maps.high)]  # each [B, c, n]
        parts = [plane.mean(dim=2) for plane in planes]
        parts += [(plane.var(dim=2, correction=0) + _EPS).sqrt() for plane in planes]
        if maps.summary is not None:
            parts.append(maps.summary.float())
        return torch.cat(parts, dim=1)

    def forward(self, maps: FeatureMaps) -> Tensor:
        """The three maps and the summary → [B, out_channels], never negative."""
        projected: Tensor = self.project(self.dropout(self.standardise(self.statistics(self._placed(maps)))))
        return projected

    def weights(self, maps: FeatureMaps, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The maps as `places` shows them [B, c, h, w], and the gradient [B, c] at their means of what has `gradient`
        [B, out_channels] behind this encoder.
        """
        raw = self.statistics(maps)
        at_statistics = pull_back([self.standardise, *self.project], raw, gradient)
        at_means = at_statistics[:, : sum(plane.shape[1] for plane in maps[:3])]
        if _share_a_grid(maps):
            return torch.cat(maps[:3], dim=1), at_means
        return maps.high, at_means[:, -maps.high.shape[1] :]

    def _placed(self, maps: FeatureMaps) -> FeatureMaps:
        """The maps after `places`: all three as one where they share a grid, else the last alone."""
        if not _share_a_grid(maps):
            return maps._replace(high=self.places(maps.high))
        joined: Tensor = self.places(torch.cat(maps[:3], dim=1))  # [B, all channels, h, w]
        ends = (maps.low.shape[1], maps.low.shape[1] + maps.mid.shape[1])
        low, mid, high = joined.tensor_split(ends, dim=1)
        return maps._replace(low=low, mid=mid, high=high)


def _share_a_grid(maps: FeatureMaps) -> bool:
    return maps.low.shape[2:] == maps.mid.shape[2:] == maps.high.shape[2:]
