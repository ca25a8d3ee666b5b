"""The hub at planning: what it gives is fetched, what it refuses is refused with what, where and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.api import EngineSpec
from runner.asking import fetch_tasks
from runner.base import helper
from runner.base.errors import JobFailed, Refused
from runner.config import Config, ModelConfig, QuantConfig
from runner.planning import checkpoints, hub, hub_check
from tests.local_hub import GOOD_TOKEN, OTHER_TOKEN, LocalHub, Repository

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
OLD_COMMIT = "0" * 40
INDEX = json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}).encode()
FILES: dict[str, bytes | Path] = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors.index.json": INDEX,
    SHARDS[0]: b"1" * 3_000_000,
    SHARDS[1]: b"2" * 2_000_000,
    "pytorch_model.bin": b"the same again",
    "onnx/model.onnx": b"and again",
    "README.md": b"# words",
    "page.png": b"a picture",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    hub.forget()
    yield tmp_path / "cache"
    hub.forget()


def ask_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask this hub, as HF_ENDPOINT does in a new process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    hub.forget()


@pytest.fixture
def local(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    models = {"owner/model": Repository(FILES), "owner/gated": Repository(FILES, is_gated=True)}
    with LocalHub(models) as started:
        ask_at(started.url, monkeypatch)
        yield started


def found(location: str, path: str | None = None) -> tuple[Config, EngineSpec]:
    """Plan the checkpoint of a model, as a job does."""
    config = Config(
        model=ModelConfig(name="m", checkpoints={"bf16": location}, path=path),
        quant=QuantConfig(name="bf16", checkpoint=["bf16"]),
    )
    checkpoint = checkpoints.find(config)
    spec = EngineSpec(
        backend="hf",
        checkpoint=checkpoint.location,
        revision=checkpoint.revision,
        digest=checkpoint.digest,
        quant="bf16",
        env="current",
        weights="real",
        args=(),
    )
    hub_check.check(config, spec)
    return config, spec


def refusal(location: str) -> str:
    with pytest.raises(Refused) as caught:
        found(location)
    (problem,) = caught.value.problems
    assert problem.where == "model=m quant=bf16"
    return str(problem)


def fetch(config: Config, spec: EngineSpec) -> None:
    given = {"name": spec.checkpoint, "commit": spec.revision, "files": hub_check.to_fetch(config, spec)}
    fetch_tasks.fetch(**given, refs=hub.asked_as(spec.checkpoint, spec.revision))


def test_a_model_is_fetched_in_one_form_and_then_needs_no_hub(local: LocalHub, cache: Path):
    config, spec = found("owner/model")
    assert spec.revision == local.models["owner/model"].commit
    wanted = hub_check.to_fetch(config, spec)
    assert set(wanted) == {"config.json", "tokenizer.json", "model.safetensors.index.json", *SHARDS}
    assert wanted[SHARDS[0]] == 3_000_000
    fetch(config, spec)
    assert {path.rpartition("/")[2] for path in (one.path for one in local.asked) if "/resolve/" in path} == set(wanted)
    asked = len(local.asked)
    hub.forget()
    config, spec = found("owner/model")
    assert hub_check.to_fetch(config, spec) == {}
    assert len(local.asked) == asked


def test_a_pinned_revision_is_the_one_that_is_fetched(local: LocalHub):
    model = local.models["owner/model"]
    model.refs |= {"v1": OLD_COMMIT}
    for named in ("v1", OLD_COMMIT):
        config, spec = found(f"owner/model@{named}")
        assert spec.revision == OLD_COMMIT and spec.digest == f"owner/model@{OLD_COMMIT}"
    fetch(config, spec)
    assert all(f"/resolve/{OLD_COMMIT}/" in one.path for one in local.fetched(SHARDS[0]))
    folder = hub.snapshot("owner/model", OLD_COMMIT)
    assert folder is not None and (folder / SHARDS[1]).read_bytes() == FILES[SHARDS[1]]


def test_a_broken_transfer_is_taken_up_where_it_broke(local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500_000)  # whole ones are kept; it says 10 MiB
    local.models["owner/model"].breaks[SHARDS[0]] = 1_000_000
    config, spec = found("owner/model")
    fetch(config, spec)
    first, second = local.fetched(SHARDS[0])
    assert (first.status, second.status, second.range) == (200, 206, "bytes=1000000-")
    folder = hub.snapshot("owner/model", spec.revision)
    assert folder is not None and (folder / SHARDS[0]).read_bytes() == FILES[SHARDS[0]]


def test_after_an_interruption_only_what_lacks_is_fetched(local: LocalHub):
    config, spec = found("owner/model")
    fetch(config, spec)
    folder = hub.snapshot("owner/model", spec.revision)
    assert folder is not None
    (folder / SHARDS[1]).resolve().unlink()  # a link that leads nowhere is a file that lacks
    assert hub.lacking(folder) == (SHARDS[1],)
    assert hub_check.to_fetch(config, spec) == {SHARDS[1]: 2_000_000}
    fetch(config, spec)
    assert (len(local.fetched(SHARDS[0])), len(local.fetched(SHARDS[1]))) == (1, 2)
    assert hub.lacking(folder) == ()


@pytest.mark.parametrize(
    ("token", "status", "words"), [("", 401, "set HF_TOKEN"), (OTHER_TOKEN, 403, "with the account of your token")]
)
def test_a_gated_model_is_refused_though_the_hub_tells_its_commit(
    local: LocalHub, monkeypatch: pytest.MonkeyPatch, token: str, status: int, words: str
):
    monkeypatch.setenv("HF_TOKEN", token)
    said = refusal("owner/gated")
    assert f"owner/gated is gated, and the hub refuses its files ({status})" in said
    assert f"accept its licence at {local.url}/owner/gated" in said and words in said
    assert not local.fetched(SHARDS[0])


def test_a_gated_model_is_fetched_with_the_right_token(local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", GOOD_TOKEN)
    config, spec = found("owner/gated")
    fetch(config, spec)
    assert hub_check.to_fetch(config, spec) == {}


def test_a_token_that_the_hub_does_not_know(local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "c" * 34)
    said = refusal("owner/model")
    assert "the hub refuses your token for owner/model (401)" in said and "another HF_TOKEN" in said


def test_what_the_hub_has_not(local: LocalHub):
    said = refusal("owner/model@v9")
    assert "owner/model has no revision v9 (404)" in said and f"{local.url}/owner/model/commits" in said
    said = refusal("owner/nothing@v9")
    assert "the hub has no model owner/nothing, or it is private (401)" in said and "HF_TOKEN" in said
    local.models["owner/adapter"] = Repository({"adapter_model.safetensors": b"1"})
    assert "no config.json" in refusal("owner/adapter")


@pytest.mark.parametrize(("status", "words"), [(503, "it fails"), (429, "it limits requests"), (403, "your token")])
def test_a_hub_that_answers_with_an_error(local: LocalHub, status: int, words: str):
    local.status = status
    said = refusal("owner/model")
    assert str(status) in said and words in said


def test_a_hub_that_is_not_there_is_asked_once_for_all_models(cache: Path, monkeypatch: pytest.MonkeyPatch):
    with LocalHub({}) as gone:
        url = gone.url
    ask_at(url, monkeypatch)
    said = refusal("owner/model@v1")
    assert f"owner/model@v1 is not in the cache and the hub can't be reached ({url}: " in said
    assert all(word in said for word in ("HF_HOME", "model.path", "model.weights=dummy"))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: pytest.fail("it was asked again"))
    assert "owner/other is not in the cache and the hub can't be reached" in refusal("owner/other")


@pytest.mark.parametrize("name", ["owner/a--b", "owner/na me", "owner/.x"])
def test_what_is_no_name_is_told(cache: Path, name: str):
    assert f"{name} is no name of a hub model" in refusal(name)


def test_nothing_is_asked_of_the_hub_where_answers_are_only_scored(local: LocalHub):
    config, spec = found("owner/model")
    config.stage = "score"
    assert hub_check.to_fetch(config, spec), "it would be fetched"
    local.models.clear()
    hub.forget()
    hub_check.room([(config, spec)])


def test_one_file_is_asked_for_once_and_not_of_a_hub_that_is_gone(local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    commit = found("owner/model")[1].revision
    assert hub.gives("owner/model", commit, "config.json") and not hub.gives("owner/model", commit, "none.json")
    with LocalHub({}) as gone:
        url = gone.url
    ask_at(url, monkeypatch)
    assert not hub.gives("owner/model", commit, "tokenizer.json")
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_, **__: pytest.fail("it was asked again"))
    assert not hub.gives("owner/model", commit, "page.png")


def test_a_cached_model_needs_no_network(cache: Path):
    folder = cache / "models--owner--model" / "snapshots" / OLD_COMMIT
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    (folder.parents[1] / "refs").mkdir()
    (folder.parents[1] / "refs" / "main").write_text(OLD_COMMIT)
    config, spec = found("owner/model")  # no hub listens in this test
    assert spec.revision == OLD_COMMIT and hub_check.to_fetch(config, spec) == {}


def test_a_hub_that_is_switched_off(cache: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.forget()
    assert "switched off (HF_HUB_OFFLINE)" in refusal("owner/model")


def test_weights_that_lack_are_named_where_the_hub_is_gone(local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    config, spec = found("owner/model")
    fetch(config, spec)
    folder = hub.snapshot("owner/model", spec.revision)
    assert folder is not None
    (folder / SHARDS[0]).unlink()
    ask_at("http://127.0.0.1:9", monkeypatch)
    said = refusal("owner/model")
    assert f"the cache lacks {SHARDS[0]}" in said and "can't be reached" in said


def test_models_that_need_more_disk_than_there_is(local: LocalHub, monkeypatch: pytest.MonkeyPatch):
    local.models["owner/other"] = Repository(FILES, refs={"main": OLD_COMMIT})
    planned = [found("owner/model"), found("owner/other"), found("owner/model")]
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 7_000_000})())
    hub_check.room(planned[:1])
    with pytest.raises(Refused, match=r"0\.0 GB are to be fetched \(owner/model .*, owner/other .*\).*\n.*HF_HOME"):
        hub_check.room(planned)


def test_a_hub_that_goes_away_meanwhile_is_told(local: LocalHub):
    config, spec = found("owner/model")
    files = hub_check.to_fetch(config, spec)
    local.models["owner/model"] = Repository({"config.json": b"{}"})
    with pytest.raises(JobFailed, match=r"owner/model@.* could not be fetched: "):
        fetch_tasks.fetch(name=spec.checkpoint, commit=spec.revision, files=files, refs=[])


@pytest.mark.parametrize(
    ("there", "lacks"),
    [
        (["config.json"], ["weights"]),
        (["config.json", "training_args.bin"], ["weights"]),
        (["model.safetensors"], []),
        (["pytorch_model.bin"], []),
        (["consolidated.safetensors", "params.json"], []),
        (
            ["model-00002-of-00003.safetensors"],
            ["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"],
        ),
        (["model-00001-of-00001.safetensors"], []),
        (["pytorch_model-00001-of-00002.bin", "model.safetensors"], []),
        (["inference.pdiparams"], []),
    ],
)
def test_which_weights_a_folder_lacks(tmp_path: Path, there: list[str], lacks: list[str]):
    for name in there:
        (tmp_path / name).write_bytes(b"1")
    assert hub.lacking(tmp_path) == tuple(lacks)


def test_one_form_of_weights_is_fetched():
    def chosen(*names: str) -> set[str]:
        return set(hub.needed(dict.fromkeys(names, 1)))

    both = ("model-00001-of-00001.safetensors", "consolidated.safetensors", "params.json", "tekken.json")
    assert chosen(*both) == {*both} - {"consolidated.safetensors"}
    assert chosen("consolidated.safetensors", "params.json") == {"consolidated.safetensors", "params.json"}
    assert chosen("pytorch_model.bin", "optimizer.bin", "tf_model.h5", "config.json") == {
        "pytorch_model.bin",
        "config.json",
    }
    assert chosen("modeling_own.py", "model.safetensors", ".gitattributes") == {"modeling_own.py", "model.safetensors"}


def test_a_process_that_fetches_keeps_to_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch):
    clock = {"cpu": 0.0, "wall": 0.0}
    monkeypatch.setattr(fetch_tasks.time, "process_time", lambda: clock["cpu"])
    monkeypatch.setattr(fetch_tasks.time, "monotonic", lambda: clock["wall"])
    monkeypatch.setattr(fetch_tasks.time, "sleep", lambda s: clock.update(wall=clock["wall"] + s))
    monkeypatch.setattr(helper._Now, "number", 1)
    pace = fetch_tasks.Pace(0.1)
    for _ in range(10):
        clock["cpu"] += 0.05  # a block, in no time at all
        pace.keep()
    waits = fetch_tasks.LOOKED_EVERY_S
    assert 10 * 0.05 / 0.1 <= clock["wall"] <= 10 * 0.05 / 0.1 + waits
    before = clock["wall"]
    clock["wall"] += 60  # the network was slow, which saves nothing up
    pace.keep()
    clock["cpu"] += 0.05
    pace.keep()
    assert before + 60 + 0.5 <= clock["wall"] <= before + 60 + 0.5 + waits + 1e-9
    before = clock["wall"]
    monkeypatch.setattr(helper._Now, "waited_for", 1)
    clock["cpu"] += 100
    pace.keep()
    assert clock["wall"] == before, "somebody waits: as fast as it can"
    monkeypatch.setattr(helper._Now, "is_ending", True)
    with pytest.raises(KeyboardInterrupt):
        pace.keep()


def test_waiting_does_not_use_up_the_share_of_the_cores(monkeypatch: pytest.MonkeyPatch):
    clock = {"cpu": 0.0, "wall": 0.0}

    def sleep(seconds: float) -> None:
        clock["wall"] += seconds
        clock["cpu"] += 0.001  # to wake up: measured with four threads on a busy machine
        assert clock["wall"] < 60, "all of the share goes into waking up"

    monkeypatch.setattr(fetch_tasks.time, "process_time", lambda: clock["cpu"])
    monkeypatch.setattr(fetch_tasks.time, "monotonic", lambda: clock["wall"])
    monkeypatch.setattr(fetch_tasks.time, "sleep", sleep)
    monkeypatch.setattr(helper._Now, "number", 1)
    pace = fetch_tasks.Pace(0.04)
    for _ in range(20):
        clock["cpu"] += 0.05
        pace.keep()
    assert 20 * 0.05 / 0.04 <= clock["wall"] < 1.3 * 20 * 0.05 / 0.04


def test_large_files_are_read_where_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"1" * 10_000)
    times = fetch_tasks.read(files=[file])
    assert times is not None and times[0] <= times[1]
    monkeypatch.setattr(fetch_tasks, "memory_left", lambda: 19_999.0)
    assert fetch_tasks.read(files=[file]) is None
