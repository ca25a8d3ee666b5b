"""Sweeps with a quick engine: grouping, reuse, failures that stay alone, and ends that leave nothing behind."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from omegaconf import OmegaConf

from tests.conftest import CommandLine
from tests.patience import patient

# The echo backend serves no model: checkpoint and dataset are real, the engine repeats the question.
RESTARTED = "backend.max_restarts=1"  # conf/backend/hf.yaml, which these jobs start from, says 0
ECHO = ("backend.name=echo", "dataset.limit=8", "metrics=[exact_match,cer]")


def results(folder: Path) -> list[dict[str, Any]]:
    paths = [path for path in folder.rglob("metrics.json") if path.parent.name != "artifacts"]  # not MLflow's copies
    found = [json.loads(path.read_text()) | {"folder": path.parent} for path in paths]
    # A job that was killed with -9 never ended; tests/faults/test_killed_jobs.py is about those.
    ended = [result for result in found if result["finished_at"] is not None]
    return sorted(ended, key=lambda result: result["finished_at"])


def rows(result: dict[str, Any], name: str = "answers.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (result["folder"] / name).read_text(encoding="utf-8").splitlines()]


def questions_about_one_picture(folder: Path, questions: list[str]) -> Path:
    """Write a JSONL of these questions."""
    from PIL import Image

    picture = Image.new("RGB", (56, 56), "white")
    picture.paste("black", (10, 20, 40, 24))  # a page of one flat colour would be told of
    picture.save(folder / "0.png")
    lines = [{"id": str(number), "images": ["0.png"], "question": text} for number, text in enumerate(questions)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "rows.jsonl"


def engines_left(marker: str) -> list[int]:
    """Return the processes that carry `marker` in their environment's working folder or command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(marker in part for part in process.cmdline()) or process.environ().get("RUNNER_STORE") == marker:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def gone(marker: str, within_s: float = 15) -> bool:
    deadline = time.monotonic() + patient(within_s)
    while engines_left(marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_jobs_share_engines_whatever_the_order(cli: CommandLine):
    ended = cli("-m", *ECHO, "tracking=none", "sampling.temperature=0,0.5", "model=demo_s,demo_m", "sampling.repeats=2")
    assert ended.code == 0, ended.err
    found = results(cli.folder)
    assert len(found) == 4
    assert sum(result["metrics"]["engine/starts"] for result in found) == 2
    assert [result["name"] for result in found] == ["demo_s-bf16"] * 2 + ["demo_m-bf16"] * 2
    assert "jobs: 4, engines: 2" in ended.err


@pytest.mark.parametrize("turned", [False, True])
def test_eight_jobs_over_prompts_temperatures_and_repeats_start_two_engines(cli: CommandLine, turned: bool):
    swept = ["prompt=plain,describe", "sampling=greedy,low_temperature", "model=demo_s,demo_m", "sampling.repeats=2"]
    ended = cli("-m", *ECHO, "tracking=none", *(reversed(swept) if turned else swept))
    assert ended.code == 0, ended.err
    found = results(cli.folder)
    assert len(found) == 8
    assert [result["metrics"]["engine/starts"] for result in found] == [1, 0, 0, 0] * 2, "next to each other"


def test_concurrencies_share_an_engine_and_are_measured_each(cli: CommandLine):
    assert cli("-m", *ECHO, "tracking=none", "concurrency=1,4,16").code == 0
    found = [result["metrics"] for result in results(cli.folder)]
    assert [metrics["engine/starts"] for metrics in found] == [1, 0, 0]
    assert [metrics["samples/reused"] for metrics in found] == [0, 0, 0]
    assert len({metrics["throughput/requests_per_s"] for metrics in found}) == 3


def test_an_engine_that_does_not_start_fails_its_group_at_once(cli: CommandLine):
    ended = cli("-m", *ECHO, "tracking=none", "+backend.engine_args.nonsense=1", "sampling.temperature=0,0.5,1")
    assert ended.code == 1
    first, *others = results(cli.folder)
    assert "unrecognized arguments: --nonsense=1" in first["error"]
    for other in others:
        assert "did not start for an earlier job" in other["error"] and "--nonsense=1" in other["error"]
        assert not other["metrics"].get("engine/starts"), "it was not tried again"


def test_listed_jobs_instead_of_every_combination(cli: CommandLine):
    own = cli.folder / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "listed.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params: {sampling.seed: '0,1'}\n    jobs:\n"
        "    - {model: demo_s, prompt.system: '${dataset.name}, one'}\n"
        "    - {model: demo_m, prompt.system: 'a, b'}\n",
        encoding="utf-8",
    )
    given = ("--config-dir", "own", "experiment=listed", *ECHO, "tracking=none", "dataset.limit=1")
    assert cli(*given).code == 0
    configs = [OmegaConf.load(result["folder"] / "config.yaml") for result in results(cli.folder)]
    told = [(cfg.model.name, cfg.sampling.seed, cfg.prompt.system) for cfg in configs]
    first, second = "demo_documents, one", "a, b"
    assert told == [("demo_s", 0, first), ("demo_s", 1, first), ("demo_m", 0, second), ("demo_m", 1, second)]
    # What the command line says wins, and jobs that it makes equal run once.
    ended = cli(*given, "model=demo_s", "prompt.system=null", "sampling.seed=3")
    assert "jobs: 1, engines: 1" in ended.err


