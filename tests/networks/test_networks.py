"""Networks against the published counts and sizes."""

import itertools

import pytest
import torch
from torch import nn

from components.networks.fcn8s import FCN8s
from components.networks.layers import SyncBatchNorm2d
from components.networks.patchgan import PatchGAN
from components.networks.texture_unet import TextureUNet
from components.networks.unet import UNet
from components.systems.parts import PatchGANConfig, make_patchgan


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("spectral", [False, True])
def test_a_patchgan_is_initialised_as_its_params_say_with_a_spectral_norm_too(spectral):
    torch.manual_seed(0)
    network = make_patchgan(PatchGANConfig(spectral=spectral, norm="instance"), 3, 70)
    name = "original" if spectral else "weight"
    weights = [value for key, value in network.named_parameters() if key.endswith(name)]
    assert len(weights) == 5
    for weight in weights:
        assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        assert abs(float(weight.detach().mean())) < 0.002


def test_published_parameter_counts():
    assert count(UNet(3, 3)) == 54_413_955  # 54.414 M
    assert count(PatchGAN(6)) == 2_768_705  # 2.769 M
    assert count(PatchGAN(3, norm_name="instance")) == 2_764_737  # 2.765 M
    assert round(count(FCN8s(21, 64)) / 1e6, 1) == 134.5  # FCN-8s on VGG-16, 21 classes


def encoder_decoder_parameters(levels: int, width: int, inside: int, outside: int) -> int:
    """In closed form: 4x4 convolutions without bias, two BatchNorm parameters a normalised channel."""
    widths = [width * min(2**level, 8) for level in range(levels)]
    pairs = sum(a * b for a, b in itertools.pairwise(widths))
    convolutions = 16 * (inside * widths[0] + 2 * pairs + widths[0] * outside) + outside
    return convolutions + 2 * (sum(widths[1:-1]) + sum(widths[:-1]))


def test_encoder_decoder_has_the_closed_form_count():
    """The U-Net-256 without skips: its decoder's convolutions take half the channels, but the innermost's."""
    assert encoder_decoder_parameters(8, 64, 3, 3) == count(UNet(3, 3, skips=False)) == 39_075_459
    widths = [64, 128, 256, 512, 512, 512, 512]
    saved = 16 * sum(wide * above for wide, above in zip(widths, [3, *widths], strict=False))
    assert count(UNet(3, 3)) - count(UNet(3, 3, skips=False)) == saved
    assert count(UNet(9, 3, levels=6, width=16, skips=False)) == encoder_decoder_parameters(6, 16, 9, 3)


def test_texture_twin_saves_the_skips_convolutions_and_nothing_else():
    widths = (8, 24, 48, 64, 64)
    whole, twin = TextureUNet(9, 3, widths, shortcut=0), TextureUNet(9, 3, widths, shortcut=0, skips=False)
    assert count(whole) - count(twin) == 9 * sum(wide * wide for wide in widths[:-1])


@pytest.mark.parametrize(("patch", "side"), [(1, 256), (16, 126), (34, 62), (70, 30), (142, 14), (286, 6)])
def test_patchgan_output_sizes(patch, side):
    assert PatchGAN(6, patch, width=8)(torch.zeros(1, 6, 256, 256)).shape == (1, 1, side, side)


@pytest.mark.parametrize("patch", [1, 16, 34, 70, 142])
def test_patchgan_receptive_field_is_the_patch(patch):
    """The pixels that one logit's gradient reaches span exactly the patch, found by asking autograd."""
    side = 256 if patch < 142 else 512
    torch.manual_seed(0)
    network = PatchGAN(1, patch, width=2, norm_name="none").double()
    picture = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    logits = network(picture)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    rows = picture.grad[0, 0].abs().sum(1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == patch


def test_patch_larger_than_the_picture_is_allowed():
    assert PatchGAN(6, 286, width=4)(torch.zeros(2, 6, 64, 64)).shape == (2, 1, 1, 1)
    assert PatchGAN(6, 142, width=4)(torch.zeros(2, 6, 32, 32)).numel() >= 2


def test_unet_fits_its_size_and_drops_out_as_the_authors_do():
    assert UNet(9, 3, levels=6, width=4)(torch.zeros(2, 9, 64, 64)).shape == (2, 3, 64, 64)
    assert sum(isinstance(m, nn.Dropout) for m in UNet(3, 3).modules()) == 3


def test_fcn8s_reads_pictures_of_any_size_and_pads_none_that_it_need_not():
    network = FCN8s(2, width=2).eval()
    photo = torch.rand(1, 3, 40, 70)
    with torch.no_grad():
        logits = network(photo)
        assert logits.shape == (1, 2, 40, 70)
        padded = torch.nn.functional.pad(photo, (13, 13, 12, 12), mode="replicate")
        assert torch.equal(network(padded)[..., 12:-12, 13:-13], logits)


def test_fcn8s_upsampling_starts_bilinear():
    network = FCN8s(2, width=4)
    flat = network.up_8(torch.ones(1, 2, 8, 8))
    assert torch.allclose(flat[:, :, 8:-8, 8:-8], torch.ones(()), atol=1e-6)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 2, 64, 64)


def test_sync_batch_norm_alone_is_batch_norm():
    torch.manual_seed(0)
    mine, theirs = SyncBatchNorm2d(3), nn.BatchNorm2d(3)
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(mine(x), theirs(x))
