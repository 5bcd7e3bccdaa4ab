import numpy as np
import pytest
import torch
from torch import Tensor

from ganfingerprint.network.frequency import FrequencyEncoder, LogSpectrum
from ganfingerprint.network.layers import initialise


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def encoder() -> FrequencyEncoder:
    built = FrequencyEncoder()
    initialise(built, torch.Generator().manual_seed(1))
    return built


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 7), (96, 96)])
def test_the_spectrum_is_that_of_numpy_channel_by_channel(height, width):
    x = drawn(2, 3, height, width)
    expected = np.log(np.abs(np.fft.rfft2(x.numpy().astype(np.float64))) + 1e-10)
    spectrum = LogSpectrum()(x)
    assert spectrum.shape == (2, 3, height, width // 2 + 1)
    np.testing.assert_allclose(spectrum.numpy(), expected, atol=2e-3)


def test_a_wave_has_its_peak_at_its_frequency():
    columns = torch.arange(32) / 32
    wave = torch.cos(2 * torch.pi * 5 * columns).expand(1, 1, 32, 32)
    assert LogSpectrum()(wave)[0, 0].argmax() == 5  # row 0, column 5


def test_a_black_window_has_a_finite_spectrum():
    spectrum = LogSpectrum()(torch.zeros(1, 3, 16, 16))
    torch.testing.assert_close(spectrum, torch.full_like(spectrum, float(np.log(1e-10))))


def test_the_spectrum_of_a_flat_window_has_finite_gradients():
    x = torch.zeros(1, 3, 16, 16, requires_grad=True)
    LogSpectrum()(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_spectrum_is_float32_under_autocast_and_for_half_precision(dtype):
    x = drawn(1, 3, 16, 16)
    plain = LogSpectrum()(x)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(LogSpectrum()(x), plain)
    assert LogSpectrum()(x.to(dtype)).dtype is torch.float32


@pytest.mark.parametrize(
    ("side", "grid"), [(96, (3, 3)), (100, (4, 4)), (128, (4, 4)), (160, (5, 5)), (224, (14, 14)), (256, (8, 8))]
)
@pytest.mark.parametrize("batch", [1, 2])
def test_the_encoder_gives_256_maps_on_the_grid_asked_for(side, grid, batch):
    assert encoder()(drawn(batch, 3, side, side), grid).shape == (batch, 256, *grid)


def test_a_gradient_reaches_every_weight_of_the_encoder_and_the_pixels():
    built, x = encoder(), drawn(2, 3, 96, 96).requires_grad_()
    (built(x, (3, 3)) * drawn(2, 256, 3, 3, seed=2)).sum().backward()
    assert [name for name, p in built.named_parameters() if p.grad is None] == []
    assert [name for name, p in built.named_parameters() if name.endswith("weight") and p.grad.abs().max() == 0] == []
    assert x.grad.abs().max() > 0


def test_published_error_10_every_cell_of_the_spectrum_counts_and_not_one_in_eight():
    built, seen = encoder().eval(), []
    built.conv3.register_forward_hook(lambda module, args, output: seen.append(output))
    result = built(drawn(1, 3, 256, 256), (8, 8))
    assert seen[0].shape == (1, 256, 64, 32)
    torch.testing.assert_close(result[0, :, 0, 0], seen[0][0, :, :8, :4].mean(dim=(1, 2)), rtol=1e-4, atol=1e-6)


def test_the_encoder_works_in_bfloat16_autocast_close_to_float32():
    built, x = encoder().eval(), drawn(2, 3, 96, 96)
    with torch.no_grad():
        plain = built(x, (3, 3))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            reduced = built(x, (3, 3))
    assert reduced.dtype is torch.bfloat16
    assert (reduced.float() - plain).abs().mean() < 0.02 * plain.abs().mean()


def test_the_encoder_works_with_weights_stored_in_bfloat16():
    built = encoder().eval().to(torch.bfloat16)
    assert built(drawn(1, 3, 96, 96).to(torch.bfloat16), (3, 3)).dtype is torch.bfloat16
