"""Models that are asked by a method of their own, `query`, with code from their repository (as Moondream's)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from backends.chat_server.completions import Completion, Delta, Finished
from backends.chat_server.errors import RequestError
from backends.chat_server.protocol import parse_chat_request
from backends.hf_server.settings import Settings

CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel


class Config(PretrainedConfig):
    model_type = "asked_by_query"


class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.zeros(1))
        self.post_init()

    def query(self, image, question, reasoning=False, stream=False, settings=None):
        drawn = torch.rand(1).item() if settings["temperature"] else 0
        return {"answer": f" {image.size} {question} {settings['max_tokens']} {drawn:.3f} {self.scale.item():g}"}
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    import torch
    from safetensors.torch import save_file

    from backends.hf_server.loading import load

    folder = tmp_path_factory.mktemp("own_query") / "checkpoint"
    folder.mkdir()
    (folder / "modeling_asked.py").write_text(CODE)
    auto = {"AutoConfig": "modeling_asked.Config", "AutoModelForCausalLM": "modeling_asked.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "asked_by_query", "auto_map": auto}))
    save_file({"scale": torch.full((1,), 7.0)}, folder / "model.safetensors", metadata={"format": "pt"})
    settings = Settings(
        model=str(folder), port=1, device="cpu", dtype="float32", family="own_query", trust_remote_code=True
    )
    return load(settings, lambda _: None)


def answered(loaded, body) -> tuple[str, Finished]:
    from backends.hf_server import direct

    events, asked = [], parse_chat_request(body, "model")
    prepared = loaded.family.prepare(asked)
    ticket = SimpleNamespace(
        request=asked,
        arrived=time.perf_counter(),
        prepare_s=0.0,
        cancelled=False,
        prepared=prepared,
        emit=events.append,
    )
    direct.run_batch(loaded, [ticket])
    delta, finished = events
    assert isinstance(delta, Delta) and isinstance(finished, Finished)
    return delta.text, finished


def test_it_is_asked_with_the_sampling_of_the_request(loaded, bodies):
    text, finished = answered(loaded, bodies.request(bodies.picture(112, 84), max_tokens=9))
    assert text == "(112, 84) What? 9 0.000 7", "its own weights and our question"
    assert finished.completion_tokens is None
    whole = Completion(parse_chat_request(bodies.request(), "model"), "model").whole(Delta(text, ()), finished)
    assert whole["usage"] == {}, "what nobody counted is not told"
    drawn = [answered(loaded, bodies.request(bodies.picture(), temperature=1, seed=seed))[0] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"top_k": 5}, "temperature, top_p and max_tokens alone"),
        ({"stop": "x"}, "temperature, top_p and max_tokens alone"),
        ({"mm_processor_kwargs": {"max_pixels": 9}}, "temperature, top_p and max_tokens alone"),
    ],
)
def test_what_it_can_not_be_told_is_refused(loaded, bodies, values, words):
    with pytest.raises(RequestError, match=words):
        loaded.family.prepare(parse_chat_request(bodies.request(bodies.picture(), **values), "model"))


def test_two_pictures_are_one_too_many(loaded, bodies):
    content = [*bodies.picture(), *bodies.picture()]
    with pytest.raises(RequestError, match="one picture and one text"):
        loaded.family.prepare(parse_chat_request(bodies.request(content), "model"))


def test_moondream_names_its_family_and_environment():
    from omegaconf import OmegaConf

    root = Path(__file__).parents[3]
    model = OmegaConf.load(root / "conf/model/moondream2.yaml")
    assert (model.family, model.env.hf, model.backends) == ("own_query", "moondream2", ["hf"])
