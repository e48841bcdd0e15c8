"""Losses in features against closed forms."""

import pytest
import torch

from components.objectives.features import content_loss, gram, gram_loss


def test_the_gram_matrix_of_known_features():
    # Two channels over 1 x 2 places: (1, 2) and (3, -1).
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
    assert gram(features).tolist() == [[[2.5, 0.5], [0.5, 5.0]]]


def test_the_gram_matrix_forgets_places_and_size():
    features = torch.rand(2, 5, 4, 6)
    shuffled = features.flatten(2)[:, :, torch.randperm(24)].reshape(2, 5, 6, 4)
    tiled = features.repeat(1, 1, 2, 3)
    torch.testing.assert_close(gram(shuffled), gram(features))
    torch.testing.assert_close(gram(tiled), gram(features))


def test_the_gram_loss_is_of_each_picture_and_weighs_layers():
    made = {"a": torch.ones(2, 1, 2, 2), "b": torch.zeros(2, 2, 1, 1), "c": torch.ones(2, 1, 1, 1)}
    made["a"][1] = 3.0  # Gram 1 and 9
    wanted = {"a": torch.tensor([[[2.0]]]), "b": torch.tensor([[[1.0, 0.0], [0.0, 3.0]]])}
    # a: (1 - 2)^2 and (9 - 2)^2; b: (1 + 9) / 4 of both.
    assert gram_loss(made, wanted, {"a": 1.0, "b": 2.0}).tolist() == [1 + 5, 49 + 5]


def test_the_content_loss_is_a_mean_over_values():
    made, wanted = {"a": torch.tensor([[[[1.0, 3.0]]]])}, {"a": torch.zeros(1, 1, 1, 2)}
    assert content_loss(made, wanted, "a").item() == pytest.approx(5)
