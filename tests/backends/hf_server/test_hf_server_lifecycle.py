"""Servers that start otherwise: random weights, failures, signals."""

from __future__ import annotations

import json

from tests.patience import patient


def test_dummy_weights_of_a_bare_configuration(start_server, bodies, tiny_models, tmp_path):
    # As on the hub: the text part's values lie flat beside vision_config.
    config = {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "vocab_size": 2000,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 28,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 1024,
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
        "rope_theta": 1000000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1943,
        "eos_token_id": 1945,
        "vision_start_token_id": 1952,
        "vision_end_token_id": 1953,
        "image_token_id": 1955,
        "video_token_id": 1956,
        "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    override = json.dumps({"text_config": {"num_hidden_layers": 2}})
    server = start_server("--model", str(tmp_path), "--weights", "dummy", "--config-override", override)
    assert server.process.poll() is None, server.log.read_text()
    found = server.statistics()
    assert (found["weights"], found["dtype"]) == ("dummy", "bfloat16")
    assert 2 * found["parameters"] <= found["weights_bytes"] < 2.1 * found["parameters"]
    assert found["parameters"] < 400_000, "two layers, not 28; embeddings tied"
    chunks = server.stream(bodies.picture(112, 84), max_tokens=20)
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in chunks[:-2]]
    assert all(texts) and chunks[-1]["usage"]["completion_tokens"] == 20
    assert chunks[-1]["usage"]["prompt_tokens_details"]["image_tokens"] == 12
    assert server.stop() == 0


def test_a_missing_folder_is_the_last_word_of_the_log(start_server):
    server = start_server("--model", "/no/such/folder")
    assert server.process.wait(patient(10)) == 1
    log = server.log.read_text()
    assert "Traceback" in log
    last = log.strip().splitlines()[-1]
    assert "cannot load the model" in last and "--model /no/such/folder: there is no such folder" in last
    failed = [body for status, body in server.health if status == 500]
    assert all("no such folder" in body["error"] for body in failed)


def test_sigterm_in_the_middle_of_an_answer(start_server, tiny_qwen):
    server = start_server("--model", str(tiny_qwen))
    response = server.open_stream("Count", max_tokens=1900)
    response.read(10)
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_a_port_in_use_is_said(server, start_server, tiny_qwen):
    second = start_server("--model", str(tiny_qwen), "--port", str(server.port))
    assert second.process.wait(patient(20)) == 1
    assert "cannot listen on 127.0.0.1" in second.log.read_text().strip().splitlines()[-1]