def test_runs_may_begin_in_the_same_second(cli: CommandLine):
    job = (*ECHO, "tracking=none", "dataset.limit=1")
    started = [cli.start(*job) for _ in range(2)]
    assert [process.wait(patient(60)) for process in started] == [0, 0], [
        process.communicate()[0] for process in started
    ]
    first, second = {result["folder"] for result in results(cli.folder)}
    assert first != second


def test_a_folder_that_is_taken_is_refused(cli: CommandLine):
    job = (*ECHO, "tracking=none", "dataset.limit=1", "hydra.run.dir=mine")
    assert cli(*job).code == 0
    ended = cli(*job)
    assert ended.code == 1 and "hydra.run.dir" in ended.out + ended.err


def test_what_a_job_leaves(cli: CommandLine):
    assert cli("-m", *ECHO, "tracking=none", "sampling.repeats=2").code == 0
    (result,) = results(cli.folder)
    folder = result["folder"]
    names = {"config.yaml", "answers.jsonl", "scores.jsonl", "metrics.json", "environment.json", "engine.log"}
    assert names <= {path.name for path in folder.iterdir()}
    answers = rows(result)
    assert [(row["sample_id"], row["repeat"]) for row in answers[:4]] == [("0", 0), ("0", 1), ("1", 0), ("1", 1)]
    first = answers[0]
    assert first["text"] == first["prompt"] == first["question"]
    assert first["timing"]["latency_s"] >= first["timing"]["ttft_s"] > 0
    assert first["conditions"]["concurrency"] == "1" and first["prompt_tokens"] == 9
    scores = rows(result, "scores.jsonl")
    assert {row["name"] for row in scores} == {"exact_match", "cer", "cer_mean"}
    assert len(scores) == 3 * 16
    metrics = result["metrics"]
    expected = {
        "quality/cer", "quality/cer/ci_low", "quality/cer/ci_high", "latency/mean_s", "latency/p50_s", "latency/p95_s",
        "latency/p99_s", "ttft/p50_s", "ttft/p95_s", "throughput/requests_per_s", "throughput/output_tokens_per_s",
        "throughput/chars_per_s", "memory/cpu_peak_gib", "engine/load_s", "engine/starts", "samples/total",
        "samples/reused", "samples/failed", "samples/unscored", "samples/truncated", "harness/overhead_share",
        "text/length_mean", "text/chars_per_s",
    }  # fmt: skip
    assert expected <= set(metrics)
    assert "memory/gpu_peak_gib" not in metrics or metrics["memory/gpu_peak_gib"] > 0
    assert metrics["samples/total"] == 16 and metrics["samples/reused"] == 0
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["overrides"] and environment["job_uid"] and environment["packages"]["hydra-core"]
    report = (folder.parent / "report.html").read_text(encoding="utf-8")
    for name in ("http://127", "http://www.w3.org/2000/svg"):  # MLflow's page on this machine; a namespace
        report = report.replace(name, "")
    assert "demo_m" in report and "http://" not in report, "no request to anywhere"


def test_a_rerun_asks_nothing_twice_and_changed_conditions_ask_again(cli: CommandLine):
    record = cli.folder / "asked"
    job = (*ECHO, "tracking=none", f"+backend.engine_args.record={record}", "warmup=0")
    assert cli(*job).code == 0
    assert len(record.read_text().splitlines()) == 8
    assert cli(*job).code == 0
    assert len(record.read_text().splitlines()) == 8, "all reused"
    assert cli(*job, "concurrency=2").code == 0
    assert len(record.read_text().splitlines()) == 16, "timing depends on concurrency: measured anew"
    assert cli(*job, "concurrency=4", "reuse=answers").code == 0
    assert len(record.read_text().splitlines()) == 16
    assert cli(*job, "reuse=never").code == 0
    assert len(record.read_text().splitlines()) == 24
    assert cli(*job, "sampling.seed=1").code == 0
    assert record.read_text().splitlines()[24:] == ["1"] * 8
    first, again, other, answers, never, _ = (result["metrics"] for result in results(cli.folder))
    assert again["samples/reused"] == 8 and again["engine/starts"] == 0
    for name in ("latency/p50_s", "throughput/requests_per_s", "memory/cpu_peak_gib", "quality/cer"):
        assert again[name] == first[name], "a rerun reports what was measured"
    assert other["samples/reused"] == 0
    assert answers["samples/reused"] == 8 and not [name for name in answers if name.startswith(("latency", "memory"))]
    assert never["samples/reused"] == 0


