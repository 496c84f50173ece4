"""Answers of a test set: each panorama is encoded once, each question is answered and weighed as if it were alone."""

import pytest
import torch

from panollava.data.features import FeatureStore
from panollava.data.views import load_views
from panollava.evaluation.predict import answer
from panollava.models.vlm import PanoramaBatch


@pytest.fixture
def samples(panoramas):
    """Return the questions of three panoramas, two of each, out of order."""
    groups = [p.samples[:2] for p in panoramas("train")[:3]]
    return [group[number] for number in (0, 1) for group in groups]


@torch.no_grad()
def test_every_sample_is_answered_and_weighed_as_if_alone(tiny_model, tiny_config, samples):
    model = tiny_model()
    store = FeatureStore(encode=model.encode, layout=model.layout, folder=None)
    progress = []
    answers = answer(model, samples, tiny_config(), store=store, progress=lambda *at: progress.append(at))
    assert sorted(s.sample_id for s in answers.samples) == sorted(s.sample_id for s in samples)
    assert progress == [(4, 6), (6, 6)]  # evaluation.batch_size panoramas at a time
    for sample, nll, tokens in zip(answers.samples, answers.nll, answers.tokens, strict=True):
        features = model.encode(tuple(g[None] for g in load_views(sample.image, model.layout)))
        assert sample.prediction == model.generate(features, [(0, sample.query)], max_new_tokens=4)[0]
        alone = model.loss(PanoramaBatch(features, model.pack([[(sample.query, sample.answer)]])))
        assert tokens == alone.tokens
        assert nll == pytest.approx(float(alone.loss) * alone.tokens, rel=1e-4)


def test_a_panorama_is_encoded_once_for_all_its_questions(tiny_model, tiny_config, samples):
    model = tiny_model()
    seen = []

    def encode(views):
        seen.append(len(views[0]))
        return model.encode(views)

    answer(model, samples, tiny_config(), store=FeatureStore(encode=encode, layout=model.layout, folder=None))
    assert seen == [1, 1, 1]


def test_a_blind_model_is_asked_the_same(tiny_model, tiny_config, samples):
    answers = answer(tiny_model(blind=True), samples, tiny_config(), store=None)
    assert len(answers.samples) == len(answers.nll) == 6
    assert all(n > 0 for n in answers.nll)
