"""What the process beside the runner does for tracking (runner.base.helper)."""

from runner.jobs.tracking.connection import hurry, link, prepare
from runner.jobs.tracking.report_runs import log_report
from runner.jobs.tracking.runs import upload


def warm() -> None:
    """Import what the tasks need."""
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking.client  # noqa: F401


TASKS = {"warm": warm, "prepare": prepare, "upload": upload, "link": link, "log_report": log_report, "hurry": hurry}
