"""Metrics in a process of their own, on tiny models with random weights made here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    RemBertConfig,
    RemBertForSequenceClassification,
)

from metrics.aggregate import metric_values
from metrics.registry import InvalidOptionError, create
from metrics.workers.perplexity import windows
from tests.patience import patient

from .cases import case, overall, score

ROOT = Path(__file__).parents[2]
LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюя abcdefghijklmnopqrstuvwxyz0123456789.,"


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of single letters, with [CLS] a [SEP] b [SEP] for pairs."""
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *LETTERS]
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=80, n_positions=32, n_embd=16, n_layer=2, n_head=2, initializer_range=0.3)
    GPT2LMHeadModel(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def bleurt_checkpoint(tmp_path_factory) -> Path:
    """A checkpoint in bleurt-pytorch's layout: that of RemBERT under its other names."""
    folder = tmp_path_factory.mktemp("bleurt")
    torch.manual_seed(0)
    config = RemBertConfig(**BLEURT, input_embedding_size=8, output_embedding_size=8, num_labels=1)
    weights = RemBertForSequenceClassification(config).state_dict()
    renamed = {
        name.replace("rembert.", "bleurt.", 1).replace("embedding_hidden_mapping_in", "embedding_projection"): tensor
        for name, tensor in weights.items()
    }
    torch.save(renamed | {"bleurt.embeddings.position_ids": torch.arange(64)[None]}, folder / "pytorch_model.bin")
    settings = BLEURT | {"model_type": "bleurt", "embedding_size": 8, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    save_tokenizer(folder)
    return folder


BLEURT = {
    "vocab_size": 80,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
}


def convert(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / "convert_bleurt.py", source, target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@torch.inference_mode()
def direct(folder: Path, text: str) -> tuple[float, int]:
    """Return (NLL, tokens) of a text without batches or padding, window by window."""
    model = GPT2LMHeadModel.from_pretrained(folder).eval()
    ids = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]
    nll = 0.0
    for begin, end, first in windows(len(ids), 32):
        logits = model(torch.tensor([ids[begin:end]])).logits[0].log_softmax(-1)
        nll -= sum(float(logits[at - begin - 1, ids[at]]) for at in range(first, end))
    return nll, len(ids) - 1


@pytest.mark.parametrize(("tokens", "window"), [(2, 32), (32, 32), (33, 32), (100, 32), (7, 2), (50, 3)])
def test_every_token_from_the_second_on_is_scored_once_with_something_before_it(tokens, window):
    scored = []
    for begin, end, first in windows(tokens, window):
        assert begin < first < end
        assert end - begin <= window
        scored += range(first, end)
    assert scored == list(range(1, tokens))


def test_perplexity_in_batches_and_windows_equals_one_text_at_a_time(language_model):
    texts = [
        "покупка не удалась",
        "аб",
        "очень длинный ответ, он длиннее окна модели " * 3,
        "я",
        "",
        "покупка не удалась",
    ]
    cases = [case(text, sample_id=str(at)) for at, text in enumerate(texts)]
    cases.append(case(None, sample_id="failed", facts={"failure": "timeout"}))
    metric = create("perplexity", {"model": str(language_model), "batch_tokens": 64})
    scores = {(one.sample_id, one.name): one for one in metric.score(cases)}
    for at in (0, 1, 2, 5):
        nll, tokens = direct(language_model, texts[at])
        assert scores[str(at), "perplexity"].stats == (pytest.approx(nll, rel=1e-4), tokens)
        expected = torch.tensor(nll / tokens).exp().item()
        assert scores[str(at), "perplexity_mean"].value == pytest.approx(expected, rel=1e-4)
    reasons = {key[0]: one.reason for key, one in scores.items() if one.value is None}
    assert reasons == {
        "3": "1 tokens: perplexity needs two",
        "4": "0 tokens: perplexity needs two",
        "failed": "no answer: timeout",
    }
    assert "torch:" in metric.version


def test_bleurt_of_a_converted_checkpoint(bleurt_checkpoint, tmp_path):
    done = convert(bleurt_checkpoint, tmp_path / "converted")
    assert done.returncode == 0, done.stderr
    model = RemBertForSequenceClassification.from_pretrained(tmp_path / "converted").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "converted")
    pairs = [("ответ", "эталон"), ("длинный ответ " * 10, "да"), ("", "да")]
    cases = [case(answer, truth, sample_id=str(at)) for at, (answer, truth) in enumerate(pairs)]
    cases.append(case("ответ", "да", "эталон", sample_id="two"))
    metric = create("bleurt", {"model": str(tmp_path / "converted"), "max_length": 64, "batch_size": 2})
    values = {one.sample_id: one.value for one in metric.score(cases)}
    expected = {}
    for at, (answer, truth) in enumerate([*pairs, ("ответ", "да")]):
        encoded = tokenizer([truth], [answer], truncation="longest_first", max_length=64, return_tensors="pt")
        with torch.inference_mode():
            expected[str(at)] = float(model(**encoded).logits[0, 0])
    expected["two"] = max(expected["0"], expected.pop("3"))
    assert values == {name: pytest.approx(value, abs=1e-5) for name, value in expected.items()}


def test_what_is_no_bleurt_is_not_converted(language_model, bleurt_checkpoint, tmp_path):
    weights = torch.load(bleurt_checkpoint / "pytorch_model.bin", weights_only=True)
    del weights["classifier.bias"]
    torch.save(weights, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text((bleurt_checkpoint / "config.json").read_text())
    done = convert(tmp_path, tmp_path / "converted")
    assert done.returncode == 1
    assert "missing ['classifier.bias']" in done.stderr
    assert not (tmp_path / "converted").exists()


SCRIPT = """
import datasets
import evaluate

class Overlap(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, scale=1.0):
        print("a script that prints must not disturb the worker")
        each = [scale * len(set(p) & set(r)) / len(set(r)) for p, r in zip(predictions, references)]
        return {"overlap": sum(each) / len(each), "each": each}
"""


@pytest.fixture
def script(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    (tmp_path / "overlap").mkdir()
    (tmp_path / "overlap" / "overlap.py").write_text(SCRIPT, encoding="utf-8")
    return str(tmp_path / "overlap")


def test_a_script_of_evaluate_from_a_local_path(script):
    cases = [case("абв", "абвг", sample_id="1"), case("а", "бв", "аб", sample_id="2"), case("а", sample_id="3")]
    for options in ({}, {"result": "each"}):
        name = f"evaluate_{options.get('result', 'overlap')}"
        figures = overall("hf_evaluate", cases, {"path": script, "arguments": {"scale": 2.0}} | options)
        assert (figures[name].value, figures[name].n, figures[name].n_unscored) == (pytest.approx(1.25), 2, 1)
        assert f"quality/{name}" in metric_values(list(figures.values()))


@pytest.mark.parametrize(
    ("metric", "options", "reason"),
    [
        ("perplexity", {"model": "no/such-model"}, "model 'no/such-model' can't be had"),
        ("bleurt", {"model": "/no/such/folder"}, "model '/no/such/folder' can't be had"),
        ("hf_evaluate", {"path": "/no/such/script"}, "the evaluate script '/no/such/script' can't be had"),
    ],
)
def test_what_can_not_be_had_leaves_all_unscored_with_the_reason(monkeypatch, metric, options, reason):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for one in score(metric, case("ответ", "эталон"), options).values():
        assert one.value is None
        assert one.reason.startswith(reason)


def pretend(tmp_path: Path, code: str) -> dict:
    """Return options by which a script takes the worker's place."""
    file = tmp_path / "python"
    file.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    file.chmod(0o755)
    return {"env": str(file)}


def test_a_worker_sends_no_telemetry(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    code = "import os; off = os.environ['HF_HUB_DISABLE_TELEMETRY']\n"
    code += 'print(f\'{{"index": 0, "nll": {off}, "tokens": 2}}\', flush=True)'
    (one, _) = create("perplexity", pretend(tmp_path, code)).score([case("раз")])
    assert one.value == pytest.approx(1.649, abs=1e-3)


def test_a_worker_that_crashes_keeps_what_it_scored(tmp_path):
    code = 'print(\'{"index": 0, "nll": 2.0, "tokens": 2}\', flush=True); raise MemoryError(\'too big\')'
    metric = create("perplexity", pretend(tmp_path, code))
    first, _, second, _ = metric.score([case("раз", sample_id="1"), case("два", sample_id="2")])
    assert first.value == pytest.approx(2.718, abs=1e-3)
    assert second.reason == "the worker of perplexity ended early: MemoryError: too big"


def test_a_worker_that_is_silent_is_ended(tmp_path):
    metric = create("perplexity", pretend(tmp_path, "import time; time.sleep(100_000)") | {"silence_s": 1})
    assert {one.reason for one in metric.score([case("раз")])} == {"the worker said nothing for 1 s"}


def test_a_worker_ends_with_the_runner(language_model):
    """The pipe of a runner that was killed with -9 closes; its worker must not stay."""
    code = "import time\ndef run(options, items):\n    yield {'progress': 0}\n    time.sleep(600)\n    yield {}\n"
    launch = (
        "import sys, types, metrics.worker as worker\n"
        f"module = types.ModuleType('slow'); exec({code!r}, module.__dict__); sys.modules['slow'] = module\n"
        "worker.TASKS['slow'] = 'slow'; worker.main()"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", launch], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    process.stdin.write(b'{"task": "slow", "options": {}, "items": 0}\n')
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == {"progress": 0}
    process.stdin.close()
    assert process.wait(timeout=patient(20)) == 1
    process.stdout.close()


def test_torch_stays_out_of_this_process():
    code = (
        "import sys\nfrom metrics.registry import BUILT_IN, create\n"
        "for name in BUILT_IN: create(name)\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("metric", "options", "message"),
    [
        ("perplexity", {"env": "/no/such/python"}, "env is '/no/such/python'; valid: current"),
        ("perplexity", {"window": 1}, "window"),
        ("perplexity", {"silence_s": 0}, "silence_s"),
        ("bleurt", {"batch_size": 0}, "batch_size"),
        ("hf_evaluate", {"better": "more"}, "better"),
        ("hf_evaluate", {"path": " "}, "path"),
    ],
)
def test_options_are_checked(metric, options, message):
    with pytest.raises(InvalidOptionError, match=message):
        create(metric, options)
