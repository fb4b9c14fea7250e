"""Prints the bill of materials of `session-repo` as CycloneDX 1.6 JSON: `sbom.py TRIPLE TIME`.

It lists the crates that the program for a platform is built from with its default features: normal dependencies and procedural macros, none
that build scripts or tests alone need, and those of the component that the program embeds. Versions and checksums are those of Cargo.lock.
TIME is in seconds since 1970.
"""

import datetime
import json
import os
import re
import subprocess
import sys
import urllib.parse

CARGO = os.environ.get("CARGO", "cargo")
COMPONENT_TARGET = "wasm32-unknown-unknown"
PROGRAM = "session-repository"
COMPONENT = "session-repository-component"


def cargo(*arguments):
    return subprocess.run([CARGO, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def shipped(package, target):
    """Names and versions of a package and its normal dependencies."""
    tree = cargo("tree", "--locked", "--package", package, "--edges", "normal", "--target", target, "--prefix", "none", "--format", "{p}")
    return {(name, version.removeprefix("v")) for name, version, *_ in (line.split() for line in tree.splitlines() if line)}


def locked():
    """The checksums in Cargo.lock by names and versions."""
    with open("Cargo.lock", encoding="utf-8") as file:
        entries = [dict(re.findall(r'^(name|version|checksum) = "(.*)"$', entry, re.M)) for entry in file.read().split("[[package]]")[1:]]
    return {(entry["name"], entry["version"]): entry.get("checksum") for entry in entries}


def licences(package):
    if package["license"]:
        # Cargo's older form of OR.
        return [{"expression": " ".join(package["license"].replace("/", " OR ").split())}]
    return [{"license": {"name": package["license_file"] or "unknown"}}]


def component(package, checksum, kind="library"):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{urllib.parse.quote(name)}@{urllib.parse.quote(version)}"
    described = {"type": kind, "bom-ref": purl, "name": name, "version": version, "licenses": licences(package), "purl": purl}
    if package["description"]:
        described["description"] = " ".join(package["description"].split())
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        described["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return described


def main(target, seconds):
    parts = shipped(PROGRAM, target) | shipped(COMPONENT, COMPONENT_TARGET)
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1"))
    checksums = locked()
    packages = {package["id"]: package for package in metadata["packages"] if (package["name"], package["version"]) in parts}
    described = {
        id: component(package, checksums[package["name"], package["version"]], "application" if package["name"] == PROGRAM else "library")
        for id, package in packages.items()
    }
    dependencies = []
    for node in metadata["resolve"]["nodes"]:
        if node["id"] not in described:
            continue
        normal = [to["pkg"] for to in node["deps"] if any(kind["kind"] is None for kind in to["dep_kinds"])]
        refs = {described[id]["bom-ref"] for id in normal if id in described}
        if packages[node["id"]]["name"] == PROGRAM:
            refs |= {part["bom-ref"] for part in described.values() if part["name"] == COMPONENT}
        dependencies.append({"ref": described[node["id"]]["bom-ref"], "dependsOn": sorted(refs)})
    program = next(part for part in described.values() if part["name"] == PROGRAM)
    time = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": program,
            "properties": [{"name": "cargo:target", "value": target}],
        },
        "components": sorted((part for part in described.values() if part is not program), key=lambda part: part["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda dependency: dependency["ref"]),
    }
    json.dump(bom, sys.stdout, indent=2)
    print()


main(*sys.argv[1:])
