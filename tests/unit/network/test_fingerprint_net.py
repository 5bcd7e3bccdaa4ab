import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ganfingerprint.config import NetworkConfig
from ganfingerprint.errors import ConfigError
from ganfingerprint.network.backbones import Backbone, FeatureMaps
from ganfingerprint.network.fingerprint_net import FingerprintNet, build_network
from ganfingerprint.types import Label

SWITCHES = ("frequency", "attention", "fingerprint_block")


class TinyBackbone(Backbone):
    """Three strided convolutions with batch norms, of the strides of a ResNet."""

    def __init__(self) -> None:
        super().__init__(channels=(4, 6, 8), strides=(4, 8, 32))
        self.low = nn.Sequential(nn.Conv2d(3, 4, 7, stride=4, padding=3), nn.BatchNorm2d(4), nn.ReLU())
        self.mid = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(6, 8, 7, stride=4, padding=3), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x: Tensor) -> FeatureMaps:
        low = self.low(x)
        mid = self.mid(low)
        return FeatureMaps(low, mid, self.high(mid))


def tiny_backbone(seed: int = 0) -> TinyBackbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TinyBackbone()


def tiny_net(seed: int = 1, **settings) -> FingerprintNet:
    return FingerprintNet(tiny_backbone(), generator=torch.Generator().manual_seed(seed), **settings)


def windows(batch: int, side: int = 96, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, side, side, 3), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def reference() -> FingerprintNet:
    generator = torch.Generator().manual_seed(3)
    return build_network(NetworkConfig(), generator=generator, pretrained=False).eval()


def test_the_reference_network_has_about_25_million_parameters(reference):
    assert sum(p.numel() for p in reference.parameters()) == pytest.approx(25e6, rel=0.02)


def test_the_reference_network_has_the_stages_of_the_document(reference):
    with torch.inference_mode():
        x = reference.normalise(windows(1, 256))
        maps = reference.feature_maps(x)
        fused = reference.fuse(maps, x)
        features = reference.fingerprint_map(fused)
        embedding = reference.embed(features, maps)
        logits = reference.classify(embedding)
        whole = reference.outputs(windows(1, 256))
    assert maps.summary is None
    assert [tuple(m.shape) for m in maps[:3]] == [(1, 64, 64, 64), (1, 128, 32, 32), (1, 512, 8, 8)]
    assert reference.fusion[0].in_channels == 640
    assert [tuple(m.shape) for m in (fused, features, embedding)] == [(1, 256, 8, 8), (1, 256, 8, 8), (1, 512)]
    torch.testing.assert_close(whole, (logits, embedding))


@pytest.mark.parametrize("side", [96, 100, 128, 160, 256])
@pytest.mark.parametrize("batch", [1, 2])
def test_published_error_02_any_window_and_any_batch_give_one_logit_a_window(side, batch):
    net = tiny_net().eval()
    logits, embeddings = net.outputs(windows(batch, side))
    assert logits.shape == net(windows(batch, side)).shape == (batch,)
    assert embeddings.shape == net.forward_embedding(windows(batch, side)).shape == (batch, 512)


