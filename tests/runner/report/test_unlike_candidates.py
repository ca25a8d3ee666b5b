"""The verdict says where models saw other pages or were asked in other words; an axis of the sweep is no fault."""

from pathlib import Path

from runner.jobs.folder import JobFolder
from runner.report import loading, trust
from tests.runner.report.jobs import scored_job


def told(folder: Path, *jobs: tuple[str, ...]) -> dict[str, list[str]]:
    for number, overrides in enumerate(jobs):
        scored_job(folder / str(number), *overrides, answers=["да"] * 2, references=["да"] * 2)
    results = JobFolder.below(folder)
    (compared,) = loading.build(results, loading.settings_of(results), "title", folder).comparisons
    return {one.name: [*trust.pixels(compared, one), *trust.prompts(compared, one)] for one in compared.candidates}


def test_other_pixel_limits(tmp_path: Path):
    said = told(tmp_path, ("model=demo_m", "model.max_pixels=200704"), ("model=demo_s",))
    assert "model.max_pixels 200704" in said["0"][0] and "different sizes" in said["0"][0]
    assert "its processor's own limits" in said["1"][0]


def test_limits_of_as_many_visual_tokens_are_alike(tmp_path: Path):
    """1280 tokens of 28 x 28 and of 32 x 32 pixels: what the files of Qwen2.5-VL and Qwen3-VL say."""
    both = (("model=demo_m", "model.max_pixels=1003520"), ("model=demo_s", "model.max_pixels=1310720"))
    assert not any(told(tmp_path / "alike", *both).values())
    assert all(told(tmp_path / "other", both[0], ("model=demo_s", "model.max_pixels=655360")).values())


def test_other_prompts(tmp_path: Path):
    said = told(tmp_path, ("model=demo_m", "prompt=plain"), ("model=demo_s", "prompt=collection"))
    assert [len(all_) for all_ in said.values()] == [1, 1]
    assert "the prompt plain" in said["0"][0] and "the prompt collection" in said["1"][0]


def test_a_version_of_a_prompt_counts(tmp_path: Path):
    said = told(tmp_path, ("model=demo_m", "prompt=plain"), ("model=demo_s", "prompt=plain", "prompt.system=brief"))
    assert all("prompt plain" in all_[0] for all_ in said.values())


def test_axes_of_a_sweep_are_no_fault(tmp_path: Path):
    grid = [
        (f"model={model}", f"prompt={prompt}", f"model.max_pixels={most}")
        for model in ("demo_m", "demo_s")
        for prompt in ("plain", "collection")
        for most in (100352, 200704)
    ]
    assert not any(told(tmp_path, *grid).values())


def test_one_model_in_several_sizes_is_no_fault(tmp_path: Path):
    assert not any(told(tmp_path, ("quant=bf16", "model.max_pixels=100352"), ("quant=bf16",)).values())
