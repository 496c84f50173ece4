"""Vision tokens go where the placeholders are, and only if there are as many."""

import pytest
import torch

from panollava.errors import FusionError
from panollava.models.fusion import fuse


def test_each_row_gets_its_own_tokens_in_order():
    words = torch.zeros(2, 4, 1)
    places = torch.tensor([[False, True, True, False], [True, False, False, True]])
    vision = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert fuse(words, places, vision)[..., 0].tolist() == [[0, 1, 2, 0], [3, 0, 0, 4]]


def test_words_keep_their_embeddings_and_their_type():
    words = torch.randn(1, 3, 2, dtype=torch.bfloat16)
    fused = fuse(words, torch.tensor([[False, True, False]]), torch.ones(1, 1, 2))
    assert fused.dtype == torch.bfloat16
    assert torch.equal(fused[:, [0, 2]], words[:, [0, 2]])


@pytest.mark.parametrize("first", [1, 3])
def test_a_different_number_is_an_error_with_both_numbers(first):
    """Even where the sums agree: scattering would then move tokens into the next panorama's conversation."""
    places = torch.tensor([[i < first for i in range(4)], [i < 4 - first for i in range(4)]])
    with pytest.raises(FusionError, match=f"row 0 has {first} placeholders but received 2 vision tokens"):
        fuse(torch.zeros(2, 4, 1), places, torch.zeros(2, 2, 1))


def test_the_model_refuses_text_for_another_layout(tiny_model, pixels):
    from panollava.models.vlm import PanoramaBatch

    wide, narrow = tiny_model(), tiny_model("views.global_view=false")
    batch = PanoramaBatch(wide.encode(pixels(wide, 1)), narrow.pack([[("where?", "left")]]))
    with pytest.raises(FusionError, match="row 0 has 32 placeholders but received 40 vision tokens"):
        wide.loss(batch)
