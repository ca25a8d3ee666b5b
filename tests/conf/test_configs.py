"""Every YAML under conf/ composes against the schema, alone and where it belongs."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from metrics.rubric import Rubric
from runner import config
from runner.config import reference, write_docs
from runner.config.request_form import request_form
from tests.conf import effective

CONF = Path(__file__).parents[2] / "conf"
GROUPS = (
    *("model", "quant", "backend", "env", "dataset", "prompt", "sampling", "load"),
    *("race", "metrics", "judge", "tracking", "report"),
)
# Groups of keyed entries, of which several may be chosen; of those below `judge` the choice of judge decides.
LISTS = ("metrics", "judge/model")
FILES = sorted(path for path in CONF.rglob("*.yaml") if path.relative_to(CONF).parts[0] in GROUPS)
EXPERIMENTS = sorted((CONF / "experiment").glob("*.yaml"))
SNAPSHOTS = Path(__file__).parent / "snapshots"
WORDS = "the_words_of_conf"
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))


def composed(*overrides: str) -> DictConfig:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", list(overrides))


def test_all_files_are_looked_at():
    assert (
        len(FILES)
        == len(list(CONF.rglob("*.yaml")))
        - len(list((CONF / "hydra").rglob("*.yaml")))
        - len(list((CONF / "experiment").rglob("*.yaml")))
        - len(list((CONF / "workers").rglob("*.yaml")))
        - 5
    )  # config.yaml itself, and the tables quant_support.yaml, pixel_limits.yaml, degrade.yaml and model_facts.yaml
    assert len(FILES) >= 40


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_file_composes(path: Path):
    group = path.parent.relative_to(CONF).as_posix()
    value = f"[{path.stem}]" if group in LISTS else path.stem
    value = f"'{value}'" if group == "race" else value  # or Hydra takes true and false for no texts
    choice = []
    if group == "judge/prompt":
        choice = [f"judge={OmegaConf.load(path).kind}"]
    elif group == "judge/model":
        choice = ["judge=absolute"]
    elif group == "load" and value != "closed":  # no file can know these
        needed = {"trace": "load.path=arrivals.csv", "capacity": "report.slo={latency/p95_s: 3}"}
        choice = [needed.get(value, "load.rate=2")]
    cfg = composed(*choice, f"{group}={value}")
    assert list(config.check_values(cfg)) == []
    chosen = OmegaConf.select(cfg, group.replace("/", "."))
    if group in LISTS:
        assert list(chosen) == [path.stem], "an entry is called like its file"
    else:
        assert chosen.name == path.stem, "a file's name is its word on the command line"


@pytest.mark.parametrize("path", sorted((CONF / "judge" / "prompt").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_rubric_is_complete(path: Path):
    from metrics.api import Case

    prompt = OmegaConf.to_container(OmegaConf.load(path))
    low, high = prompt.pop("scale")
    rubric = Rubric(low=low, high=high, **prompt)
    case = Case(sample_id="1", document="1", prediction="своё", references=("эталон",), rival="чужое", question="Что?")
    for image in (False, True):
        asked = " ".join(text for _, text in rubric.ask(case, 1, image=image))
        others = ("чужое",) if rubric.kind == "pairwise" else ("эталон",)
        assert all(text in asked for text in ("своё", "Что?", *others, *rubric.criteria.values()))
        assert ("attached" in asked) == image
    assert "too high" in rubric.ask_again((), "12", "too high")[-1][1]


@pytest.mark.parametrize("path", sorted((CONF / "workers").glob("*.yaml")), ids=lambda path: path.stem)
def test_workers_compose_and_say_their_command(path: Path):
    assert f"python -m runner -m workers={path.stem}" in path.read_text(encoding="utf-8")
    if path.stem == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: make test-cluster")
    given = OmegaConf.load(path)
    launcher = with_hydra(f"workers={path.stem}").hydra.launcher
    assert path.stem.rpartition("_")[2] in launcher._target_.lower()
    assert OmegaConf.merge(launcher, given.hydra.launcher) == launcher


@pytest.mark.parametrize("model", MODELS)
def test_every_quantisation_of_a_model_is_a_word(model: str):
    checkpoints = composed(f"model={model}").model.checkpoints
    files = [OmegaConf.load(path) for path in (CONF / "quant").glob("*.yaml")]
    reachable = {name for file in files for name in file.get("quant", file).checkpoint}  # below it beside a backend
    assert set(checkpoints) <= reachable


@pytest.mark.parametrize("model", MODELS)
def test_prices_name_their_date_and_source_and_every_word_of_thinking_makes_a_request(model: str):
    cfg = composed(f"model={model}")
    price = cfg.model.price
    if price.input_usd is not None:
        assert price.output_usd is not None and price.date and price.source
    for word in cfg.model.thinking:
        cfg.sampling.thinking, cfg.sampling.max_tokens = "2000" if word == "budget" else word, 4000
        form = request_form(cfg)
        assert "BUDGET" not in str(form.extra) and set(form.rename) <= {"max_tokens"}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_says_what_a_reviewer_needs(model: str):
    file = CONF / "model" / f"{model}.yaml"
    text, cfg = file.read_text(encoding="utf-8"), composed(f"model={model}").model
    assert text.startswith("#"), "the first line says what it is good for"
    # openai.yaml says of all models of a provider what they take; the others are of one model.
    assert len(text.splitlines()) <= (40 if model == "openai" else 20)
    assert cfg.licence
    assert set(cfg.backends) <= {"hf", "vllm", "sglang", "openai", "ocr", "litellm"}
    assert cfg.backends or cfg.unsupported or model.startswith("demo_")
    assert bool(cfg.trust_remote_code) == bool(cfg.why_remote_code)
    assert {*cfg.env, *cfg.engine_args} <= {"hf", "vllm", "sglang", "ocr"}
    assert all((CONF / "env" / f"{env}.yaml").is_file() for env in cfg.env.values())
    for quant, where in cfg.checkpoints.items():
        name, _, revision = where.partition("@")
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{quant}:"))
        pinned = re.fullmatch("[0-9a-f]{40}", revision)
        assert pinned or "# not pinned" in line or name.startswith("assets/"), line


def test_the_page_of_models_is_current():
    page = (CONF.parent / "docs" / "models.md").read_text(encoding="utf-8")
    assert page == write_docs.models(CONF / "model"), "run: python -m runner.document"


def test_the_reference_of_all_keys_is_current():
    page = (CONF.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference.page(), "run: python -m runner.document"
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 90
    assert not [row for row in rows if row.rstrip().endswith("|  |")], (
        "a comment beside it in the schema says what it means"
    )


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment_has_the_effect_that_was_reviewed(path: Path, request: pytest.FixtureRequest):
    """A pull request shows what changes in which job of an experiment; `--update-snapshots` writes what is true now."""
    assert f"python -m runner experiment={path.stem}" in path.read_text(encoding="utf-8"), "its command stands on top"
    agree(request, path.stem, effective.text(CONF, path.stem))


def agree(request: pytest.FixtureRequest, name: str, now: str) -> None:
    """Hold a text against its snapshot, or write it anew."""
    snapshot = SNAPSHOTS / f"{name}.yaml"
    if request.config.getoption("--update-snapshots"):
        snapshot.write_text(now, encoding="utf-8")
    reviewed = snapshot.read_text(encoding="utf-8") if snapshot.exists() else ""
    if reviewed != now:
        pytest.fail(
            f"{effective.difference(reviewed, now)}\n\nrun: pytest tests/conf --update-snapshots", pytrace=False
        )


def test_every_word_means_what_was_reviewed(request: pytest.FixtureRequest):
    """Also that of a model or prompt which no experiment names."""
    agree(request, WORDS, effective.words(CONF))


def test_every_snapshot_belongs_to_an_experiment():
    assert {path.stem for path in SNAPSHOTS.glob("*.yaml")} == {path.stem for path in EXPERIMENTS} | {WORDS}


def test_a_model_that_is_shown_less_and_prompts_that_are_swapped_are_seen(tmp_path: Path):
    """Two changes that alter results and passed the tests once: within a model's file, and within a list of jobs."""
    reviewed = (SNAPSHOTS / "demo_mini.yaml").read_text(encoding="utf-8")
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    model, experiment = conf / "model" / "qwen2vl_7b.yaml", conf / "experiment" / "demo_mini.yaml"
    before = model.read_text(encoding="utf-8")
    model.write_text(before.replace("max_pixels: 1003520", "max_pixels: 501760"), encoding="utf-8")
    changed = effective.difference(reviewed, effective.text(conf, "demo_mini")).splitlines()
    assert "+  model.max_pixels: 501760" in changed
    words = (SNAPSHOTS / f"{WORDS}.yaml").read_text(encoding="utf-8")
    assert "+  max_pixels: 501760" in effective.difference(words, effective.words(conf)).splitlines()
    model.write_text(before, encoding="utf-8")
    jobs = experiment.read_text(encoding="utf-8")
    one, other = "JuliaJu_Qwen2-VL-2B_demo_mini_cer0", "JuliaJu_Qwen2-VL-7B_demo_mini_cer0"
    swapped = jobs.replace(one, "\0").replace(other, one).replace("\0", other)
    experiment.write_text(swapped, encoding="utf-8")
    changed = effective.difference(reviewed, effective.text(conf, "demo_mini")).splitlines()
    assert {f"-  prompt.name: {one}", f"+  prompt.name: {other}"} <= set(changed)


def test_a_prompt_whose_file_was_edited_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its path stays the same; what a model is asked doesn't."""
    reviewed = (SNAPSHOTS / "prompt_selection.yaml").read_text(encoding="utf-8")
    prompts = Path("data", "demo_documents", "prompts")
    shutil.copytree(CONF.parent / prompts, tmp_path / prompts)
    file = tmp_path / prompts / "demo_detailed.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("Пример", "Образец"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    changed = effective.difference(reviewed, effective.text(CONF, "prompt_selection")).splitlines()
    lines = [line for line in changed if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    assert len(lines) == 4 and all("content of the prompt" in line for line in lines), changed


def with_hydra(*overrides: str) -> DictConfig:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", list(overrides), return_hydra_config=True)
