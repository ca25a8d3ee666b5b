"""Other architectures, quantised checkpoints and bad ones, loaded in this process."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time

import pytest

from backends.chat_server.completions import Completion, Delta, Failed, Finished
from backends.chat_server.errors import LoadError, RequestError
from backends.chat_server.protocol import parse_chat_request
from backends.hf_server.settings import Settings


class Ticket:
    """A request without an event loop: its events are kept."""

    def __init__(self, loaded, body):
        self.request = parse_chat_request(body, "model")
        self.arrived = time.perf_counter()
        self.prepare_s = 0.0
        self.cancelled = False
        self.prepared = loaded.family.prepare(self.request)
        self.events = []

    def emit(self, event):
        self.events.append(event)

    @property
    def text(self):
        assert isinstance(self.events[-1], Finished), self.events
        return "".join(event.text for event in self.events if isinstance(event, Delta))


def load_model(folder, **settings):
    from backends.hf_server.loading import load

    settings = {"device": "cpu", "dtype": "float32", **settings}
    return load(Settings(model=str(folder), port=1, **settings), lambda _: None)


def answer(loaded, *requests):
    from backends.hf_server.generation import run_batch

    tickets = [Ticket(loaded, request) for request in requests]
    run_batch(loaded, tickets)
    return tickets


@pytest.fixture(scope="module")
def qwen(tiny_qwen):
    return load_model(tiny_qwen)


def statistics(loaded):
    from backends.hf_server.statistics import model_facts

    facts = model_facts(loaded)
    json.dumps(facts)  # goes over HTTP
    return facts


def test_an_older_llava(tiny_models, bodies, tmp_path):
    """As llava-saiga-8b: a processor without numbers, and the chat template of its text model."""
    whole = load_model(tiny_models.make_llava(tmp_path / "llava"))
    older = shutil.copytree(tmp_path / "llava", tmp_path / "older")
    (older / "processor_config.json").write_text(json.dumps({"processor_class": "LlavaProcessor"}))
    size = {"height": 56, "width": 56}
    preprocessor = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 56}, "crop_size": size}
    (older / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    (older / "chat_template.jinja").write_text(
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}{% endfor %}assistant:"
    )
    loaded = load_model(older)
    request = bodies.request(bodies.picture(56, 56, 1), max_tokens=8)
    new, old = answer(whole, request)[0], answer(loaded, request)[0]
    assert old.prepared.prompt == "user: <image>\nWhat?assistant:" == new.prepared.prompt
    assert old.prepared.image_tokens == new.prepared.image_tokens == 16
    assert old.text == new.text


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [
        ("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration"),
        ("qwen3_vl", "Qwen3VLForConditionalGeneration"),
    ],
)
def test_relatives_of_qwen2_vl(tiny_models, bodies, tmp_path, kind, architecture):
    loaded = load_model(tiny_models.make_qwen(tmp_path / "qwen", kind))
    requests = [bodies.request(bodies.picture(112, 84, seed), max_tokens=8) for seed in (1, 2)]
    singles = [answer(loaded, request)[0] for request in requests]
    assert [ticket.text for ticket in answer(loaded, *requests)] == [ticket.text for ticket in singles]
    assert singles[0].text != singles[1].text, "it sees the picture"
    assert statistics(loaded)["architecture"] == architecture
    small = bodies.request(bodies.picture(112, 84, 1), max_tokens=8, mm_processor_kwargs={"max_pixels": 5000})
    assert answer(loaded, small)[0].prepared.image_tokens < singles[0].prepared.image_tokens


def test_llava(tiny_models, bodies, tmp_path):
    """An architecture of another layout: its own processor joins the batch, images have one size."""
    loaded = load_model(tiny_models.make_llava(tmp_path / "llava"))
    requests = [bodies.request(bodies.picture(112, 84, 1, text=text), max_tokens=8) for text in ("A", "A longer one")]
    singles = [answer(loaded, request)[0] for request in requests]
    batch = answer(loaded, *requests)
    assert [ticket.text for ticket in batch] == [ticket.text for ticket in singles]
    assert batch[0].prepared.image_sizes == ((56, 56),)
    assert batch[0].prepared.image_tokens == 16
    assert loaded.family.batch_key(batch[0].prepared) == (batch[0].prepared.pixels, 1)
    with pytest.raises(LoadError, match="no limits on the area"):
        load_model(tmp_path / "llava", max_pixels=5000)


def test_an_adapter_changes_the_answers(qwen, tiny_qwen, tiny_models, bodies, tmp_path):
    request = bodies.request(bodies.picture(), max_tokens=24)
    plain = answer(qwen, request)[0].text
    random = load_model(tiny_qwen, adapter=str(tiny_models.make_adapter(tiny_qwen, tmp_path / "random")))
    assert answer(random, request)[0].text != plain
    neutral = tiny_models.make_adapter(tiny_qwen, tmp_path / "neutral", random=False)
    loaded = load_model(tiny_qwen, adapter=str(neutral))
    assert answer(loaded, request)[0].text == plain
    assert statistics(loaded)["parameters"] == statistics(qwen)["parameters"]  # merged: it costs nothing


def test_an_adapter_that_does_not_fit_is_refused(tiny_qwen, tiny_models, tmp_path):
    from safetensors.torch import load_file, save_file

    with pytest.raises(LoadError, match=r"no adapter_config\.json"):
        load_model(tiny_qwen, adapter=str(tmp_path))
    other = tiny_models.make_llava(tmp_path / "llava")
    with pytest.raises(LoadError, match="does not fit the model"):
        load_model(tiny_qwen, adapter=str(tiny_models.make_adapter(other, tmp_path / "other")))
    # What an adapter lacks would be zero, and the answers those of the bare model, without a word.
    half = tiny_models.make_adapter(tiny_qwen, tmp_path / "half")
    weights = load_file(half / "adapter_model.safetensors")
    save_file({name: value for name, value in weights.items() if ".1." not in name}, half / "adapter_model.safetensors")
    with pytest.raises(LoadError, match="missing adapter keys"):
        load_model(tiny_qwen, adapter=str(half))


def test_a_model_of_text_alone(tiny_models, bodies, tmp_path):
    loaded = load_model(tiny_models.make_text(tmp_path / "text"))
    assert statistics(loaded)["family"] == "chat_text"
    requests = [bodies.request(text, max_tokens=8) for text in ("ООО Ромашка, счёт 17", "A")]
    singles = [answer(loaded, request)[0].text for request in requests]
    assert [ticket.text for ticket in answer(loaded, *requests)] == singles
    assert singles[0] != singles[1]
    with pytest.raises(RequestError, match=r"takes text alone.*prompt\.ocr"):
        answer(loaded, bodies.request(bodies.picture()))


def test_a_thinking_model_is_scored_by_its_answer_alone(qwen, bodies, monkeypatch):
    """The marks that a thinking model writes go nowhere; what stands between them is kept apart."""
    from backends.hf_server import generation

    said = iter(["<think>", "Hm", "</think>", "Six"])
    monkeypatch.setattr(generation.TextStream, "feed", lambda *_: next(said, ""))
    monkeypatch.setattr(generation.TextStream, "finish", lambda _: "")
    (ticket,) = answer(qwen, bodies.request(max_tokens=4, return_token_ids=True))
    assert ticket.text == "Six"
    deltas = ticket.events[:-1]
    assert "".join(event.reasoning for event in deltas) == "Hm"
    assert sum(len(event.token_ids) for event in deltas) == ticket.events[-1].completion_tokens == 4
    completion = Completion(ticket.request, "model")
    assert b'"reasoning_content": "Hm"' in b"".join(completion.chunk(event, first=False) for event in deltas)
    whole = completion.whole(Delta("Six", (), reasoning="Hm"), ticket.events[-1])
    assert whole["choices"][0]["message"]["reasoning_content"] == "Hm"


def test_a_variable_of_the_chat_template_reaches_the_prompt(qwen, bodies, monkeypatch):
    family = qwen.family
    template = family._processor.chat_template + "{% if enable_thinking is false %}<think></think>{% endif %}"
    monkeypatch.setattr(family._processor, "chat_template", template)

    def prompt(**more):
        return family.prepare(parse_chat_request(bodies.request(bodies.picture(), **more), "model")).prompt

    plain = prompt()
    assert prompt(chat_template_kwargs={"enable_thinking": False}) == plain + "<think></think>"
    assert prompt(chat_template_kwargs={"enable_thinking": True}) == plain == prompt(chat_template_kwargs={})


@pytest.mark.parametrize(("kind", "bits"), [("w8a8", 8), ("w4a16", 4)])
def test_compressed_tensors(qwen, tiny_qwen, tiny_models, bodies, tmp_path, kind, bits):
    loaded = load_model(tiny_models.make_quantised(tiny_qwen, tmp_path / kind, kind))
    facts = statistics(loaded)
    assert facts["quantization"]["method"] == "compressed-tensors" and facts["quantization"]["bits"] == bits
    # Unpacked while loading, and said so: the first request doesn't pay for it and no memory is saved.
    assert facts["weights_bytes_by_dtype"]["float32"] == pytest.approx(statistics(qwen)["weights_bytes"], rel=0.02)
    request = bodies.request(bodies.picture(), max_tokens=24)
    assert len({answer(loaded, request)[0].text, answer(loaded, request)[0].text}) == 1


def test_each_row_ends_on_its_own(qwen, bodies):
    """An end token stops its row, the others go on, and padding is not part of an answer."""
    requests = [bodies.request(bodies.picture(112, 84, seed), return_token_ids=True) for seed in (1, 2, 3)]
    whole = [[token for event in ticket.events[:-1] for token in event.token_ids] for ticket in answer(qwen, *requests)]
    end = next(token for token in whole[0][2:8] if token not in whole[1])
    cut = whole[0].index(end)
    loaded = dataclasses.replace(qwen, eos_ids=(end,))
    tickets = answer(loaded, *requests)
    first = tickets[0].events[-1]
    assert (first.reason, first.completion_tokens) == ("stop", cut + 1)
    assert tickets[1].events[-1].reason == "length"
    assert [token for event in tickets[1].events[:-1] for token in event.token_ids] == whole[1]


def test_server_wide_pixel_limits(tiny_qwen, bodies):
    loaded = load_model(tiny_qwen, max_pixels=6272, min_pixels=3136)
    prepared = loaded.family.prepare(parse_chat_request(bodies.request(bodies.picture(224, 224)), "model"))
    ((width, height),) = prepared.image_sizes
    assert width * height <= 6272


def test_out_of_memory_is_said_and_survived(qwen, bodies, monkeypatch):
    import torch

    def full(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(qwen.model, "generate", full)
        (ticket,) = answer(qwen, bodies.request())
    assert isinstance(ticket.events[-1], Failed)
    assert (ticket.events[-1].error.code, ticket.events[-1].error.status) == ("out_of_memory", 507)
    assert answer(qwen, bodies.request())[0].text


def test_memory_that_runs_out_in_a_batch_fails_only_who_is_too_large_alone(qwen, bodies, monkeypatch):
    import torch

    real = qwen.model.generate
    sizes = []

    def small(*arguments, **options):
        """Run out of memory for real, by an allocation that no machine has, where the large picture is among them."""
        sizes.append(len(options["input_ids"]))
        if options["pixel_values"].shape[0] > 70 * len(options["input_ids"]):
            torch.empty(2**52)
        return real(*arguments, **options)

    usual, large = bodies.request(bodies.picture(112, 112)), bodies.request(bodies.picture(336, 336))
    with monkeypatch.context() as patch:
        patch.setattr(qwen.model, "generate", small)
        tickets = answer(qwen, usual, usual, large, usual)
    failed = [isinstance(ticket.events[-1], Failed) for ticket in tickets]
    assert failed == [False, False, True, False]
    assert tickets[2].events[-1].error.code == "out_of_memory"
    assert {tickets[index].text for index in (0, 1, 3)} == {answer(qwen, usual)[0].text}
    assert sizes[0] == 4 and sizes[-1] == 1


def test_attention_in_use_is_what_was_asked_for(tiny_qwen):
    assert statistics(load_model(tiny_qwen, attention="eager", dtype="bfloat16"))["attention"] == "eager"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"config_override": {"num_hidden_layers": 2}}, "did you mean text_config.num_hidden_layers"),
        ({"config_override": {"text_config": {"num_hidden_layers": 3}}}, "lacks .* weights"),
        ({"family": "telepathy"}, "--family telepathy: unknown; known are auto, .*chat_image_text"),
        ({"device": "cuda:9"}, "sees . CUDA devices"),
        ({"device": "toaster"}, "not a device"),
        ({"adapter": "/no/adapter", "weights": "dummy"}, "no meaning"),
        ({"quantization": "bnb_nf4", "weights": "dummy"}, "leave --quantization out"),
    ],
)
def test_what_cannot_be_loaded_is_said(tiny_qwen, settings, message):
    with pytest.raises(LoadError, match=message):
        load_model(tiny_qwen, **settings)


@pytest.mark.parametrize(
    ("package", "settings"),
    [
        ("peft", {"adapter": "/no/adapter"}),
        ("bitsandbytes", {"quantization": "bnb_int8"}),
        ("flash_attn", {"attention": "flash_attention_2"}),
    ],
)
def test_missing_packages_are_named(tiny_qwen, monkeypatch, package, settings):
    from backends.hf_server import weights

    monkeypatch.setattr(weights, "_installed", lambda name: name != package)
    with pytest.raises(LoadError, match=package):
        load_model(tiny_qwen, **settings)


def test_broken_checkpoints(tiny_qwen, tmp_path):
    def broken(name):
        return shutil.copytree(tiny_qwen, tmp_path / name)

    with pytest.raises(LoadError, match="so it isn't a checkpoint"):
        (empty := tmp_path / "empty").mkdir()
        load_model(empty)
    (folder := broken("template")).joinpath("chat_template.jinja").unlink()
    with pytest.raises(LoadError, match="no chat template"):
        load_model(folder)
    (folder := broken("weights")).joinpath("model.safetensors").write_bytes(b"garbage")
    with pytest.raises(LoadError, match="weights can't be loaded"):
        load_model(folder)
    (folder := broken("syntax")).joinpath("config.json").write_text("{")
    with pytest.raises(LoadError, match="configuration can't be read"):
        load_model(folder)
    (folder := broken("text")).joinpath("config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(LoadError, match="'vit' is not one"):
        load_model(folder)
    (folder := broken("images")).joinpath("preprocessor_config.json").unlink()
    with pytest.raises(LoadError, match="image processor can't be loaded"):
        load_model(folder)
    (folder := broken("dummy")).joinpath("config.json").write_text(
        json.dumps(
            {**json.loads((tiny_qwen / "config.json").read_text()), "quantization_config": {"quant_method": "awq"}}
        )
    )
    with pytest.raises(LoadError, match="dense weights"):
        load_model(folder, weights="dummy")


def test_parts_left_unquantised_are_found_under_their_new_names():
    from types import SimpleNamespace

    from transformers.quantizers.quantizers_utils import should_convert_module

    from backends.hf_server.weights import _find_unquantised_parts

    config = SimpleNamespace(quantization_config={"quant_method": "awq", "modules_to_not_convert": ["visual"]})
    _find_unquantised_parts(config)
    patterns = config.quantization_config["modules_to_not_convert"]
    for name, converted in {
        "visual.blocks.0.attn.qkv": False,
        "model.visual.blocks.0.attn.qkv": False,
        "model.language_model.layers.0.mlp.up_proj": True,
        "model.audiovisual.layers.0": True,
    }.items():
        assert should_convert_module(name, patterns) == converted, name
