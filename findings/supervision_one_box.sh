#!/bin/sh
# What supervision 0.31.2 (PyPI), which reads boxes out of the answers of vision-language models, finds in an answer of Qwen about one box.
#
# Guess, written down before it was run: one box, whether the answer is [{"bbox_2d": ..., "label": ...}] or, as models write where
# they found one thing, the object without the brackets of a list; and the same with "Answer [1]:" before it.
# Seen: one box for the list alone. For the object it finds none: it reads from the first "[" to the last "]", which are those of the
# coordinates, and four numbers are no boxes. With "[1]" in the words before it none is found either. There is neither an error nor
# a warning, and the result is that of the answer [] or "no stamps". {"objects": [...]} is read. Gemini's format is no better.
# So pages with one stamp or one signature count as missed where the model was right, and pages with two don't: a recall that
# grows with the number of boxes on a page. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "supervision==0.31.2"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that OpenCV is not installed
    import supervision

ONE = '{"bbox_2d": [100, 200, 300, 400], "label": "печать"}'
TWO = '{"bbox_2d": [500, 600, 700, 800], "label": "печать"}'
GEMINI = '{"box_2d": [200, 100, 400, 300], "label": "печать"}'
assert json.loads(ONE)["bbox_2d"] == [100, 200, 300, 400]
found = {}
warnings.simplefilter("error")
for name, answer in (
    ("a list of one", f"[{ONE}]"),
    ("a list of two", f"[{ONE}, {TWO}]"),
    ("an object", ONE),
    ("an object in a block of code", f"```json\n{ONE}\n```"),
    ("a list behind the words Answer [1]:", f"Answer [1]:\n```json\n[{ONE}]\n```"),
    ("a list in an object", f'{{"objects": [{ONE}]}}'),
    ("an empty list", "[]"),
):
    boxes = supervision.Detections.from_vlm(supervision.VLM.QWEN_3_VL, answer, resolution_wh=(1000, 1000))
    found[name] = len(boxes)
    print(f"supervision 0.31.2, Qwen3-VL, {name}: {len(boxes)} boxes {boxes.xyxy.tolist()}")
for name, answer in (("Gemini, a list of one", f"[{GEMINI}]"), ("Gemini, an object", GEMINI)):
    boxes = supervision.Detections.from_vlm(supervision.VLM.GOOGLE_GEMINI_2_5, answer, resolution_wh=(1000, 1000))
    found[name] = len(boxes)
    print(f"supervision 0.31.2, {name}: {len(boxes)} boxes")
assert found == {
    "a list of one": 1,
    "a list of two": 2,
    "an object": 0,
    "an object in a block of code": 0,
    "a list behind the words Answer [1]:": 0,
    "a list in an object": 1,
    "an empty list": 0,
    "Gemini, a list of one": 1,
    "Gemini, an object": 0,
}, found
PYTHON
echo "as described"
