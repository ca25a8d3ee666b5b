"""The default address for tracking runs, and the command that shows tracked runs in a browser."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from runner.base import paths

UI = "http://127.0.0.1:5000"
# The kinds of address that `mlflow ui` can show. At any other address a server shows its runs itself.
DATABASES = ("sqlite", "postgresql", "mysql", "mssql", "file")
PASSWORD = re.compile(r"//[^/\s]*@")


def default_uri() -> str:
    """Return the address where runs are tracked by default; conf/tracking/mlflow.yaml has the same rule."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def ui_command(uri: str) -> str | None:
    """Return the command that shows the runs at an address in a browser; None if the address is that of a server.

    A relative path of a database is made absolute, so that the command works in any folder. A password is never
    printed: if the address has one, the command reads the address from MLFLOW_TRACKING_URI.
    """
    usual = default_uri()
    if uri == usual and Path.cwd() == paths.PACKAGE.parents[1] and Path("Makefile").is_file():
        return "make ui"
    scheme = uri.partition(":")[0].partition("+")[0] if "://" in uri else "file"
    if scheme not in DATABASES or uri == "databricks":
        return None
    if PASSWORD.search(uri):
        store = '"$MLFLOW_TRACKING_URI"' if uri == usual else shlex.quote(PASSWORD.sub("//***@", uri))
    else:
        store = shlex.quote(_absolute(uri))
    host, port = UI.removeprefix("http://").split(":")
    return f"python -m mlflow ui --host {host} --port {port} --backend-store-uri {store}"


def _absolute(uri: str) -> str:
    """Return an address with an absolute path, if it names a file or a folder."""
    prefix, sqlite, path = uri.partition("sqlite:///")
    if sqlite and not prefix and path:
        return f"sqlite:///{Path(path).absolute()}"
    return uri if "://" in uri else str(Path(uri).absolute())
