"""What Ray reserves for a run, and what is said without Ray. That it runs a study is tested with the other faults."""

import builtins

import pytest

from panollava.ablation import cluster
from panollava.ablation.study import load_study
from panollava.ablation.task import write_tasks
from panollava.errors import ConfigError


@pytest.fixture
def task(write):
    """Return a maker of tasks whose trainer is set."""

    def make(**trainer):
        changes = ", ".join(f"trainer.{key}: {value}" for key, value in trainer.items())
        text = f"{{experiment_name: s, base: base.yaml, set: {{{changes}}}, grid: {{lora.r: [4, 8]}}}}"
        study = load_study(write(text))
        return write_tasks(study, runs=list(study.runs))[0]

    return make


def test_a_run_takes_the_gpu_that_it_asks_for(task):
    gpus = {"CPU": 16.0, "GPU": 4.0}
    assert cluster.resources(task(accelerator="cpu"), jobs=None, cluster=gpus) == {"num_cpus": 1.0, "num_gpus": 0.0}
    assert cluster.resources(task(), jobs=None, cluster=gpus) == {"num_cpus": 1.0, "num_gpus": 1.0}
    assert cluster.resources(task(), jobs=8, cluster=gpus)["num_gpus"] == 0.5
    assert cluster.resources(task(devices=2), jobs=None, cluster=gpus) == {"num_cpus": 2.0, "num_gpus": 2.0}
    assert cluster.resources(task(devices=2), jobs=8, cluster=gpus) == {"num_cpus": 1.0, "num_gpus": 2.0}
    assert cluster.resources(task(), jobs=2, cluster=gpus)["num_gpus"] == 1.0
    assert cluster.resources(task(), jobs=2, cluster={"CPU": 2.0})["num_gpus"] == 0.0
    with pytest.raises(ConfigError, match="the Ray cluster has no GPU"):
        cluster.resources(task(accelerator="gpu"), jobs=None, cluster={"CPU": 2.0})


def test_without_ray_the_message_says_what_to_install(task, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "ray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'panollava\[ray\]'"):
        cluster.run_ray([task()], jobs=1, ended=lambda file, done: None)