def test_a_failing_sample_fails_alone(cli: CommandLine):
    ended = cli(*ECHO, "tracking=none", "+backend.engine_args.fail_on=Имя", "backend.retries=0")
    assert ended.code == 0, ended.err
    (result,) = results(cli.folder)
    failed = [row for row in rows(result) if row["error"]]
    assert failed and all(row["text"] is None and row["error"]["kind"] == "bad_request" for row in failed)
    assert result["metrics"]["samples/failed"] == len(failed)
    assert result["metrics"]["samples/unscored"] == len(failed)
    unscored = [row for row in rows(result, "scores.jsonl") if row["value"] is None]
    assert {row["sample_id"] for row in unscored} == {row["sample_id"] for row in failed}
    assert all("told to fail" in row["reason"] for row in unscored)


def test_a_job_whose_answers_all_fail_has_failed(cli: CommandLine):
    ended = cli(*ECHO, "tracking=none", "+backend.engine_args.fail_on=а", "backend.retries=0")
    assert ended.code == 1
    assert "5 of 8 answers failed" in ended.out and "told to fail" in ended.out
    assert (
        cli(*ECHO, "tracking=none", "+backend.engine_args.fail_on=а", "backend.retries=0", "max_failed=null").code == 1
    )
    assert "all 8 answers failed" in results(cli.folder)[-1]["error"]


def test_an_engine_that_dies_fails_its_job_and_no_other(cli: CommandLine):
    # 3 requests of warm-up, then some of the job's: it dies in the middle, and again after its restart.
    ended = cli("-m", *ECHO, RESTARTED, "model=demo_s", "+backend.engine_args.crash_after=6,1000", "tracking=none")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    dead, alive = results(cli.folder)
    assert (dead["status"], alive["status"]) == ("failed", "finished")
    assert "EchoCrash: as told" in dead["error"], "the last lines of the engine's log"
    assert "told to crash" in dead["error"], "and what they mean"
    assert "for the 2. time" in dead["error"] and dead["metrics"]["engine/starts"] == 2
    assert 1 <= len(rows(dead)) < 8, "what was answered is kept"
    assert "1 of 2 jobs failed" in ended.err and "EchoCrash" in ended.out
    assert gone(str(cli.folder / "store"))


def test_what_was_answered_before_a_crash_is_not_asked_again(cli: CommandLine):
    record = cli.folder / "asked"
    job = (*ECHO, "tracking=none", "warmup=0", f"+backend.engine_args.record={record}")
    cli.environment["ECHO_CRASH_AFTER"] = "6"
    assert cli(*job).code == 1
    assert len(record.read_text().splitlines()) == 5
    del cli.environment["ECHO_CRASH_AFTER"]
    ended = cli(*job)
    assert ended.code == 0, ended.err
    assert len(record.read_text().splitlines()) == 8
    assert results(cli.folder)[-1]["metrics"]["samples/reused"] == 5


def test_an_engine_that_dies_is_started_again_once(cli: CommandLine):
    record = cli.folder / "asked"
    job = (*ECHO, "tracking=none", "warmup=0", f"+backend.engine_args.record={record}", "concurrency=2", RESTARTED)
    ended = cli(*job, "+backend.engine_args.crash_after=6")
    assert ended.code == 0, ended.err
    (result,) = results(cli.folder)
    assert result["metrics"]["engine/starts"] == 2 and result["metrics"]["samples/failed"] == 0
    assert len({row["sample_id"] for row in rows(result)}) == 8
    assert len(record.read_text().splitlines()) <= 9, "finished answers are kept; two were in flight when it died"
    (note,) = [note for note in result["notes"] if "started again" in note]
    assert "exit code 3" in note and "told to crash" in note
    assert "is started again" in ended.err


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_runner_leaves_no_process_and_loses_no_answer(cli: CommandLine, ending: signal.Signals):
    record = cli.folder / "asked"
    job = (*ECHO, f"+backend.engine_args.record={record}", "+backend.engine_args.delay_s=0.8", "warmup=0")
    process = cli.start(*job)
    deadline = time.monotonic() + patient(60)
    while not (record.exists() and len(record.read_text().splitlines()) >= 3):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    os.kill(process.pid, ending)
    output, _ = process.communicate(timeout=patient(60))
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[ending], output
    assert gone(str(cli.folder / "store")), "no engine and no watchdog may be left"
    asked = len(record.read_text().splitlines())
    if ending != signal.SIGKILL:
        (result,) = results(cli.folder)
        assert result["status"] == "killed" and len(rows(result)) >= asked - 1
        assert statuses(cli) == ["KILLED"]
    ended = cli(*job)
    assert ended.code == 0, ended.err
    assert results(cli.folder)[-1]["metrics"]["samples/reused"] >= asked - 1
    assert "RUNNING" not in statuses(cli)


