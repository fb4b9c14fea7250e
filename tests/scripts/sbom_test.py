"""Checks a bill of materials against the schema of CycloneDX and against the lock file: `sbom_test.py BOM LOCK`."""

import json
import re
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

with open(sys.argv[1], encoding="utf-8") as file:
    bom = json.load(file)
# The validator takes long for addresses, so it gets those of one part.
short = {**bom, "components": [{**part, "externalReferences": []} for part in bom["components"][1:]] + bom["components"][:1]}
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(short))
assert error is None, error
for part in bom["components"]:
    for reference in part.get("externalReferences", []):
        assert reference["url"].startswith("https://"), part["bom-ref"]

with open(sys.argv[2], encoding="utf-8") as file:
    locked = {
        (entry["name"], entry["version"]): entry.get("checksum")
        for entry in (dict(re.findall(r'^(name|version|checksum) = "(.*)"$', part, re.M)) for part in file.read().split("[[package]]")[1:])
    }
listed = {(part["name"], part["version"]): part.get("hashes", [{}])[0].get("content") for part in bom["components"]}
for part, checksum in listed.items():
    assert locked[part] == checksum, part

names = {name for name, _ in listed}
# The program's own, those of the component that it embeds, and what tests or build scripts alone need.
for name in ["wasmtime", "mongodb", "redb", "clap", "serde_json", "session-repository-component", "wit-bindgen"]:
    assert name in names, f"{name} is missing"
for name in ["proptest", "tempfile", "same-features", "session-repository-tests", "cc"]:
    assert name not in names, f"{name} is not shipped"

# Each part is named in the graph, and reached from the program.
graph = {dependency["ref"]: dependency["dependsOn"] for dependency in bom["dependencies"]}
reached, left = set(), [bom["metadata"]["component"]["bom-ref"]]
while left:
    ref = left.pop()
    if ref not in reached:
        reached.add(ref)
        left.extend(graph[ref])
assert reached == {part["bom-ref"] for part in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
