"""The loaders of real vLLM and SGLang, in their own environments, make the same pixels of what is sent.

`make test-engines`. No engine is started: each loader is called as its server calls it, on a page in every kind.
"""

import base64
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from backends.api import Launch
from backends.hf_server.images import decode_image
from runner import config
from runner.base import paths
from runner.datasets import Image, read_image
from runner.planning import environments
from runner.planning.plan import plan
from tests.backends.picture_modes import PAGES
from tests.engines.room import skip_without_room

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

LOADERS = {
    # vllm/multimodal/media/connector.py, 0.32
    "vllm": """
from vllm.multimodal.media.image import ImageMediaIO

def load(url):
    return ImageMediaIO().load_base64("", url.partition(",")[2]).media
""",
    # sglang/srt/multimodal/processors/base_processor.py, 0.5.23
    "sglang": """
from sglang.srt.managers.schedule_batch import Modality
from sglang.srt.multimodal.processors.base_processor import BaseMultimodalProcessor

def load(url):
    return BaseMultimodalProcessor._load_single_item(url, Modality.IMAGE)
""",
}
SAVE = """
import pathlib, sys
import numpy
for file in pathlib.Path(sys.argv[1]).glob("*.url"):
    numpy.save(file.with_suffix(".npy"), numpy.asarray(load(file.read_text())))
"""


@pytest.mark.parametrize("backend", LOADERS)
def test_every_engine_sees_the_same_page(tmp_path: Path, backend: str):
    config.register()
    given = ["model=demo_m", "quant=fp32", "tracking=none", f"backend={backend}", f"env={backend}_cpu"]
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        environment = environments.resolve(plan(compose("config", given)).config)
    skip_without_room(backend)
    environment.build(print)
    sent = {}
    for number, page in enumerate(PAGES):
        path = tmp_path / f"{number}.{page.suffix}"
        path.write_bytes(page.data)
        read = sent[page.name] = read_image(Image(path))
        url = f"data:{read.media_type};base64,{base64.b64encode(read.data).decode()}"
        (tmp_path / f"{number}.url").write_text(url)
    launch = environment.prepare(Launch(("python", "-c", LOADERS[backend] + SAVE, str(tmp_path))))
    ended = subprocess.run(
        launch.argv, env={**os.environ, **launch.variables}, capture_output=True, text=True, check=False, timeout=900
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    for number, page in enumerate(PAGES):
        theirs = np.load(tmp_path / f"{number}.npy")
        ours = np.asarray(decode_image(sent[page.name].data, 1))
        assert theirs.shape == ours.shape and np.array_equal(theirs, ours), page.name
