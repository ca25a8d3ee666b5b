"""Where runs are tracked unless somebody says otherwise, and the command that shows them in a browser."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from runner.base import paths

UI = "http://127.0.0.1:5000"
# What `mlflow ui` can show; at other addresses a server does it.
DATABASES = ("sqlite", "postgresql", "mysql", "mssql", "file")
PASSWORD = re.compile(r"//[^/\s]*@")


def default_uri() -> str:
    """Return where runs are tracked unless a command line says otherwise, as conf/tracking/mlflow.yaml has it."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def ui_command(uri: str) -> str | None:
    """Return the command that shows in a browser what is tracked at an address; None where a server shows itself.

    A database named by a relative path is named whole, so that the command works from any folder. A password is never
    printed: where the address has one, the command takes it from MLFLOW_TRACKING_URI.
    """
    usual = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    if uri == usual and Path.cwd() == paths.PACKAGE.parents[1] and Path("Makefile").is_file():
        return "make ui"
    scheme = uri.partition(":")[0].partition("+")[0] if "://" in uri else "file"
    if scheme not in DATABASES or uri == "databricks":
        return None
    if PASSWORD.search(uri):
        store = '"$MLFLOW_TRACKING_URI"' if uri == usual else shlex.quote(PASSWORD.sub("//***@", uri))
    else:
        store = shlex.quote(_whole(uri))
    host, port = UI.removeprefix("http://").split(":")
    return f"python -m mlflow ui --host {host} --port {port} --backend-store-uri {store}"


def _whole(uri: str) -> str:
    """Return an address whose path, if it is one of a file or folder, is absolute."""
    prefix, sqlite, path = uri.partition("sqlite:///")
    if sqlite and not prefix and path:
        return f"sqlite:///{Path(path).absolute()}"
    return uri if "://" in uri else str(Path(uri).absolute())
