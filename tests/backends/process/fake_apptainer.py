#!/usr/bin/env python3
"""Does with a command line of `apptainer exec` what can be done without Apptainer: checks and runs it.

The command runs as a real process, which sees of our variables only those that APPTAINERENV_ passes on. What Apptainer
itself would do (namespaces, mounts) it does not: a place that is mounted from elsewhere is replaced by its source.
"""

import argparse
import csv
import json
import os
import sys
from pathlib import Path

PREFIX = "APPTAINERENV_"
parser = argparse.ArgumentParser()
parser.add_argument("--quiet", action="store_true", required=True)
actions = parser.add_subparsers(dest="action", required=True)
run = actions.add_parser("exec")
for flag in ("--containall", "--no-privs", "--nv"):
    run.add_argument(flag, action="store_true")
run.add_argument("--workdir", required=True)
run.add_argument("--pwd", required=True)
run.add_argument("--mount", action="append", default=[])
run.add_argument("--bind", action="append", default=[])
run.add_argument("image")
run.add_argument("command", nargs=argparse.REMAINDER)
if sys.argv[1:2] == ["pull"]:  # pull --force FILE IMAGE
    print("INFO:    Converting OCI blobs to SIF format")
    if sys.argv[4].endswith("/absent"):
        sys.exit("FATAL:   While making image from oci registry: manifest unknown: manifest unknown")
    Path(sys.argv[3]).write_text(sys.argv[4])
    sys.exit(0)
options = parser.parse_args()
if not Path(options.image).is_file():
    sys.exit(f"FATAL:   could not open image {options.image}: no such file or directory")
environment = {"PATH": os.environ["PATH"], "HOME": str(Path(options.workdir) / "home")}
environment |= {name.removeprefix(PREFIX): value for name, value in os.environ.items() if name.startswith(PREFIX)}
assert "HOME" not in {name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)}, "it refuses that"
places = {}
for mount in options.mount:
    (fields,) = csv.reader([mount])
    told = dict(field.partition("=")[::2] for field in fields)
    assert told["type"] == "bind" and Path(told["source"]).exists(), mount
    places[told["destination"]] = told["source"]
for place, source in places.items():
    if place != source and place.endswith("/backends") and environment.get("PYTHONPATH") == str(Path(place).parent):
        environment["PYTHONPATH"] = str(Path(source).parent)
if record := environment.get("FAKE_APPTAINER_RECORD"):
    Path(record).write_text(json.dumps({"options": vars(options), "environment": environment, "argv": sys.argv}))
command = [sys.executable if options.command[0] == "python3" else options.command[0], *options.command[1:]]
os.execve(command[0], command, environment)
