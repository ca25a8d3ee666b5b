"""`python -m runner.select_prompts SWEEP --write prompts/chosen --confirm test`: the best prompt per field.

SWEEP is the folder of a sweep over prompts on a development split (experiment=prompt_selection). docs/prompts.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.redaction import redact
from runner.base import command_line, terminal, terminal_table
from runner.base.errors import Problem, Refused
from runner.jobs.job_files import write_json
from runner.studies.select_prompts import collection_file, confirming
from runner.studies.select_prompts.candidates import find_candidates
from runner.studies.select_prompts.choosing import Estimate, Selection, select
from runner.studies.select_prompts.confirming import Confirmation


def main(arguments: Sequence[str]) -> int:
    """Choose prompts, and show, write and confirm the choice. Return 0."""
    options = _parser().parse_intermixed_args(arguments)
    if options.confirm and not options.write:
        raise Refused(Problem("what is confirmed must be written first", "--confirm", "--write FOLDER"))
    candidates = find_candidates(options.folders, options.measure)
    split = _split(candidates[0].tried[0].job.result.config)
    if options.confirm == split:
        what = f"the prompts were chosen on {split}: asking it again confirms nothing"
        raise Refused(Problem(what, "--confirm", "another split"))
    selections = [select(candidate) for candidate in candidates]
    if not options.write:
        for selection in selections:
            _show(selection, split, None)
        return 0
    collection_file.new_folder(options.write)
    sweep = ", ".join(map(str, options.folders))
    files = [collection_file.write(selection, options.write, sweep, split) for selection in selections]
    confirmed: list[Confirmation | None] = [None] * len(selections)
    _write_json(options, split, selections, confirmed)
    if options.confirm:
        confirmed = [*confirming.confirm(selections, files, options.confirm, options.write, options.overrides)]
        _write_json(options, split, selections, confirmed)
    for selection, file, confirmation in zip(selections, files, confirmed, strict=True):
        _show(selection, split, confirmation)
        _say(f"written: {file}   (prompt=collection prompt.path={file})\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("select_prompts", __doc__)
    parser.add_argument("folders", nargs="+", type=_folder, help="folders of sweeps over prompts; key=value: see below")
    parser.add_argument("--measure", default="cer", help="what decides; default: cer")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="a new folder for the collections, one per model")
    parser.add_argument(
        "--confirm", metavar="SPLIT", help="ask again on this split, beside the first prompt of the sweep"
    )
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
                        help="added to the jobs of the confirmation: --set tracking=none")  # fmt: skip
    return parser


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder")
    return path


def _split(config: Any) -> str:
    split = config["dataset"].get("split")
    return str(split) if split else "all splits"


def _show(selection: Selection, split: str, confirmed: Confirmation | None) -> None:
    measure = selection.candidate.measure
    title = redact(f"{selection.candidate.name}: {measure.name} ({measure.better} is better)")
    more = (confirmed.split, "gap") if confirmed else ()
    header = ("doc_class", "field", "chosen", f"{split} [95% CI]", "better than the next by", "n", *more)
    rows = []
    for choice in selection.choices:
        row = [*choice.pair, choice.chosen.label, str(choice.figure), _gain(choice.paired), str(choice.figure.samples)]
        if confirmed:
            row += [_cell(confirmed.figures.get(choice.pair)), _signed(confirmed.gap(selection, choice.pair))]
        rows.append(row)
    row = ["all", "", "the collection", str(selection.overall), "", str(selection.overall.samples)]
    rows.append(row + ([str(confirmed.overall), _signed(confirmed.gap(selection))] if confirmed else []))
    baseline = selection.candidate.tried[0].label
    row = ["all", "", f"{baseline} (baseline)", str(selection.baseline), "", str(selection.baseline.samples)]
    rows.append(row + ([_cell(confirmed.baseline), _signed(confirmed.baseline_gap(selection))] if confirmed else []))
    redacted = [[redact(cell) for cell in row] for row in rows]
    elsewhere = "selection.json, with --write FOLDER"
    terminal_table.show_rows([*map(redact, header)], redacted, identity=3, elsewhere=elsewhere, title=title)
    for pair in selection.unchosen:
        _say(f"no choice for {pair}: nothing was scored with every prompt")
    if left := sum(choice.left_out for choice in selection.choices):
        _say(f"{left} samples were not scored with every prompt and decide nothing")
    if confirmed and (paired := confirmed.against_baseline):
        _say(
            f"on {confirmed.split} the collection is {against(paired)} {baseline}: gain {_gain(paired)}\n"
            f"gap to {split}: {_signed(confirmed.gap(selection))}; of the baseline, which was not chosen on {split}: "
            f"{_signed(confirmed.baseline_gap(selection))}; what choosing overfitted: "
            f"{_signed(confirmed.overfitting(selection))}",
        )


def against(paired: Any) -> str:
    """Return what a comparison (metrics.paired.Paired) shows of the collection: nothing where its interval holds 0."""
    if paired.holds_zero:
        return "not distinguishable from"
    return "better than" if paired.gain > 0 else "worse than"


def _say(text: str) -> None:
    terminal.say(redact(text))


def _gain(paired: Any) -> str:
    if paired is None:
        return ""
    sign = 1 if paired.measure.better == "higher" else -1
    if paired.ci_low is None:
        return _signed(paired.gain)
    low, high = sorted((sign * paired.ci_low, sign * paired.ci_high))
    return f"{_signed(paired.gain)} [{_signed(low)}, {_signed(high)}]"


def _cell(figure: Estimate | None) -> str:
    return str(figure) if figure else "–"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value + 0.0:+.3f}"  # + 0.0: no -0.000


def _write_json(
    options: argparse.Namespace, split: str, selections: Sequence[Selection], confirmed: Sequence[Confirmation | None]
) -> None:
    """Write selection.json: every figure behind the choice, and the figures on the split of the confirmation."""
    candidates = []
    for selection, confirmation in zip(selections, confirmed, strict=True):
        candidates.append(
            {
                "candidate": selection.candidate.name,
                "prompts": [tried.label for tried in selection.candidate.tried],
                "jobs": [str(tried.job.folder) for tried in selection.candidate.tried],
                "chosen": _as_json(selection.overall),
                "baseline": _as_json(selection.baseline),
                "fields": [_field(choice, selection, confirmation) for choice in selection.choices],
                "confirmed": confirmation
                and {
                    "chosen": _as_json(confirmation.overall),
                    "baseline": _as_json(confirmation.baseline),
                    "gap": confirmation.gap(selection),
                    "baseline_gap": confirmation.baseline_gap(selection),
                    "overfitting": confirmation.overfitting(selection),
                    "gain_over_baseline": paired.gain if (paired := confirmation.against_baseline) else None,
                },
            }
        )
    content = {"measure": options.measure, "split": split, "confirmed_on": options.confirm, "candidates": candidates}
    path = options.write / "selection.json"
    write_json(path, content)


def _field(choice: Any, selection: Selection, confirmation: Confirmation | None) -> dict[str, Any]:
    return {
        "doc_class": choice.pair[0],
        "field": choice.pair[1],
        "chosen": choice.chosen.label,
        "figures": {label: _as_json(figure) for label, figure in choice.figures.items()},
        "left_out": choice.left_out,
        "confirmed": _as_json(confirmation.figures.get(choice.pair)) if confirmation else None,
        "gap": confirmation.gap(selection, choice.pair) if confirmation else None,
    }


def _as_json(figure: Estimate | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {"value": figure.value, "ci_low": figure.low, "ci_high": figure.high, "n": figure.samples,
            "n_documents": figure.documents}  # fmt: skip
