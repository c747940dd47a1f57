"""Writes docs/reliability.md from the lines that the long scenarios left. Called by bin/chaos.

Usage: reliability.py LINES DOCUMENT --commit ID --seconds N --postgres TEXT
       reliability.py --missing SCENARIO LOG    prints the line of a scenario that left none
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import sys

HEAD = """# Reliability

What was done to Postrider, and what came of it. Written by `bin/chaos`; every line is from one run of the command.

```sh
bin/chaos            # everything below
bin/chaos --list     # the scenarios
bin/chaos Kill       # some of them
```

"""

HOW = """
## How to read it

* Producers are connections of their own over libpq. They insert single events, statements of ten, transactions that they
  roll back, and some whose connection they cut between COMMIT and its answer. Each writes down what it knows:
  acknowledged, unknown, rolled back. A receiver outside the workers writes down every request. Postgres is asked last,
  and decides about what producers do not know.
* **lost**: acknowledged, never accepted by the receiver, and not standing as a dead letter. **unexpected**: arrived
  though rolled back or never produced, or under a second `webhook-id`. **duplicated**: arrivals after the one that
  delivered; retries of refused requests do not count. **recovered**: delivered though a fault had left it in the middle:
  its claim went to another worker, or it was under way when Postgres or the link failed.
* **injections**: how often the fault was injected; a scenario whose faults did not happen fails.
* Duplicates come from faults alone, and carry the id of the first. A worker that dies may have sent what it had in flight
  and what it had not yet recorded: that is the bound that is checked after kills, counted in SQL once the sessions of
  the dead have ended.
* A zombie is a worker that was paused or cut off past its lease. Triggers of the test note every change of claims,
  retries, dead letters and of the queue with the session that made it; none may come from a session of a life after its
  death. Attempts are facts: a request that was made is recorded whoever made it, and changes no state (outcome 3, or 0
  when the receiver did take it).
* Workers are processes of the release build, but for those that die at failpoints, which exist in debug builds only. All of
  it, Postgres, producers and receiver too, shares the cores. fsync is off: processes die here, machines do not.
* The same scenarios run in a short form in `bin/test`.
"""


COUNTS = ("lost", "unexpected", "duplicated", "recovered", "injections")


def main():
    if sys.argv[1:2] == ["--missing"]:
        log = pathlib.Path(sys.argv[3]).read_text(errors="replace")
        # One that passed and has no bar of its own, such as a comparison with a document, has nothing to tell.
        if f"Test {sys.argv[2].split('/')[-1]}() passed" in log:
            return
        return print(json.dumps(missing(sys.argv[2], log)))
    arguments = parse()
    lines = [json.loads(line) for line in pathlib.Path(arguments.lines).read_text().splitlines() if line.strip()]
    text = HEAD + table(lines) + where(arguments, lines) + HOW
    pathlib.Path(arguments.document).write_text(text)


def missing(scenario, log):
    """The line of a scenario that broke off, or was skipped: then Swift Testing tells the reason after a colon."""
    name = re.escape(scenario.split("/")[-1])
    skipped = re.search(name + r'\(\) skipped(?:: "(.*)")?', log)
    fault = re.search(r"(?:Caught error|Time limit|error|Fatal error): ?(.*)", log)
    if skipped:
        result = "not run: " + (skipped.group(1) or "skipped")
    else:
        result = "broke off: " + (fault.group(1) if fault else "see the log")
    line = {"bar": scenario, "goal": "to run to its end", "result": result, "pass": False, "skipped": bool(skipped)}
    return {**line, **{name: 0 for name in COUNTS}, "seconds": 0}


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("lines")
    parser.add_argument("document")
    for option in ("--commit", "--seconds", "--postgres"):
        parser.add_argument(option, required=True)
    return parser.parse_args()


def table(lines):
    heads = ["bar", "must reach", "reached", *COUNTS, "seconds", "result"]
    rows = [heads, ["---"] * len(heads)]
    for line in lines:
        reached = "not run" if line.get("skipped") else "yes" if line["pass"] else "**no**"
        counts = [f"{line[name]:,}" for name in COUNTS]
        rows.append([line["bar"], line["goal"], reached, *counts, round(line["seconds"]), line["result"]])
    return "".join("| " + " | ".join(cell(value) for value in row) + " |\n" for row in rows)


def cell(value):
    return str(value).replace("|", "\\|").replace("\n", " ")


def where(arguments, lines):
    failed = [line for line in lines if not line["pass"]]
    verdict = "All bars were reached." if not failed else f"Bars that were not reached: {len(failed)} of {len(lines)}."
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    return (
        f"\n{verdict} `bin/chaos`, {arguments.seconds} s, {today}, commit {arguments.commit}; {processor()}, "
        f"{os.cpu_count()} cores, {memory} GiB, Linux {os.uname().release}; {arguments.postgres}.\n"
    )


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


main()
