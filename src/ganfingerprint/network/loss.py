"""The training loss. The network's sign stays here: the target of a photograph is 1."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def detection_loss(logits: Tensor, is_fake: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Mean binary cross-entropy of the network's logits.

    Args:
        logits: [B] in the network's sign, above 0 for a photograph.
        is_fake: [B] bool, or numbers where 1 is fake and 0 a photograph (a share between for mixed pictures).
        smoothing: 0..1; targets move from 0 and 1 towards one half by half of it.

    Raises:
        ValueError: the shapes differ, which would silently compare every logit with every label.
    """
    if logits.shape != is_fake.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and labels {tuple(is_fake.shape)} differ in shape")
    target = 1.0 - is_fake.to(device=logits.device, dtype=logits.float().dtype)
    target = target * (1.0 - smoothing) + 0.5 * smoothing
    # float32: under autocast the logits of a head may come as bfloat16, with three digits.
    return functional.binary_cross_entropy_with_logits(logits.float(), target)


def class_loss(class_logits: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of the logits of several classes.

    Args:
        class_logits: [B, classes].
        targets: int64 [B], the class of each.
        smoothing: 0..1, share of the target that is spread over all classes.
    """
    return functional.cross_entropy(class_logits.float(), targets.to(class_logits.device), label_smoothing=smoothing)
