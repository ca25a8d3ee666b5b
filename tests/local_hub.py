"""A hub of models on 127.0.0.1 that speaks what huggingface_hub 2.4.0 asks: commits, trees, heads, files, ranges.

    with LocalHub({"owner/model": Repository({"config.json": b"{}", "model.safetensors": weights})}) as hub: ...
    python tests/local_hub.py FOLDER [--bytes-per-s N]      serves FOLDER/owner/model/..., prints its port

Its errors carry the codes that hf_raise_for_status (utils/_http.py) tells apart by: X-Error-Code and the status.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

BLOCK = 2**20
GOOD_TOKEN = "hf_" + "a" * 34
OTHER_TOKEN = "hf_" + "b" * 34  # of an account that has not accepted the licence


@dataclass
class Repository:
    """One model: its files, and the commits that its branches and tags name (`main` unless others are given)."""

    files: Mapping[str, bytes | Path]
    is_gated: bool = False
    refs: dict[str, str] = field(default_factory=dict)
    is_broken: bool = False  # the hub knows its files and has lost all but the config
    goes_on: threading.Event | None = None  # all files but the config wait for it
    breaks: dict[str, int] = field(default_factory=dict)  # file -> after how many bytes its first transfer is cut

    def __post_init__(self) -> None:
        names = "\n".join(f"{name} {_digest(content)}" for name, content in sorted(self.files.items()))
        self.commit = hashlib.sha1(names.encode()).hexdigest()
        self.refs = self.refs or {"main": self.commit}

    def commit_of(self, revision: str) -> str | None:
        return self.refs.get(revision, revision if revision in (*self.refs.values(), self.commit) else None)


@dataclass
class Asked:
    """A request, with the Unix times of its arrival and of the end of its reply."""

    method: str
    path: str
    range: str
    at: float
    status: int = 0
    until: float = 0.0


class LocalHub:
    """The server. `asked` holds the requests that were answered, `status` what it answers to everything."""

    def __init__(self, models: Mapping[str, Repository], bytes_per_s: float | None = None) -> None:
        self.models = dict(models)
        self.bytes_per_s = bytes_per_s
        self.asked: list[Asked] = []
        self.status: int | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fetched(self, name: str) -> list[Asked]:
        """Return the transfers of one file."""
        return [one for one in self.asked if one.method == "GET" and one.path.endswith(f"/{name}")]


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._timed()

    def do_GET(self) -> None:
        self._timed()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _timed(self) -> None:
        path, given = urlsplit(self.path).path, self.headers.get("Range", "")
        self._told = Asked(self.command, path, given, at=time.time())
        self.hub.asked.append(self._told)  # before the reply, after which a test may look
        with contextlib.suppress(ConnectionError):
            self._answer(unquote(path))
        self._told.until = time.time()

    def _answer(self, path: str) -> None:
        if self.hub.status is not None:
            return self._refuse(self.hub.status, "", "the hub is down")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/(revision|tree)/([^/]+))?/?", path):
            name, kind, revision = found[1], found[2], found[3] or "main"
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            name, kind, revision = found[1], found[3], found[2]
        else:
            return self._refuse(404, "", "no such route")
        model = self.hub.models.get(name)
        if model is None:
            return self._refuse(401, "RepoNotFound", "Repository not found")
        commit = model.commit_of(revision)
        if commit is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if path.startswith("/api/"):
            return self._tell(name, model, commit, kind)
        return self._file(model, commit, kind)

    def _tell(self, name: str, model: Repository, commit: str, kind: str | None) -> None:
        """Tell what the hub tells of a gated repository, too."""
        if kind == "tree":
            listed = [
                {"type": "file", "path": path, "size": _size(content), "oid": _digest(content)[:40]}
                for path, content in sorted(model.files.items())
            ]
            return self._send(200, json.dumps(listed).encode())
        info = {"id": name, "modelId": name, "sha": commit, "gated": "manual" if model.is_gated else False}
        siblings = [{"rfilename": path, "size": _size(content)} for path, content in sorted(model.files.items())]
        return self._send(200, json.dumps(info | {"private": False, "tags": [], "siblings": siblings}).encode())

    def _file(self, model: Repository, commit: str, path: str) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", GOOD_TOKEN, OTHER_TOKEN):
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if model.is_gated and token != GOOD_TOKEN:
            return self._refuse(403 if token else 401, "GatedRepo", "Access to this model is restricted.")
        if path not in model.files or (model.is_broken and path != "config.json"):
            return self._refuse(404, "EntryNotFound", "Entry not found", commit)
        if model.goes_on is not None and self.command == "GET" and path != "config.json":
            model.goes_on.wait(600)
        content = model.files[path]
        size = _size(content)
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(given[1]) if given else 0
        headers = {"ETag": f'"{_digest(content)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if given:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        cut = model.breaks.pop(path, None) if self.command == "GET" else None
        status = 206 if given else 200
        if self.command == "HEAD":
            return self._send(status, b"", headers | {"Content-Length": str(size - start)})
        body = content if isinstance(content, bytes) else content.read_bytes()
        return self._send(status, body[start:], headers, cut)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] = {}, cut: int | None = None) -> None:
        self._told.status = status
        self.send_response(status)
        usual = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (usual | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        view, began = memoryview(body)[:cut], time.monotonic()
        for at in range(0, len(view), BLOCK):
            self.wfile.write(view[at : at + BLOCK])
            if self.hub.bytes_per_s:
                sent = min(at + BLOCK, len(view))
                time.sleep(max(0.0, sent / self.hub.bytes_per_s - (time.monotonic() - began)))
        if cut is not None:
            self.close_connection = True

    def _refuse(self, status: int, code: str, message: str, commit: str | None = None) -> None:
        headers = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit or ""}
        given = {name: value for name, value in headers.items() if value}
        self._send(status, json.dumps({"error": message}).encode(), given)


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


@functools.lru_cache(maxsize=256)
def _digest(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Serve a folder of models until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bytes-per-s", type=float)
    given = parser.parse_args()
    models = {
        model.relative_to(given.folder).as_posix(): Repository(
            {path.relative_to(model).as_posix(): path for path in model.rglob("*") if path.is_file()}
        )
        for model in given.folder.glob("*/*")
    }
    with LocalHub(models, given.bytes_per_s) as hub:
        print(hub.url, flush=True)
        sys.stdin.read()
        print(json.dumps([vars(one) for one in hub.asked]), flush=True)


if __name__ == "__main__":
    main()
