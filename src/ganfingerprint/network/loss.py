"""The training loss. The network's sign stays here: the target of a photograph is 1."""

from __future__ import annotations

import torch
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


def contrastive_loss(embeddings: Tensor, kinds: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Mean supervised contrastive loss: embeddings of one kind point one way, those of others elsewhere.

    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020 (L_out), without their second view.

    Args:
        embeddings: [B, d]; only their directions count.
        kinds: int64 [B], of each; one that is alone in its batch does not count.
        temperature: of the softmax over cosines.
    """
    directions = functional.normalize(embeddings.float(), dim=1)
    itself = torch.eye(len(kinds), dtype=torch.bool, device=embeddings.device)
    near = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)  # [B, B]
    alike = (kinds[:, None] == kinds) & ~itself
    shares = near - near.logsumexp(dim=1, keepdim=True)
    counts = alike.sum(dim=1)
    of_each = shares.masked_fill(~alike, 0.0).sum(dim=1) / counts.clamp(min=1)
    return -of_each.sum() / (counts > 0).sum().clamp(min=1)