def test_a_window_is_judged_alike_alone_and_in_a_batch():
    net = tiny_net().eval()
    together = net(windows(3))
    torch.testing.assert_close(
        together, torch.cat([net(windows(3)[i : i + 1]) for i in range(3)]), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("off", [(), ("frequency",), ("attention",), ("fingerprint_block",), SWITCHES])
def test_each_part_can_be_left_out(off):
    net = tiny_net(**dict.fromkeys(off, False))
    assert net(windows(2)).shape == (2,)
    parts = {"frequency": "freq_encoder.", "attention": "attention.", "fingerprint_block": "fingerprint."}
    for switch, start in parts.items():
        assert any(name.startswith(start) for name in net.state_dict()) is (switch not in off)
    assert net.fusion[0].in_channels == (384 if "frequency" in off else 640)


def test_statistics_of_the_maps_join_the_embedding_when_asked_for():
    net = tiny_net(statistics=True).eval()
    assert tiny_net().statistics is None
    assert net.embedding[0].in_features == 512
    x = net.normalise(windows(2))
    maps = net.feature_maps(x)
    features = net.fingerprint_map(net.fuse(maps, x))
    doubled = maps.apply(lambda part: 2 * part)
    assert not torch.allclose(net.embed(features, maps), net.embed(features, doubled))


STATISTICS_ALONE = {"fusion": False, "statistics": True, **dict.fromkeys(SWITCHES, False)}


def test_without_fusion_the_statistics_alone_lead_to_the_logits():
    net = tiny_net(**STATISTICS_ALONE).eval()
    assert net.fusion is None
    assert not any("adapter" in name for name in net.state_dict())
    assert net.embedding[0].in_features == 256
    x = net.normalise(windows(2))
    maps = net.feature_maps(x)
    torch.testing.assert_close(net.embed(None, maps), net.head(maps, x)[1])
    with pytest.raises(ValueError, match="fuses no maps"):
        net.fuse(maps, x)


@pytest.mark.parametrize("part", [*SWITCHES, "statistics"])
def test_parts_that_have_no_map_to_work_on_are_refused(part):
    changed = STATISTICS_ALONE | {part: part != "statistics"}
    with pytest.raises(ConfigError, match="leaves the statistics alone"):
        tiny_net(**changed)


@pytest.mark.parametrize("dim", [8, 512])
def test_the_fingerprint_has_the_length_asked_for(dim):
    assert tiny_net(embedding_dim=dim).eval().forward_embedding(windows(1)).shape == (1, dim)


def test_dropout_is_graduated():
    net = tiny_net(dropout=0.5)
    rates = [m.p for m in (*net.embedding, *net.classifier.modules()) if isinstance(m, nn.Dropout)]
    assert rates == [0.5, 0.5, 0.5, 0.4]


def test_the_classifier_adds_the_embedding_again_after_its_second_layer():
    classifier = tiny_net().eval().classifier
    nn.init.zeros_(classifier.layer2[1].weight)
    nn.init.zeros_(classifier.layer2[1].bias)
    embedding = torch.rand(2, 512)
    torch.testing.assert_close(
        classifier(embedding), classifier.output(classifier.layer3(classifier.residual(embedding)))
    )


# What the published code got wrong, and must not return.


def test_published_error_01_new_layers_are_initialised_and_the_weights_of_the_backbone_are_untouched():
    before = {name: value.clone() for name, value in tiny_backbone().state_dict().items()}
    net = tiny_net()
    for name, value in before.items():
        assert torch.equal(net.backbone.state_dict()[name], value), name


def test_what_a_caller_froze_in_a_backbone_stays_frozen():
    backbone = tiny_backbone()
    backbone.low.requires_grad_(False)
    net = FingerprintNet(backbone, train_backbone=True)
    assert not any(weight.requires_grad for weight in net.backbone.low.parameters())
    assert all(weight.requires_grad for weight in net.backbone.high.parameters())


@pytest.mark.parametrize("train_backbone", [True, False])
def test_building_leaves_the_state_of_torch_alone(train_backbone):
    before = torch.get_rng_state()
    config = NetworkConfig(backbone="resnet18", train_backbone=train_backbone)
    build_network(config, generator=torch.Generator().manual_seed(1), pretrained=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_generator_decides_every_weight_of_the_backbone_too():
    def built(seed: int) -> dict[str, Tensor]:
        config = NetworkConfig(backbone="resnet18")
        return build_network(config, generator=torch.Generator().manual_seed(seed), pretrained=False).state_dict()

    first, other = built(7), built(8)
    torch.rand(1)  # what else happens in the process has no part in it
    second = built(7)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    for name in ("backbone.embedder.embedder.convolution.weight", "fusion.0.weight", "classifier.output.weight"):
        assert not torch.equal(first[name], other[name])


def test_without_a_generator_the_state_of_torch_decides():
    with torch.random.fork_rng(devices=[]):
        first, second = (torch.manual_seed(4) and FingerprintNet(tiny_backbone()) for _ in range(2))
        third = FingerprintNet(tiny_backbone())
    assert torch.equal(first.fusion[0].weight, second.fusion[0].weight)
    assert not torch.equal(second.fusion[0].weight, third.fusion[0].weight)


@pytest.mark.parametrize("training", [True, False])
def test_published_error_09_fingerprint_distance_is_zero_for_equal_windows_in_any_mode(training):
    net = tiny_net().train(training)
    distance = net.fingerprint_distance(windows(3), windows(3))
    assert distance.shape == (3,)
    assert distance.abs().max() == 0
    assert net.training is training


def test_published_error_09_fingerprint_distance_is_one_minus_the_cosine_pair_by_pair():
    net = tiny_net().eval()
    first, second = windows(3), windows(3, seed=9)
    with torch.no_grad():
        cosine = functional.cosine_similarity(net.forward_embedding(first), net.forward_embedding(second))
        distance = net.fingerprint_distance(first, second)
    torch.testing.assert_close(distance, 1 - cosine, rtol=1e-4, atol=1e-6)
    assert 0 < distance.min() <= distance.max() <= 2


def test_fingerprint_distance_leaves_the_running_statistics_alone():
    net = tiny_net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.fingerprint_distance(windows(2), windows(2, seed=1))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


# Pixels


@pytest.mark.parametrize("brightest", [1, 255])
def test_the_type_of_the_pixels_decides_their_scale_and_never_their_content(brightest):
    net, pixels = tiny_net(), windows(1).clamp(max=brightest)  # zeros and ones are almost black
    expected = (pixels.numpy().astype("float64") / 255 - net.backbone.mean) / net.backbone.std
    x = net.normalise(pixels)
    assert x.shape == (1, 3, 96, 96)
    torch.testing.assert_close(x, torch.from_numpy(expected).permute(0, 3, 1, 2).float())
    torch.testing.assert_close(net.normalise(pixels.float() / 255), x)


def test_floating_ones_are_white_and_bytes_of_one_are_not():
    net = tiny_net()
    white, black = net.normalise(torch.ones(1, 96, 96, 3)), net.normalise(torch.ones(1, 96, 96, 3, dtype=torch.uint8))
    torch.testing.assert_close(
        white[0, :, 0, 0], (1 - torch.tensor(net.backbone.mean)) / torch.tensor(net.backbone.std)
    )
    torch.testing.assert_close(
        black[0, :, 0, 0], (1 / 255 - torch.tensor(net.backbone.mean)) / torch.tensor(net.backbone.std)
    )


@pytest.mark.parametrize(
    ("pixels", "error"),
    [
        (torch.zeros(1, 96, 96, 3, dtype=torch.int64), TypeError),
        (torch.zeros(1, 96, 96, 3, dtype=torch.bool), TypeError),
        (torch.zeros(1, 3, 96, 96), ValueError),
        (torch.zeros(96, 96, 3), ValueError),
    ],
)
def test_pixels_of_another_type_or_shape_are_refused(pixels, error):
    with pytest.raises(error, match="pixels must be"):
        tiny_net().normalise(pixels)


def test_the_normalisation_is_no_part_of_the_weights():
    assert not {"mean", "std"} & set(tiny_net().state_dict())


# Learning


def test_a_gradient_reaches_every_parameter_after_one_step():
    net = tiny_net(dropout=0.0).train()
    nn.init.constant_(net.attention.gamma, 0.5)  # as a first step leaves it: not 0
    net(windows(4)).square().sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None]
    weights = [name for name, p in net.named_parameters() if name.endswith("weight") and p.grad.abs().max() == 0]
    assert (without, weights) == ([], [])


def test_the_gain_of_the_attention_has_a_gradient_from_the_start():
    net = tiny_net().train()
    net(windows(4)).square().sum().backward()
    assert net.attention.gamma.item() == 0
    assert net.attention.gamma.grad.abs() > 0


def test_the_network_starts_undecided_and_its_windows_apart():
    torch.manual_seed(0)
    logits = tiny_net().train()(windows(16)).detach()
    assert logits.abs().max() < 0.7  # a loss near log 2, not the noise of wide logits
    assert logits.std() > 0.01


def test_the_network_learns_to_tell_smooth_from_noisy_windows():
    torch.manual_seed(0)
    net = tiny_net(dropout=0.0).train()
    noisy = windows(4)
    smooth = noisy.float().mean(dim=(1, 2), keepdim=True).expand(4, 96, 96, 3).to(torch.uint8)
    pixels, target = torch.cat([noisy, smooth]), torch.tensor([0.0] * 4 + [1.0] * 4)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(16):  # the first ones only make an undecided network decide
        loss = functional.binary_cross_entropy_with_logits(net(pixels), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


def test_a_frozen_backbone_keeps_weights_and_statistics_while_the_head_learns():
    net = tiny_net(train_backbone=False).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert net.training
    assert not any(m.training for m in net.backbone.modules())
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(windows(4)).sum().backward()
    optimizer.step()
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("backbone.") for name in moved)
    assert {"fusion.0.weight", "fusion.1.running_mean"} <= moved
    assert all(p.grad is None for p in net.backbone.parameters())


def test_a_backbone_that_learns_follows_the_mode_of_the_network():
    net = tiny_net()
    assert net.train().backbone.training
    assert not net.eval().backbone.training


def test_the_head_answers_alike_from_maps_that_were_kept():
    net, pixels = tiny_net(train_backbone=False).eval(), windows(2)
    with torch.no_grad():
        x = net.normalise(pixels)
        kept = net.feature_maps(x).apply(torch.clone)
        torch.testing.assert_close(net.head(kept, x), net.outputs(pixels))


def test_the_network_works_in_bfloat16_autocast_close_to_float32():
    net, pixels = tiny_net().eval(), windows(2)
    with torch.no_grad():
        plain = net(pixels)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            reduced = net(pixels)
    assert (reduced.float() - plain).abs().max() < 0.1


def test_a_training_step_works_in_bfloat16_autocast():
    net = tiny_net().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(windows(4))
    logits.float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


# For those who explain


@pytest.mark.parametrize("fingerprint_block", [True, False])
def test_the_layer_for_gradcam_puts_out_the_fingerprint_map(fingerprint_block):
    net, seen = tiny_net(fingerprint_block=fingerprint_block).eval(), []
    handle = net.gradcam_layer.register_forward_hook(lambda module, args, output: seen.append(output))
    net(windows(1))
    handle.remove()
    x = net.normalise(windows(1))
    torch.testing.assert_close(seen[0], net.fingerprint_map(net.fuse(net.feature_maps(x), x)))
    assert seen[0].requires_grad


def test_evidence_for_a_photograph_is_the_logit_and_for_a_fake_its_opposite():
    logits = torch.tensor([2.0, -3.0])
    assert torch.equal(FingerprintNet.evidence(logits, Label.REAL), logits)
    assert torch.equal(FingerprintNet.evidence(logits, Label.FAKE), -logits)


def test_the_settings_of_a_configuration_reach_the_network():
    config = NetworkConfig(
        backbone="resnet18", embedding_dim=32, dropout=0.1, frequency=False, attention=False, train_backbone=False
    )
    net = build_network(config, generator=torch.Generator().manual_seed(0), pretrained=False)
    assert net.freq_encoder is None
    assert isinstance(net.attention, nn.Identity)
    assert net.embedding[0].out_features == 32
    assert net.embedding[3].p == 0.1
    assert not any(p.requires_grad for p in net.backbone.parameters())
