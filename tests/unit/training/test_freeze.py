"""What trains is what the stage table names, and nothing else."""

import pytest

from panollava.errors import TrainingError
from panollava.training.freeze import set_trainable


def training(model):
    return {c for c, _, p in model.component_parameters() if p.requires_grad}


@pytest.mark.parametrize("components", [("resampler",), ("projector", "position"), ("language",), ("adapter",)])
def test_the_named_components_train(tiny_model, components):
    model = tiny_model(adapter=True)
    counts = set_trainable(model, components, vision_blocks=1)
    assert training(model) == set(components) == set(counts.trainable)
    every = sum(p.numel() for p in model.parameters())
    assert sum(counts.trainable.values()) + sum(counts.frozen.values()) == every
    assert all(p.requires_grad == (c in components) for c, _, p in model.component_parameters())


@pytest.mark.parametrize("family", ["siglip", "siglip2", "clip", "dinov2", "dinov3", "vit"])
@pytest.mark.parametrize("blocks", [1, 2])
def test_only_the_last_blocks_of_the_encoder_train(tiny_model, family, blocks):
    model = tiny_model(vision=family)
    counts = set_trainable(model, ["vision"], vision_blocks=blocks)
    names = [n for c, n, p in model.component_parameters() if p.requires_grad]
    ours = [n for n, _ in model.named_parameters() if n.startswith("vision.")]
    wanted = [n for n in ours if any(f".{number}." in n for number in range(2 - blocks, 2))]
    assert names and sorted(names) == sorted(wanted)
    assert set(counts.trainable) == {"vision"} and counts.frozen["vision"] > 0


def test_a_stage_frees_what_the_one_before_froze(tiny_model):
    model = tiny_model()
    set_trainable(model, ["vision"], vision_blocks=1)
    set_trainable(model, ["projector"], vision_blocks=1)
    assert training(model) == {"projector"}


@pytest.mark.parametrize("kind", ["none", "rotary"])
def test_a_position_without_parameters_is_no_mistake_of_the_stage(tiny_model, kind):
    counts = set_trainable(tiny_model(f"position.kind={kind}"), ["projector", "position"], vision_blocks=0)
    assert set(counts.trainable) == {"projector"}
    with pytest.raises(TrainingError, match="'position', but the model has none"):
        set_trainable(tiny_model(blind=True), ["position"], vision_blocks=0)


@pytest.mark.parametrize(
    ("components", "message"),
    [
        (["adaptor"], "'adaptor'. Did you mean 'adapter'"),
        (["adapter"], "trains 'adapter', but the model has none. Present: .*'language'"),
        (["vision"], "nothing trains with components .'vision'. and 0 encoder blocks"),
    ],
)
def test_what_cannot_train_is_refused(tiny_model, components, message):
    with pytest.raises(TrainingError, match=message):
        set_trainable(tiny_model(), components, vision_blocks=0)


def test_blocks_after_the_layer_that_is_read_do_not_train(tiny_model):
    """They would get no gradient, and several processes would wait for it."""
    model = tiny_model("vision.feature_layer=-2")
    set_trainable(model, ["vision"], vision_blocks=1)
    names = [n for n, p in model.named_parameters() if n.startswith("vision.") and p.requires_grad]
    assert names and all(".0." in name for name in names)
