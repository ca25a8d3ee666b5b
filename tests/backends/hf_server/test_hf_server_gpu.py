"""What only a CUDA GPU shows: allocator peaks and the true Qwen2-VL-2B with random weights (`make test-gpu`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

# The device file, and not torch, whose import would cost seconds while tests are collected.
without_gpu = not any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(without_gpu, reason="no NVIDIA GPU")]

# Qwen/Qwen2-VL-2B-Instruct, config.json
QWEN2_VL_2B = {
    "architectures": ["Qwen2VLForConditionalGeneration"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "vision_token_id": 151654,
    "image_token_id": 151655,
    "video_token_id": 151656,
    "hidden_act": "silu",
    "hidden_size": 1536,
    "initializer_range": 0.02,
    "intermediate_size": 8960,
    "max_position_embeddings": 32768,
    "max_window_layers": 28,
    "model_type": "qwen2_vl",
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vision_config": {
        "depth": 32,
        "embed_dim": 1280,
        "mlp_ratio": 4,
        "num_heads": 16,
        "in_chans": 3,
        "hidden_size": 1536,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "temporal_patch_size": 2,
    },
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vocab_size": 151936,
}
GIB = 1024**3


@pytest.fixture(scope="module", autouse=True)
def cuda():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")


@pytest.fixture(scope="module")
def server_2b(start_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen2vl_2b")
    (folder / "config.json").write_text(json.dumps(QWEN2_VL_2B))
    server = start_server("--model", str(folder), "--weights", "dummy", "--device", "cuda", "--batch-size", "4")
    assert server.process.poll() is None, server.log.read_text()
    return server


def test_weights_take_what_the_true_architecture_takes(server_2b):
    found = server_2b.statistics()
    assert 2.1e9 < found["parameters"] < 2.3e9
    assert found["weights_bytes"] == pytest.approx(2 * found["parameters"], rel=0.01)
    assert (found["dtype"], found["device"]) == ("bfloat16", "cuda:0")
    cuda = found["cuda"]
    assert found["weights_bytes"] <= cuda["allocated_bytes"] < found["weights_bytes"] + 0.3 * GIB
    assert cuda["total_bytes"] > cuda["max_reserved_bytes"] >= cuda["max_allocated_bytes"] >= cuda["allocated_bytes"]


def test_peaks_cover_what_was_asked_since_the_reset(server_2b, bodies):
    def peak(width, height):
        before = server_2b.call("POST", "/statistics/reset")[1]["cuda"]
        assert before["max_allocated_bytes"] == before["allocated_bytes"]
        limits = {"min_pixels": 3136, "max_pixels": 4_000_000}
        status, body = server_2b.ask(bodies.picture(width, height), max_tokens=8, mm_processor_kwargs=limits)
        assert status == 200, body
        return server_2b.statistics()["cuda"]["max_allocated_bytes"]

    large, small = peak(1680, 1680), peak(112, 112)
    assert small < large, "the order of the jobs must not hide the smaller one"


def test_batches_on_the_gpu(server_2b, bodies):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        asked = [bodies.picture(224, 224, seed) for seed in range(8)]
        answers = list(pool.map(lambda content: server_2b.ask(content, max_tokens=16), asked))
    assert [status for status, _ in answers] == [200] * 8
    assert all(body["timing"]["decode_s"] > 0 for _, body in answers)


def test_out_of_memory_is_an_answer_and_memory_comes_back(tiny_qwen, bodies):
    """The allocator gets a limit at what it holds, so that the next block it needs is refused."""
    import torch

    from backends.chat_server.protocol import parse_chat_request
    from backends.hf_server.generation import as_request_error, generate
    from backends.hf_server.loading import load
    from backends.hf_server.settings import Settings

    loaded = load(Settings(model=str(tiny_qwen), port=1, device="cuda"), lambda _: None)
    request = parse_chat_request(bodies.request("x" * 1900), "model")
    inputs = loaded.family.collate([loaded.family.prepare(request)])
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
    try:
        with pytest.raises(RuntimeError) as caught:
            generate(loaded, inputs, request.sampling, 4)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert as_request_error(caught.value, loaded, 1).code == "out_of_memory"
    generate(loaded, inputs, request.sampling, 4)


def test_real_weights_go_to_the_gpu(start_server, tiny_qwen, bodies):
    server = start_server("--model", str(tiny_qwen), "--dtype", "bfloat16", "--batch-size", "2")
    found = server.statistics()
    assert (found["device"], found["dtype"]) == ("cuda:0", "bfloat16")
    assert server.text(bodies.picture())
