"""Places on a page: whether the boxes of an answer lie where those of the reference do.

answer '{"bbox_2d": [0, 0, 500, 500]}' in thousandths, reference '[0, 0, 100, 100]' in pixels of a picture of 200 x 200
->  grounding_iou 1, grounding_hit 1

Models count in different frames (`metrics.boxes.FRAMES`): which one is data of the model (`model.box_frame`). A frame
that is wrong gives plausible nonsense, so it is looked for and told of.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metrics import boxes
from metrics.api import Case, Measure, Score
from metrics.boxes import Box, Size
from metrics.normalisation import visible
from metrics.statistics import ratio_of_sums
from metrics.text import prepare, unscored

if TYPE_CHECKING:
    from metrics.api import Array

_REFCOCO = "Yu et al. 2016, RefCOCO (IoU at 0.5)"
_FEWEST = 3  # answers with boxes, before anything is said of their frame
_MOST_OF_THEM = 0.8
_TINY = 1e-4  # share of the page: 1 % of its width by 1 % of its height
_BETTER = 0.3  # by how much the mean IoU of another frame is higher, before that one is meant
_MOST_BOXES = 1_000  # a loop of boxes is cut off here


def _share(name: str, aggregate: str, formula: str, source: str) -> Measure:
    return Measure(name, "higher", aggregate, 0, 1, formula, source)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Read:
    """The boxes of a case: of its references, each in shares of the page, and of the answer as they are written."""

    wanted: tuple[tuple[Box, ...], ...]
    written: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a person sees of a case, in shares of the picture: the reference that fits best, and the answer's boxes.

    Each box of the answer comes with its label, the number of its partner among `wanted` (None without one), their IoU,
    and what is wrong with it. `problem` says why the boxes can't be placed: then there are none.
    """

    wanted: tuple[Box, ...]
    given: tuple[tuple[Box, str, int | None, float, str], ...] = ()
    problem: str = ""


