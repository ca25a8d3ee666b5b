"""Videos: the frames that are taken, how they reach a model, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.datasets import BadImage, DatasetConfig, open_dataset, read_images, video
from runner.datasets.api import Frames, Image


def clip(path: Path, seconds: int = 4, rate: int = 10) -> Path:
    """A video whose grey says its second: 0, 40, 80, ..."""
    import av
    import numpy

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(seconds * rate):
            grey = numpy.full((48, 64, 3), 40 * (number // rate), dtype=numpy.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return path


def greys(images) -> list[int]:
    import PIL.Image

    pictures = [PIL.Image.open(io.BytesIO(image.data)) for image in images]
    return [round(picture.convert("L").getpixel((30, 20)) / 40) for picture in pictures]


@pytest.mark.parametrize(
    ("frames", "seconds"),
    [
        (Frames(1, 16), [0, 1, 2, 3]),
        (Frames(2, 16), [0, 0, 1, 1, 2, 2, 3, 3]),
        (Frames(0.5, 16), [0, 2]),
        (Frames(10, 4), [0, 1, 2, 3]),  # 40 would be too many: evenly spread
        (Frames(0.01, 16), [0]),
    ],
)
def test_frames_by_rate_and_limit(tmp_path: Path, frames: Frames, seconds: list[int]):
    images = read_images((Image(clip(tmp_path / "clip.mp4"), frames=frames),))
    assert greys(images) == seconds
    assert {(image.width, image.height, image.media_type) for image in images} == {(64, 48, "image/jpeg")}
    assert len({image.digest for image in images}) == len(seconds), "each frame has a name of its own"


def test_a_slow_video_gives_each_frame_once(tmp_path: Path):
    assert greys(read_images((Image(clip(tmp_path / "slow.mp4", 3, rate=1), frames=Frames(10, 64)),))) == [0, 1, 2]


def at_times(path: Path, seconds: list[float], *, held_s: float = 1.0) -> Path:
    """A video with a frame at each of the times, the last one on the screen for `held_s`; greys count up."""
    from fractions import Fraction

    import av
    import numpy

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, second in enumerate([*seconds, seconds[-1] + held_s]):
            grey = numpy.full((48, 64, 3), 40 * min(number, len(seconds) - 1), dtype=numpy.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = round(second * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("begin", [0.0, 3.0])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_the_frame_on_the_screen_is_taken(tmp_path: Path, suffix: str, begin: float):
    """Blue is on from 0.2 s to 5 s: whoever looks once a second sees it, and only then what comes at 5 s."""
    path = at_times(tmp_path / f"a.{suffix}", [begin + second for second in (0, 0.1, 0.2, 5)])

    def seen(*frames: object) -> list[int]:
        return greys(read_images((Image(path, frames=Frames(*frames)),)))

    assert seen(1, 16) == [0, 2, 3]
    assert seen(10, 100) == [0, 1, 2, 3]
    assert seen(10, 3) == [0, 2], "at 0, 2 and 4 s"


@pytest.mark.parametrize("rate", [7, 12, 24, 25, 30])
def test_a_steady_rate_gives_the_frame_of_each_second(tmp_path: Path, rate: int):
    images = read_images((Image(clip(tmp_path / "a.mkv", 4, rate), frames=Frames(2, 16)),))
    assert greys(images) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_recording_that_does_not_know_its_length_is_read_to_its_end(tmp_path: Path):
    """A browser writes such: there is no going back to the head of a stream."""
    import av
    import numpy

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            held.extend(data)
            return len(data)

    held = bytearray()
    with av.open(Pipe(), "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            grey = numpy.full((48, 64, 3), 40 * (number // 10), dtype=numpy.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    (tmp_path / "live.mkv").write_bytes(held)
    with av.open(str(tmp_path / "live.mkv")) as container:
        assert container.duration is None
    assert greys(read_images((Image(tmp_path / "live.mkv", frames=Frames(1, 16)),))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("matrix", "size", "dark"),
    [
        ((1, 0, 0, 1), (64, 48), (0, 0)),
        ((0, 1, -1, 0), (48, 64), (1, 0)),  # by 90 degrees clockwise: what was left is at the top
        ((-1, 0, 0, -1), (64, 48), (1, 1)),
        ((0, -1, 1, 0), (48, 64), (0, 1)),
    ],
)
def test_how_a_phone_was_held_turns_its_frames(tmp_path: Path, matrix: tuple, size: tuple, dark: tuple):
    """The matrix of an MP4's track header (ISO 14496-12, 8.3.2): a, b, u, c, d, v, x, y, w in 16.16 and 2.30."""
    import struct

    import av
    import numpy
    import PIL.Image

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        page = numpy.full((48, 64, 3), 220, dtype=numpy.uint8)
        page[:16, :16] = 20  # the upper left corner
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(page, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    a, b, c, d = (value * 0x10000 for value in matrix)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 0x40000000)
    (tmp_path / "a.mp4").write_bytes(data)
    (image,) = read_images((Image(tmp_path / "a.mp4", frames=Frames(1, 1)),))
    assert (image.width, image.height) == size
    frame = PIL.Image.open(io.BytesIO(image.data)).convert("L")
    corners = {(x, y): frame.getpixel((6 + x * (size[0] - 13), 6 + y * (size[1] - 13))) for x in (0, 1) for y in (0, 1)}
    assert min(corners, key=corners.__getitem__) == dark


