"""Statistics of a backbone's maps, against numpy."""

from __future__ import annotations

import numpy as np
import torch

from ganfingerprint.network.backbones import Backbone, FeatureMaps
from ganfingerprint.network.statistics import StatisticsEncoder, condensed


def maps(*, batch: int = 3, summary: bool = True) -> FeatureMaps:
    generator = torch.Generator().manual_seed(0)
    low, mid, high = (
        torch.randn(batch, channels, side, side, generator=generator) * channels
        for channels, side in ((4, 8), (6, 4), (8, 2))
    )
    return FeatureMaps(low, mid, high, torch.randn(batch, 5, generator=generator) if summary else None)


def encoder(summary: int = 5) -> StatisticsEncoder:
    return StatisticsEncoder(Backbone(channels=(4, 6, 8), strides=(4, 8, 16), summary=summary), 16, dropout=0.5)


def test_statistics_are_means_then_deviations_then_the_summary() -> None:
    seen = maps()
    found = StatisticsEncoder.statistics(seen).numpy()
    planes = [plane.numpy() for plane in seen[:3] if plane is not None]
    expected = [plane.mean(axis=(2, 3)) for plane in planes] + [plane.std(axis=(2, 3)) for plane in planes]
    assert seen.summary is not None
    np.testing.assert_allclose(found, np.concatenate([*expected, seen.summary.numpy()], axis=1), rtol=1e-4, atol=1e-4)


def test_without_a_summary_the_maps_alone_count() -> None:
    assert StatisticsEncoder.statistics(maps(summary=False)).shape == (3, 36)
    assert encoder(summary=0)(maps(summary=False)).shape == (3, 16)


def test_condensed_maps_have_two_cells_and_the_same_statistics() -> None:
    seen = maps()
    small = condensed(seen)
    assert [tuple(plane.shape) for plane in small[:3] if plane is not None] == [(3, c, 1, 2) for c in (4, 6, 8)]
    torch.testing.assert_close(StatisticsEncoder.statistics(small), StatisticsEncoder.statistics(seen))


def test_where_a_feature_lies_does_not_matter() -> None:
    branch, seen = encoder().eval(), maps()
    turned = seen._replace(low=seen.low.flip(2), mid=seen.mid.flip(3), high=seen.high.transpose(2, 3))
    torch.testing.assert_close(branch(seen), branch(turned))


def test_a_constant_map_has_a_gradient_that_is_a_number() -> None:
    flat = FeatureMaps(*(torch.ones(2, channels, 2, 2, requires_grad=True) for channels in (4, 6, 8)))
    encoder(summary=0).eval()(flat).sum().backward()
    assert flat.low.grad is not None
    assert torch.isfinite(flat.low.grad).all()


def test_half_precision_maps_are_summed_in_single_precision() -> None:
    big = FeatureMaps(*(torch.full((1, channels, 64, 64), 60.0).half() for channels in (4, 6, 8)))
    found = StatisticsEncoder.statistics(big)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found[0, :18], torch.full((18,), 60.0))


def test_every_weight_gets_a_gradient() -> None:
    branch = encoder()
    branch(maps()).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in branch.named_parameters()}
    assert gradients
    assert all(
        grad is not None and grad.abs().sum() > 0 for name, grad in gradients.items() if name != "project.0.bias"
    )


def test_maps_of_one_grid_are_looked_at_together_and_of_several_the_last_alone() -> None:
    branch, seen = encoder(summary=0).eval(), []
    branch.places.register_forward_hook(lambda module, args, output: seen.append(output))
    alike = FeatureMaps(*(torch.randn(2, channels, 3, 4) for channels in (4, 6, 8)))
    found = branch(alike)
    assert torch.equal(seen[0], torch.cat([alike.low, alike.mid, alike.high], dim=1))
    branch.places = torch.nn.Identity()
    assert torch.equal(branch(alike), found)
    several = maps(summary=False)
    branch.places.register_forward_hook(lambda module, args, output: seen.append(output))
    branch(several)
    assert torch.equal(seen[1], several.high)