class Grounding:
    """Compares boxes by intersection over union; labels are not compared.

    `frame` and `order` say how the model writes boxes, `reference_frame` how the references do; a hit has at least
    `threshold`. With several boxes those of the answer are paired with those of the reference so that the sum of IoU is
    highest. An answer without a box misses; one whose box is outside the page or has its corners swapped is unscored.
    """

    env = "current"
    measures = (
        _share("grounding_hit", "corpus", "boxes found with IoU of 0.5 or more / boxes wanted", _REFCOCO),
        _share("grounding_iou", "corpus", "sum of IoU of paired boxes / boxes wanted", "Jaccard 1901"),
        _share("grounding_precision", "corpus", "boxes found with IoU of 0.5 or more / boxes given", _REFCOCO),
        _share("grounding_valid", "mean", "share of answers with boxes that lie on the page", "this project"),
    )

    def __init__(
        self, frame: str = "pixels", order: str = "xyxy", reference_frame: str = "pixels", threshold: float = 0.5
    ) -> None:
        references = [name for name in boxes.FRAMES if name != "resized"]
        for name, value, valid in (
            ("frame", frame, boxes.FRAMES),
            ("order", order, boxes.ORDERS),
            ("reference_frame", reference_frame, references),
        ):
            if value not in valid:
                raise ValueError(f"{name} is {value!r}; valid: {', '.join(valid)}")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
            raise ValueError(f"threshold is {threshold!r}; valid: above 0, up to 1")
        self.frame, self.order, self.reference_frame, self.threshold = frame, order, reference_frame, threshold

    @property
    def version(self) -> str:
        """Definition, threshold and frame of the references: what decides the numbers.

        `frame` and `order` only say how a model writes its boxes: models that differ in them are comparable.
        """
        references = "" if self.reference_frame == "pixels" else f" reference_frame={self.reference_frame}"
        return f"2 threshold={self.threshold:g}{references}"

    def check_reference(self, text: str, picture: str = "") -> str:
        """Say what is wrong with the boxes of a reference on this picture; empty where nothing is."""
        return self._reference(text, picture)[1]

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        read: dict[int, _Read | str] = {number: self._read(case) for number, case in enumerate(cases)}
        wrong_frame = self._wrong_frame(
            [(cases[number], answer) for number, answer in read.items() if isinstance(answer, _Read)]
        )
        for number, case in enumerate(cases):
            answer = read[number]
            if isinstance(answer, str) or wrong_frame:
                yield from unscored(case, self.measures, answer if isinstance(answer, str) else wrong_frame)
                continue
            yield from self._scores(case, answer)

    def drawing(self, case: Case) -> Drawing:
        """Return the boxes of a case where the scores place them, for drawings; of a failed answer the reference's."""
        references = [placed for placed, problem in self._references(case, case.references) if not problem]
        wanted = references[0] if references else ()
        text = visible(case.prediction or "")
        written = tuple(boxes.written(text)[:_MOST_BOXES])
        if not written:
            return Drawing(wanted)
        if missing := self._no_size(case, self.frame):
            return Drawing(wanted, problem=missing)
        predicted = self._placed(case, _Read(tuple(references), written), self.frame)
        wanted = max(references, key=lambda some: sum(boxes.paired(some, predicted)) / len(some), default=())
        partners = {column: (row, overlap) for row, column, overlap in boxes.pairs(wanted, predicted) if overlap}
        return Drawing(
            wanted,
            tuple(
                (box, label, *partners.get(number, (None, 0.0)), boxes.wrong(box))
                for number, (box, label) in enumerate(zip(predicted, boxes.labels(text), strict=False))
            ),
        )

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (numerator, denominator), shape (..., 2), into ratios, shape (...)."""
        return ratio_of_sums(totals)

    def _read(self, case: Case) -> _Read | str:
        """Return the boxes of a case, or the reason why it can't be scored."""
        reason, prediction, references = prepare(case, visible)
        if reason:
            return reason
        read = self._references(case, references)
        if not (wanted := tuple(box for box, problem in read if not problem)):
            return f"the reference: {read[0][1]}"
        written = tuple(boxes.written(prediction)[:_MOST_BOXES])
        if written and (missing := self._no_size(case, self.frame)):
            return missing
        return _Read(wanted, written)

    def _references(self, case: Case, texts: Sequence[str]) -> list[tuple[tuple[Box, ...], str]]:
        """Return for each reference its boxes on the picture that was shown, or what is wrong with them.

        They are written for the clean page. Where another one was shown (dataset.degrade) they move as the page did.
        """
        read = [self._reference(text, case.images[0] if case.images else "") for text in texts]
        if "warp" not in case.facts:
            return read
        if (warp := case.facts["warp"]) is None:
            return [((), "its boxes moved with the page that was made worse, and that page can't be read")] * len(read)
        return [(tuple(boxes.moved(box, warp) for box in placed), problem) for placed, problem in read]

    def _reference(self, text: str, picture: str) -> tuple[tuple[Box, ...], str]:
        """Return the boxes of a reference, or what is wrong with them."""
        written = boxes.written(visible(text))
        if not written:
            return (), "no box in it"
        size = boxes.picture_size(picture) if self.reference_frame == "pixels" else None
        if self.reference_frame == "pixels" and size is None:
            return (), f"its boxes are in pixels, and the size of {picture or 'no picture'} can't be told"
        placed = tuple(boxes.placed(box, self.reference_frame, "xyxy", size) for box in written)
        for box, as_written in zip(placed, written, strict=True):
            if problem := boxes.wrong(box):
                return (), f"box {[f'{number:g}' for number in as_written]}: {problem}".replace("'", "")
        return placed, ""

    def _size(self, case: Case, frame: str) -> Size | None:
        """Return the size in which a frame counts pixels; None where it counts none, or that is unknown."""
        if frame == "pixels" and case.images:
            return boxes.picture_size(case.images[0])
        if frame == "resized" and (seen := case.facts.get("image_sizes")):
            return int(seen[0][0]), int(seen[0][1])
        return None

    def _no_size(self, case: Case, frame: str) -> str:
        """Say why the pixels of a frame can't be placed; empty where they can."""
        if frame not in ("pixels", "resized") or self._size(case, frame):
            return ""
        if frame == "pixels":
            return "the boxes are in pixels, and the size of the picture can't be told"
        return "the boxes are in pixels of the resized picture, and the engine doesn't say to what size it resized it"

    def _placed(self, case: Case, answer: _Read, frame: str) -> list[Box]:
        size = self._size(case, frame)
        return [boxes.placed(box, frame, self.order, size) for box in answer.written]

    def _wrong_frame(self, read: Sequence[tuple[Case, _Read]]) -> str:
        """Say that the boxes of the answers are not in the frame that is set; empty where they may be."""
        given = [(case, answer) for case, answer in read if answer.written]
        if len(given) < _FEWEST:
            return ""
        placed = [box for case, answer in given for box in self._placed(case, answer, self.frame)]
        outside = sum("page" in boxes.wrong(box) for box in placed) / len(placed)
        tiny = sum(abs(boxes.area(box)) < _TINY for box in placed) / len(placed)
        now = self._mean_iou(given, self.frame)
        fits = {
            frame: self._mean_iou(given, frame)
            for frame in boxes.FRAMES
            if frame != self.frame and not any(self._no_size(case, frame) for case, _ in given)
        }
        best = max(fits, key=lambda frame: fits[frame], default="")
        instead = f"; frame={best} would give a mean IoU of {fits[best]:.2f}" if best and fits[best] > now + 0.1 else ""
        for share, what in ((outside, "outside the page"), (tiny, "tiny")):
            if share >= _MOST_OF_THEM:
                message = f"the frame seems wrong: {share:.0%} of the boxes are {what} with frame={self.frame}"
                return f"{message}{instead}; set model.box_frame"
        if best and fits[best] >= now + _BETTER:
            message = f"the frame seems wrong: frame={self.frame} gives a mean IoU of {now:.2f}"
            return f"{message}{instead}; set model.box_frame"
        return ""

    def _mean_iou(self, given: Sequence[tuple[Case, _Read]], frame: str) -> float:
        values = [
            max(functools.reduce(max, boxes.paired(wanted, predicted)) for wanted in answer.wanted)
            for case, answer in given
            for predicted in (self._placed(case, answer, frame),)
        ]
        return sum(values) / len(values)

    def _scores(self, case: Case, answer: _Read) -> Iterator[Score]:
        """Yield the scores of one case."""
        predicted = self._placed(case, answer, self.frame)
        problems = list(filter(None, map(boxes.wrong, predicted)))
        valid = float(bool(predicted) and not problems)
        yield Score(case.sample_id, case.repeat, "grounding_valid", valid, (valid, 1.0))
        if problems:
            reason = f"{len(problems)} of {len(predicted)} boxes of the answer: {problems[0]}"
            yield from unscored(case, self.measures[:3], reason)
            return
        values = max(
            (boxes.paired(wanted, predicted) for wanted in answer.wanted), key=lambda some: sum(some) / len(some)
        )
        hits, count = float(sum(value >= self.threshold for value in values)), float(len(values))
        detail = (
            f"{len(predicted)} boxes, {len(values)} wanted, IoU {', '.join(f'{value:.2f}' for value in values[:10])}"
        )
        for name, numerator, denominator in (
            ("grounding_hit", hits, count),
            ("grounding_iou", sum(values), count),
            ("grounding_precision", hits, float(len(predicted))),
        ):
            value = numerator / denominator if denominator else 0.0
            yield Score(
                case.sample_id,
                case.repeat,
                name,
                value,
                (numerator, denominator),
                detail=detail if predicted else "no box",
            )
