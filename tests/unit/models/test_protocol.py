"""The composed model answers to the protocol, and so would any other: evaluation asks for nothing beyond it."""

import torch

from panollava.evaluation.predict import answer
from panollava.models.protocol import PanoramaModel


def test_the_composed_model_answers_to_the_protocol(tiny_model):
    assert isinstance(tiny_model(), PanoramaModel)
    assert not isinstance(torch.nn.Linear(1, 1), PanoramaModel)


def test_evaluation_asks_a_model_for_nothing_beyond_the_protocol(tiny_model, tiny_config, panoramas):
    class Narrow:
        """Shows of a model what the protocol names, and hides the rest."""

        def __init__(self, model):
            self._model = model

        def __getattr__(self, name):
            if name not in dir(PanoramaModel) and name not in PanoramaModel.__annotations__:
                raise AssertionError(f"{name} is not in the protocol")
            return getattr(self._model, name)

    samples = list(panoramas("train")[0].samples[:2])
    model = tiny_model(blind=True)
    narrow = answer(Narrow(model), samples, tiny_config(), store=None)
    assert narrow == answer(model, samples, tiny_config(), store=None)
