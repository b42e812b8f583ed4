"""Transition curves by the obvious loop: one image and one class at a time."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax


def slow_transition_curves(
    guide: nn.Module, follower: nn.Module, images: Tensor, labels: Tensor, num_steps: int
) -> tuple[Tensor, Tensor]:
    """Return curves of guide and follower, (images, classes - 1, steps) each."""
    num_classes = guide(images[:1]).shape[1]
    curves = torch.zeros(2, len(images), num_classes - 1, num_steps, dtype=images.dtype)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        for c in range(num_classes - 1):
            x, target = image[None].clone().requires_grad_(), (label + 1 + c) % num_classes
            for step in range(num_steps):
                logits = guide(x)
                curves[0, i, c, step] = softmax(logits, dim=1)[0, target].item()
                curves[1, i, c, step] = softmax(follower(x), dim=1)[0, target].item()
                (gradient,) = torch.autograd.grad(cross_entropy(logits, target[None]), x)
                x = (x - gradient).detach().requires_grad_()
    return curves[0], curves[1]