def statuses(cli: CommandLine) -> list[str]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{cli.folder}/mlflow.db")
    return [run.info.status for run in client.search_runs([client.get_experiment_by_name("documents").experiment_id])]


def test_order_of_arguments_changes_no_answer(cli: CommandLine):
    assert cli("-m", *ECHO, "tracking=none", "model=demo_s,demo_m").code == 0
    assert cli("-m", *ECHO, "tracking=none", "model=demo_m,demo_s", "reuse=never").code == 0
    found = results(cli.folder)
    by_name = {(result["name"], position // 2): result for position, result in enumerate(found)}
    for name in ("demo_s-bf16", "demo_m-bf16"):
        before, after = by_name[name, 0]["metrics"], by_name[name, 1]["metrics"]
        assert {k: v for k, v in before.items() if k.startswith("quality")} == {
            k: v for k, v in after.items() if k.startswith("quality")
        }
        assert before["engine/starts"] == after["engine/starts"] == 1


def test_what_decides_a_text_is_part_of_its_key(cli: CommandLine):
    """Each of these asks a model that answers otherwise: nothing of the first run may be reused."""
    assert cli(*ECHO, "tracking=none").code == 0
    for change in ("quant.quantization=bnb_int8", "+backend.engine_args.fail_on=xyz", "quant=fp32",
                   "model.max_pixels=5000", "sampling.max_tokens=64", "prompt=demo_questions"):  # fmt: skip
        assert cli(*ECHO, "tracking=none", change).code == 0
        assert results(cli.folder)[-1]["metrics"]["samples/reused"] == 0, change


def test_equal_questions_on_a_first_run_are_not_old_answers(cli: CommandLine):
    data = questions_about_one_picture(cli.folder, ["same"] * 6)
    job = ("backend.name=echo", "tracking=none", "dataset=jsonl", f"dataset.path={data}", "metrics=[]")
    assert cli(*job).code == 0
    (result,) = results(cli.folder)
    assert result["metrics"]["samples/reused"] == 0 and result["notes"] == []
    assert len(rows(result)) == 6


def test_a_prompt_that_breaks_on_one_sample_fails_that_sample(cli: CommandLine):
    data = questions_about_one_picture(cli.folder, ["a|b", "c|d", "e|f", "none"])
    ended = cli("backend.name=echo", "tracking=none", "dataset=jsonl", f"dataset.path={data}", "metrics=[]",
                "prompt.template=\"{{ question.split('|')[1] }}\"")  # fmt: skip
    assert ended.code == 0, ended.err
    (result,) = results(cli.folder)
    assert result["metrics"]["samples/failed"] == 1
    assert "1 of 4 answers failed" in result["notes"][0]


def test_interrupted_new_answers_are_not_filled_up_with_old_ones(cli: CommandLine):
    job = (*ECHO, "tracking=none", "+backend.engine_args.delay_s=0.8", "warmup=0")
    assert cli(*job).code == 0
    began = time.time()
    process = cli.start(*job, "reuse=never")
    (shelf,) = (cli.folder / "store").glob("*.jsonl")
    deadline = time.monotonic() + patient(60)
    while shelf.read_text().count('"generation"') < 8 + 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=patient(60))
    killed = results(cli.folder)[-1]
    assert killed["status"] == "killed" and 3 <= len(rows(killed)) < 8
    assert all(row["timing"]["sent_at"] > began for row in rows(killed))


def test_sigterm_ends_a_runner_that_ignores_sigint(cli: CommandLine):
    """As a shell starts `python -m runner &` in a script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = cli.start(*ECHO, "tracking=none", "+backend.engine_args.delay_s=1")
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert process.stdout is not None
    while "starting the engine" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=patient(30))
    assert process.returncode == 143, output


def test_reading_pictures_does_not_count_as_the_engines_latency(cli: CommandLine):
    """Large TIFFs take long to convert: while one slot reads, the others' answers must not look slow."""
    from PIL import Image

    folder = cli.folder / "scans"
    folder.mkdir()
    for number in range(8):
        Image.effect_noise((1800, 1400), 60 + number).save(folder / f"{number}.tiff")
    job = ("backend.name=echo", "tracking=none", "dataset=images", f"dataset.path={folder}", "metrics=[]")
    assert cli("-m", *job, "concurrency=1,4", "+backend.engine_args.delay_s=0.2", "warmup=1").code == 0
    one, four = (result["metrics"] for result in results(cli.folder))
    assert four["latency/p50_s"] < 3 * one["latency/p50_s"]
    assert one["harness/overhead_share"] > 0.05


def test_brackets_in_a_prompt_do_not_break_the_table(cli: CommandLine):
    ended = cli("-m", *ECHO, "tracking=none", "prompt.template='a [/b] {{ question }}','[bold]b {{ question }}'")
    assert ended.code == 0, ended.err
    assert "[/b]" in ended.out and "[bold]" in ended.out


def test_a_sweep_over_prompts_names_them_in_folders_lines_and_comparison(cli: CommandLine):
    ended = cli("-m", "backend.name=echo", "tracking=none", "dataset.limit=2", "metrics=[cer]", "report.language=ru",
                "prompt=plain,demo_detailed", "sampling.temperature=0,0.5")  # fmt: skip
    assert ended.code == 0, ended.err
    folders = sorted(path.parent.name for path in cli.folder.rglob("metrics.json"))
    assert folders == [
        "0_demo_m-bf16-demo_documents-plain_temperature_0.0",
        "1_demo_m-bf16-demo_documents-plain_temperature_0.5",
        "2_demo_m-bf16-demo_documents-demo_detailed_temperature_0.0",
        "3_demo_m-bf16-demo_documents-demo_detailed_temperature_0.5",
    ]
    assert "demo_m-bf16 demo_detailed_temperature_0.5: " in ended.out + ended.err
    sweep = next(cli.folder.glob("multirun/*/*/multirun.yaml")).parent
    told = cli(str(sweep), module="runner.compare")
    assert "(demo_detailed temperature 0.5)" in told.out, told.out + told.err
    named = cli(str(sweep), "--baseline", "demo_m-bf16 (demo_detailed temperature 0.0)", module="runner.compare")
    assert named.code == 0, named.err


def test_the_next_engine_starts_before_the_last_job_is_uploaded(cli: CommandLine):
    ended = cli("-m", *ECHO, "model=demo_s,demo_m")
    assert ended.code == 0, ended.err
    lines = [line for line in ended.err.splitlines() if ": " in line]
    started = next(number for number, line in enumerate(lines) if "demo_m-bf16: starting the engine" in line)
    begun = next(number for number, line in enumerate(lines) if "demo_m-bf16: backend.name=echo" in line)
    assert started < begun, "before its own job has begun"
    found = results(cli.folder)
    assert [result["metrics"]["engine/starts"] for result in found] == [1, 1], "each by its own job, and once"
    assert all((result["folder"] / "run_id").exists() for result in found)


def test_an_engine_is_not_started_ahead_for_answers_that_are_stored(cli: CommandLine):
    assert cli("-m", *ECHO, "tracking=none", "model=demo_m").code == 0
    ended = cli("-m", *ECHO, "tracking=none", "model=demo_s,demo_m")
    assert ended.code == 0 and "demo_m-bf16: starting the engine" not in ended.err
    assert results(cli.folder)[-1]["metrics"]["engine/starts"] == 0


def test_an_engine_that_does_not_start_ahead_is_told_of_by_its_own_job(cli: CommandLine):
    ended = cli("-m", *ECHO, "tracking=none", "+backend.engine_args.start_s=0,soon")
    assert ended.code == 1, ended.err
    fine, failed = results(cli.folder)
    assert fine["status"] == "finished" and failed["status"] == "failed"
    assert failed["error"].startswith("the engine did not start"), "and not: for an earlier job"
    assert "invalid float value: 'soon'" in failed["error"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_engine_that_starts_ahead_is_not_left_behind(cli: CommandLine, sent: signal.Signals, code: int):
    process = cli.start("-m", *ECHO, "tracking=none", "+backend.engine_args.start_s=0,600")
    deadline = time.monotonic() + patient(60)
    while not results(cli.folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, sent)
    process.communicate(timeout=patient(60))
    assert process.returncode == code
    assert gone(str(cli.folder / "store"))
