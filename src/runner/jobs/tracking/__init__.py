"""MLflow: each job is one flat run. Nothing outside this package imports mlflow, and it imports it when it is needed.

connection.py    client, errors, links into the UI; the database made before jobs race for it
runs.py          a job's folder brought into its run, and fetched from it
description.py   what a run is called, and what its page says
traces.py        single answers with their pictures, where they are asked for
background.py    all of it in a process beside this one, while engines start and answers come
tasks.py         what that process does
report_runs.py   the run of a sweep's report
views.py         the page that the link at the end of a sweep opens
"""

from runner.jobs.tracking import background
from runner.jobs.tracking.connection import (
    TrackingError,
    as_tracking_error,
    client,
    hurry,
    link,
    prepare,
    uri_of,
)
from runner.jobs.tracking.runs import download, upload

__all__ = [
    "TrackingError",
    "as_tracking_error",
    "background",
    "client",
    "download",
    "hurry",
    "link",
    "prepare",
    "upload",
    "uri_of",
]
