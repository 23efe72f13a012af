"""REG-Net that judges each pixel, and the normalisation that it has only while it is trained."""

import pytest
import torch

from SegQualityQCLib.estimators.networks.architectures import PixelRegNet, blurred, reg_network

training = pytest.importorskip("training.fitting.batch_norm", reason="needs the extra `training`")

SIZES = {"filters": (8, 8, 16), "hidden": (8,)}


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    image = 2 * torch.rand(3, 1, 32, 32, generator=generator) - 1
    mask = torch.zeros(3, 1, 32, 32)
    mask[:2, :, 10:20, 12:24] = 1
    return torch.cat([image, mask], dim=1)


def test_before_training_the_prediction_is_the_dice_of_the_candidate_with_the_judged_pixels(pair):
    network = PixelRegNet(**SIZES).eval()
    logits, _, pixels = network.judge(pair)
    probability, mask = torch.sigmoid(pixels), pair[:, 1:]
    dice = 2 * (probability * mask).sum((1, 2, 3)) / (probability + mask).sum((1, 2, 3))
    assert pixels.shape == mask.shape
    assert torch.allclose(torch.sigmoid(logits), dice, atol=1e-3)


def test_a_candidate_without_a_pixel_gets_a_finite_prediction(pair):
    assert torch.isfinite(PixelRegNet(**SIZES).eval().logits(pair)).all()


def test_the_smoothing_takes_an_attacks_finest_pattern_away():
    checkerboard = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    image = 0.05 * (2.0 * checkerboard - 1)[None, None]
    assert blurred(image, 1.0)[..., 4:-4, 4:-4].abs().max() < 0.001
    assert torch.allclose(blurred(torch.full((1, 1, 32, 32), 0.3), 1.0), torch.tensor(0.3))


@pytest.fixture
def trained(pair):
    """A network with normalisation after three steps of training."""
    torch.manual_seed(0)
    network = training.with_batch_norm(PixelRegNet(**SIZES))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        sum(network(pair)).sum().backward()
        optimizer.step()
    return network.eval()


def test_folding_the_normalisation_changes_no_prediction_and_leaves_the_network_of_the_bundle(pair, trained):
    bundled = PixelRegNet(**SIZES).eval()
    bundled.load_state_dict(training.folded(trained).state_dict())
    for of_bundle, of_network in zip(bundled(pair), trained(pair), strict=True):
        assert torch.allclose(of_bundle, of_network, atol=1e-5)


def test_a_bundles_network_gets_its_normalisation_back_and_predicts_the_same_in_use_and_in_training(pair, trained):
    bundled = training.folded(trained)
    unfolded = training.unfolded(bundled, [pair])
    assert unfolded.state_dict().keys() == trained.state_dict().keys()
    for training_mode in (False, True):  # without dropout
        for module in unfolded.modules():
            module.train(training_mode and isinstance(module, torch.nn.BatchNorm2d))
        for of_bundle, of_network in zip(bundled(pair), unfolded(pair), strict=True):
            assert torch.allclose(of_bundle, of_network, atol=1e-4)


def test_the_expected_error_learns_from_a_prediction_that_it_does_not_change(pair):
    torch.manual_seed(0)
    network = PixelRegNet(**SIZES)
    network(pair)[1].sum().backward()
    with_slope = {name for name, value in network.named_parameters() if value.grad is not None}
    assert with_slope
    assert all(name.startswith("log_spread.") for name in with_slope)


def test_a_head_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="head must be"):
        reg_network(window=32, head="transformer")
