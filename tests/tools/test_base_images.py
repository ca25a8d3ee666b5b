"""Each Dockerfile's default base is one that docker/base_images.yaml lists as published."""

import re

import pytest
import yaml

from tests.conftest import ROOT

DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
PUBLISHED = yaml.safe_load((ROOT / "docker" / "base_images.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_default_base_is_published(file):
    (base,) = re.findall(r"^ARG BASE=(\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    name, _, tag = base.partition(":")
    assert tag in PUBLISHED[name]["tags"], f"{base} is not in docker/base_images.yaml"


def test_the_engines_bases_have_the_versions_that_are_pinned():
    for name, requirements in (("vllm/vllm-openai", "vllm"), ("lmsysorg/sglang", "sglang")):
        text = (ROOT / "envs" / f"{requirements}.txt").read_text(encoding="utf-8")
        pinned = re.findall(rf"^{requirements}==(\S+)", text, re.MULTILINE)
        assert [f"v{version}" for version in pinned] == PUBLISHED[name]["tags"]


def test_where_engines_are_built_there_is_a_compiler():
    """Triton 3.8.0 compiles its driver at the first use (runtime/build.py:33), SGLang's kernels want g++ besides."""
    text = (ROOT / "docker" / "runner.Dockerfile").read_text(encoding="utf-8")
    (packages,) = re.findall(r'^ARG PACKAGES="(.*)"$', text, re.MULTILINE)
    assert {"gcc", "g++", "libc6-dev"} <= set(packages.split())
