from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from backends.api import EngineSpec
from runner.asking import fetch_tasks
from runner.base.errors import Refused
from runner.config import Config, EnvConfig
from runner.planning import checkpoints, gguf, hub
from tests.local_hub import LocalHub, Repository

GGUF = Path(__file__).parents[3] / "assets" / "demo_models" / "demo_m" / "gguf"


def config(quant: str = "q8_0", path: str | None = None, *, images: bool = True, **checkpoint: str) -> Config:
    made = Config()
    made.backend.name = "llama_cpp"
    made.quant.name, made.quant.checkpoint = f"gguf_{quant}", [f"gguf_{quant}", "gguf"]
    made.model.name, made.model.path, made.model.images = "m", path, images
    made.model.checkpoints = dict(checkpoint)
    return made


def chosen(names: list[str], quant: str = "q8_0", *, images: bool = True) -> tuple[str, ...]:
    return gguf.choose(config(quant, images=images), names, "here", "model.path")[0]


@pytest.mark.parametrize(
    ("names", "quant", "files"),
    [
        (["m-Q8_0.gguf", "m-Q4_K_M.gguf", "mmproj-m-f16.gguf"], "q8_0", ("m-Q8_0.gguf", "mmproj-m-f16.gguf")),
        (["m-BF16.gguf", "m-F16.gguf", "mmproj-m.gguf"], "f16", ("m-F16.gguf", "mmproj-m.gguf")),
        (["m.Q4_K_M.gguf", "m.Q4_K_S.gguf", "m.mmproj-Q8_0.gguf"], "q4_k_m", ("m.Q4_K_M.gguf", "m.mmproj-Q8_0.gguf")),
        (["m-q8_0.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"], "q8_0", ("m-q8_0.gguf", "mmproj-F16.gguf")),
        (["any.gguf", "mmproj-any.gguf"], "q8_0", ("any.gguf", "mmproj-any.gguf")),
        (
            ["Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf", "mmproj-m.gguf"],
            "q8_0",
            ("Q8_0/m-Q8_0-00001-of-00002.gguf", "mmproj-m.gguf"),
        ),
    ],
)  # fmt: skip
def test_the_files_of_a_quantisation(names: list[str], quant: str, files: tuple[str, ...]) -> None:
    assert chosen(names, quant) == files


@pytest.mark.parametrize(
    ("names", "quant", "words"),
    [
        (["config.json"], "q8_0", "holds no .gguf file"),
        (["m-Q4_K_M.gguf", "m-Q5_K_M.gguf", "mmproj.gguf"], "q8_0", "no file of q8_0; its files name: q4_k_m, q5_k_m"),
        (["m-BF16.gguf", "m-Q8_0.gguf", "mmproj.gguf"], "f16", "no file of f16"),
        (["a-Q8_0.gguf", "b-Q8_0.gguf", "mmproj.gguf"], "q8_0", "several models in q8_0: a-Q8_0.gguf, b-Q8_0.gguf"),
        (["m-Q8_0-00002-of-00003.gguf", "m-Q8_0-00001-of-00003.gguf", "mmproj.gguf"], "q8_0", "lacks m-Q8_0-00003"),
        (["m-Q8_0.gguf"], "q8_0", "no projector for pictures"),
        (["m-Q8_0.gguf", "mmproj-a.gguf", "mmproj-b.gguf"], "q8_0", "several projectors"),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_refused(names: list[str], quant: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        chosen(names, quant)
    assert words in str(refused.value.problems[0])


def test_a_model_of_text_alone_has_no_projector() -> None:
    assert chosen(["m-Q8_0.gguf"], images=False) == ("m-Q8_0.gguf",)


def test_both_files_are_the_checkpoint(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GGUF, tmp_path / "gguf"))
    found = checkpoints.find(config(gguf=str(folder)))
    assert (found.location, found.files) == (str(folder), ("demo_m-Q8_0.gguf", "mmproj-demo_m-F16.gguf"))
    moved = Path(shutil.copytree(GGUF, tmp_path / "elsewhere"))
    assert checkpoints.find(config(gguf=str(moved))).digest == found.digest, "a name of the content, not of the place"
    (folder / "demo_m-Q4_K_M.gguf").unlink()
    assert checkpoints.find(config(gguf=str(folder))).digest == found.digest, "other precisions have no say"
    projector = folder / "mmproj-demo_m-F16.gguf"
    content = bytearray(projector.read_bytes())
    content[-1] ^= 1
    projector.write_bytes(content)
    assert checkpoints.find(config(gguf=str(folder))).digest != found.digest


def test_a_file_may_be_named_itself() -> None:
    found = checkpoints.find(config("q4_k_m", str(GGUF / "demo_m-Q4_K_M.gguf")))
    assert found.files == ("demo_m-Q4_K_M.gguf", "mmproj-demo_m-F16.gguf")
    with pytest.raises(Refused, match=r"holds q4_k_m, and quant=gguf_q8_0 was asked for"):
        checkpoints.find(config("q8_0", str(GGUF / "demo_m-Q4_K_M.gguf")))


def test_limits_on_pixels_are_checked_before_anything_starts() -> None:
    asked = config(gguf=str(GGUF))
    asked.model.max_pixels = 700
    with pytest.raises(Refused, match="less than the 784 pixels"):
        checkpoints.find(asked)


def test_of_a_hub_s_repository_two_files_are_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ("demo_m-Q8_0.gguf", "demo_m-Q4_K_M.gguf", "mmproj-demo_m-F16.gguf")
    files = {name: (GGUF / name).read_bytes() for name in names} | {"README.md": b"x"}
    repository = Repository(files)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with LocalHub({"org/demo-GGUF": repository}) as local:
        monkeypatch.setattr(constants, "ENDPOINT", local.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", local.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        hub.forget()
        found = checkpoints.find(config(gguf="org/demo-GGUF"))
        assert (found.location, found.revision) == ("org/demo-GGUF", repository.commit)
        assert found.files == ("demo_m-Q8_0.gguf", "mmproj-demo_m-F16.gguf")
        sizes = hub.to_fetch(found.location, found.revision, found.files)
        assert sizes == {name: len(files[name]) for name in found.files}
        fetch_tasks.fetch(name=found.location, commit=found.revision, files=sizes, refs=["main"])
    hub.forget()  # from here on the hub is gone, and the cache holds what is needed
    again = checkpoints.find(config(gguf="org/demo-GGUF"))
    assert again == found and hub.to_fetch(again.location, again.revision, again.files) == {}
    hub.forget()


def test_a_program_that_no_pins_name_is_part_of_the_checkpoint(tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\necho version: 0.1 \\(build 7, commit abc\\)\n")
    program.chmod(0o755)
    asked, spec = config(gguf=str(GGUF)), EngineSpec("llama_cpp", "/m", digest="gguf:1")
    named = EngineSpec("llama_cpp", "/m", digest="gguf:1", args=(("engine_args.server", str(program)),))
    asked.env = EnvConfig(name="llama_cpp", kind="uv")
    assert gguf.with_program(asked, spec) == spec, "its pins name it"
    assert "build 7, commit abc" in gguf.with_program(asked, named).digest
    asked.env = EnvConfig(name="current")
    with pytest.raises(Refused, match="llama-server"):
        gguf.with_program(asked, spec)
