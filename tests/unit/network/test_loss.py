import math

import pytest
import torch

from ganfingerprint.network.loss import contrastive_loss, detection_loss


@pytest.mark.parametrize(
    ("logit", "is_fake", "smoothing", "expected"),
    [
        (0.0, True, 0.0, math.log(2)),
        (2.0, False, 0.0, math.log1p(math.exp(-2))),
        (2.0, True, 0.0, math.log1p(math.exp(2))),
        (-2.0, True, 0.0, math.log1p(math.exp(-2))),
        (2.0, False, 0.2, 0.9 * math.log1p(math.exp(-2)) + 0.1 * math.log1p(math.exp(2))),
        (100.0, True, 0.0, 100.0),
        (-3.0, False, 1.0, 0.5 * (math.log1p(math.exp(3)) + math.log1p(math.exp(-3)))),
    ],
)
def test_the_loss_is_cross_entropy_with_one_for_a_photograph(logit, is_fake, smoothing, expected):
    loss = detection_loss(torch.tensor([logit]), torch.tensor([is_fake]), smoothing=smoothing)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_the_mean_over_the_batch():
    logits, is_fake = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([True, False, False])
    single = [detection_loss(logits[i : i + 1], is_fake[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(detection_loss(logits, is_fake), torch.stack(single).mean())


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8, torch.float32, torch.float64])
def test_labels_of_any_type_give_the_same_loss(dtype):
    logits = torch.tensor([1.0, -2.0])
    expected = detection_loss(logits, torch.tensor([True, False]))
    torch.testing.assert_close(detection_loss(logits, torch.tensor([1, 0]).to(dtype)), expected)


def test_a_gradient_step_makes_a_fake_less_like_a_photograph():
    logits = torch.zeros(2, requires_grad=True)
    detection_loss(logits, torch.tensor([True, False])).backward()
    assert logits.grad[0] > 0 > logits.grad[1]


def test_half_precision_logits_are_judged_in_float32():
    loss = detection_loss(torch.tensor([9.0], dtype=torch.bfloat16), torch.tensor([False]))
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-9)), rel=1e-4)


def test_logits_of_another_shape_than_the_labels_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        detection_loss(torch.zeros(4, 1), torch.zeros(4))


def test_the_contrastive_loss_is_the_papers_sum_written_out():
    embeddings = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    kinds = torch.tensor([0, 0, 1, 1, 1, 2, 0])  # the one of kind 2 has no other and does not count
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    parts = []
    for i in range(7):
        others = [j for j in range(7) if j != i]
        total = sum(math.exp(float(unit[i] @ unit[j]) / 0.2) for j in others)
        alike = [j for j in others if kinds[j] == kinds[i]]
        if alike:
            parts.append(-sum(float(unit[i] @ unit[j]) / 0.2 - math.log(total) for j in alike) / len(alike))
    assert contrastive_loss(embeddings, kinds, temperature=0.2).item() == pytest.approx(sum(parts) / 6, rel=1e-5)


def test_the_contrastive_loss_brings_kinds_together_and_never_explodes():
    embeddings = torch.randn(8, 4, generator=torch.Generator().manual_seed(2), requires_grad=True)
    kinds = torch.tensor([0, 1] * 4)
    for _ in range(400):
        (gradient,) = torch.autograd.grad(contrastive_loss(embeddings, kinds), embeddings)
        embeddings = (embeddings - 2 * gradient).detach().requires_grad_()
    unit = torch.nn.functional.normalize(embeddings.detach(), dim=1)
    cosines = unit @ unit.T
    assert cosines[0::2, 0::2].min() > 0.9 > 0.5 > cosines[0::2, 1::2].max()
    alone = contrastive_loss(embeddings, torch.arange(8))
    assert alone.item() == 0.0