def test_digests_name_content_and_time(tmp_path: Path):
    first, second = clip(tmp_path / "1.mp4"), tmp_path / "2.mp4"
    second.write_bytes(first.read_bytes())
    one, two, fewer = (
        [image.digest for image in read_images((Image(path, frames=frames),))]
        for path, frames in ((first, Frames(1, 16)), (second, Frames(1, 16)), (first, Frames(0.5, 16)))
    )
    assert one == two
    assert fewer == [one[0], one[2]], "the same frame is the same picture, however it was chosen"


def dataset(folder: Path, row: dict, **config):
    (folder / "rows.jsonl").write_text(json.dumps({"id": "1", "question": "What is shown?", **row}))
    return open_dataset(DatasetConfig(format="jsonl", path=str(folder / "rows.jsonl"), **config))


def test_a_row_with_a_video(tmp_path: Path):
    clip(tmp_path / "clip.mp4")
    (sample,) = dataset(tmp_path, {"video": "clip.mp4"}, video_fps=2, video_frames=3)
    assert sample.images == (Image(tmp_path / "clip.mp4", frames=Frames(2, 3)),)
    assert sample.document == "clip.mp4" and not sample.meta
    assert len(read_images(sample.images)) == 3
    digests = {dataset(tmp_path, {"video": "clip.mp4"}, video_frames=count).digest() for count in (3, 4)}
    assert len(digests) == 2, "which frames are shown is part of the question"


def test_pictures_and_a_video_in_one_row(tmp_path: Path):
    import PIL.Image

    clip(tmp_path / "clip.mp4", 2)
    PIL.Image.new("RGB", (20, 10)).save(tmp_path / "1.png")
    (sample,) = dataset(tmp_path, {"images": ["1.png"], "video": "clip.mp4"})
    assert [image.width for image in read_images(sample.images)] == [20, 64, 64]


@pytest.mark.parametrize(
    ("content", "words"), [(b"no video at all" * 100, "can't be decoded"), (b"", "the file is empty")]
)
def test_a_damaged_video_fails_its_sample(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(BadImage, match=words):
        read_images((Image(tmp_path / "clip.mp4", frames=Frames()),))


def test_a_list_of_other_files_is_no_video(tmp_path: Path):
    """FFmpeg would read it as one (concat): seen with PyAV, whatever the file is called."""
    clip(tmp_path / "other.mp4")
    listed = tmp_path / "listed.mp4"
    listed.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(BadImage, match=r"listed\.mp4: the video can't be decoded"):
        read_images((Image(listed, frames=Frames()),))


def test_sound_alone(tmp_path: Path):
    import av
    import numpy

    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(numpy.zeros((1, 1024), dtype=numpy.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BadImage, match="sound alone"):
        read_images((Image(tmp_path / "sound.mp4", frames=Frames()),))


def test_what_is_refused_before_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Refused, match="does not exist"):
        dataset(tmp_path, {"video": "nowhere.mp4"})
    with pytest.raises(Refused, match="not a path"):
        dataset(tmp_path, {"video": ["a.mp4", "b.mp4"]})
    clip(tmp_path / "clip.mp4", 1)
    monkeypatch.setattr(video, "can_be_read", lambda: False)
    with pytest.raises(Refused, match="pip install av"):
        dataset(tmp_path, {"video": "clip.mp4"})


def test_a_moving_picture_is_one_part_with_its_rate(tmp_path: Path):
    from backends.api import ImagePart, VideoPart
    from runner.asking.questions import parts_of

    clip(tmp_path / "clip.mp4")
    image = read_images((Image(clip(tmp_path / "still.mp4", 1), frames=Frames(1, 1)),))
    moving = read_images((Image(tmp_path / "clip.mp4", frames=Frames(1, 16, moving=True)),))
    spread = read_images((Image(tmp_path / "clip.mp4", frames=Frames(10, 2, moving=True)),))
    parts = parts_of((*image, *moving, *image))
    assert [type(part) for part in parts] == [ImagePart, VideoPart, ImagePart]
    assert isinstance(parts[1], VideoPart) and (len(parts[1].frames), parts[1].fps) == (4, 1.0)
    (spread_part,) = parts_of(spread)
    assert isinstance(spread_part, VideoPart) and spread_part.fps == pytest.approx(0.5), "two frames of four seconds"


def planned(folder: Path, *overrides: str):
    from hydra import compose, initialize_config_dir

    from runner import config
    from runner.base import paths
    from runner.planning.plan import plan

    (folder / "rows.jsonl").write_text(json.dumps({"id": "1", "question": "?", "video": "clip.mp4"}))
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        chosen = ["model=demo_s", "tracking=none", "dataset=jsonl", f"dataset.path={folder / 'rows.jsonl'}"]
        return plan(compose("config", [*chosen, *overrides]))


def test_who_is_sent_a_moving_picture(tmp_path: Path):
    clip(tmp_path / "clip.mp4", 1)
    job = planned(tmp_path, "backend=vllm", "dataset.video_as=video")
    assert json.loads(job.spec.arg("engine_args.limit_mm_per_prompt"))["video"] == 1
    still = planned(tmp_path, "backend=vllm")
    assert json.loads(still.spec.arg("engine_args.limit_mm_per_prompt"))["video"] == 0
    assert planned(tmp_path, "dataset.video_as=video").spec == planned(tmp_path).spec, "hf needs no other engine"
    with pytest.raises(Refused, match=r"video_as=pictures; video with: hf, vllm"):
        planned(tmp_path, "backend=sglang", "dataset.video_as=video")
    with pytest.raises(Refused, match=r"backend=llama_cpp is not sent videos"):
        planned(tmp_path, "model=demo_m", "quant=gguf_q8_0", "dataset.video_as=video")
