"""BYOL's target follows the online network in weights and statistics, and no gradient reaches it."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from pathplugins.classify.networks.byol import Byol, byol_loss, target_momentum
from pathplugins.classify.networks.encoder import build_encoder
from pathplugins.classify.options import ClassifyArguments


def network() -> Byol:
    options = ClassifyArguments(recipe="byol", data="d", encoder="test_resnet", random_weights=0, image_size=32)
    return Byol(build_encoder(options).model, 96, 3, hidden=16, projection=8)


def test_the_loss_is_two_minus_two_cosines_of_crossed_views() -> None:
    predictions, targets = torch.randn(2, 5, 8, requires_grad=True), torch.randn(2, 5, 8, requires_grad=True)
    p, z = normalize(predictions, dim=-1), normalize(targets, dim=-1)
    wanted = sum(((p[view] - z[view]) ** 2).sum(-1).mean() for view in range(2))
    loss = byol_loss(predictions, targets)
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    assert targets.grad is None
    net = network()
    one, other = torch.randn(2, 4, 3, 32, 32)
    outputs = net(one, other)
    with torch.no_grad():
        crossed = net.target_projector(net.target_encoder(other))
    torch.testing.assert_close(outputs["targets"][0], crossed)
    torch.testing.assert_close(outputs["logits"].shape, torch.Size([8, 3]))


def test_gradients_reach_the_online_network_and_the_classifier_its_head_alone() -> None:
    net = network()
    outputs = net(*torch.randn(2, 4, 3, 32, 32))
    outputs["logits"].sum().backward(retain_graph=True)
    reached = {name.split(".")[0] for name, weight in net.named_parameters() if weight.grad is not None}
    assert reached == {"head"}
    byol_loss(outputs["predictions"], outputs["targets"]).backward()
    reached = {name.split(".")[0] for name, weight in net.named_parameters() if weight.grad is not None}
    assert reached == {"encoder", "projector", "predictor", "head"}


def test_the_target_moves_by_weights_and_statistics() -> None:
    net = network()
    for online in (net.encoder, net.projector):
        for value in online.state_dict().values():
            value.add_(1)
    before = {name: value.clone() for name, value in net.target_encoder.state_dict().items()}
    net(*torch.randn(2, 4, 3, 32, 32))  # the target's own passes leave its statistics as they are
    online = net.encoder.state_dict()
    net.move_target(0.75)
    for name, moved in net.target_encoder.state_dict().items():
        if moved.is_floating_point():
            torch.testing.assert_close(moved, 0.75 * before[name] + 0.25 * online[name])
        else:
            assert moved == online[name] == 3  # one by the test, two views


def test_the_momentum_rises_to_one() -> None:
    assert target_momentum(0, 40, 0.99) == pytest.approx(0.99)
    assert target_momentum(20, 40, 0.99) == pytest.approx(0.995)
    assert target_momentum(40, 40, 0.99) == 1.0
