# What docker-compose.yml and Dockerfile say, for bin/check-docker: a line "command<TAB>words" for each postrider
# command named in them, a line "fault<TAB>what" for each rule broken.

import json
import re
import sys

import yaml


def main():
    with open("docker-compose.yml") as file:
        text = file.read()
    project = yaml.safe_load(text)
    services = project["services"]
    for name, service in services.items():
        locked_down(name, service)
        references(name, service, project)
        if service.get("image") == "postrider":
            command(service.get("command", []))
    # The commands that the comments tell a newcomer to type.
    for line in re.findall(r"^# +docker compose run (?:--rm )?(\S+) (.*)$", text, re.M):
        if line[0] not in services:
            fault(f"a comment runs service {line[0]}, which does not exist")
        command(line[1].split())
    with open("Dockerfile") as file:
        dockerfile(file.read())


def locked_down(name, service):
    if service.get("read_only") is not True:
        fault(f"{name}: read_only is not true")
    if service.get("cap_drop") != ["ALL"]:
        fault(f"{name}: cap_drop is not [ALL]")
    if "no-new-privileges:true" not in service.get("security_opt", []):
        fault(f"{name}: no-new-privileges is missing")
    if "build" not in service and service.get("user", "root") in ("root", "0"):
        fault(f"{name}: runs as root")


def references(name, service, project):
    for other, how in service.get("depends_on", {}).items():
        needed = project["services"].get(other)
        if needed is None:
            fault(f"{name}: depends on {other}, which does not exist")
        elif how.get("condition") == "service_healthy" and "test" not in needed.get("healthcheck", {}):
            fault(f"{name}: waits for {other} to be healthy, which has no health check")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith((".", "/")) and source not in project.get("volumes", {}):
            fault(f"{name}: volume {source} is not declared")


def dockerfile(text):
    last = text.rpartition("\nFROM ")[2]
    if not re.search(r"^USER (?!root|0)", last, re.M):
        fault("Dockerfile: the last stage runs as root")
    if '\nENTRYPOINT ["postrider"]' not in last:
        fault("Dockerfile: the entry point is not postrider")
    for words in re.findall(r"(?:^| )CMD (\[.*\])$", last, re.M):
        words = json.loads(words)
        command(words[1:] if words[0] == "postrider" else words)


def command(words):
    print("command", " ".join(str(word) for word in words), sep="\t")


def fault(what):
    print("fault", what, sep="\t")


sys.exit(main())
