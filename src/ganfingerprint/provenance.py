"""What a signed C2PA manifest in a file claims, and whether it holds. Shown beside a verdict, never a part of it.

Manifests come from strangers, and a native library reads them: it does so in a process of its own, with a limit on its
time and memory, and is told to ask no host for anything. That library is optional (the extra `c2pa`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ganfingerprint.errors import UsageError
from ganfingerprint.metadata import one_line

TIMEOUT_S, MOST_MEMORY = 10.0, 4 * 2**30  # of the process that reads a manifest
MOST_ENTRIES = 20  # of each list that are kept
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {"allowed_network_hosts": []},  # once more: whatever else may want to fetch
}


class ManifestState(StrEnum):
    """Whether a manifest holds."""

    TRUSTED = "trusted"  # intact, and the signer is on the list that was given
    VALID = "valid"  # intact; who the signer is was not established
    INVALID = "invalid"  # changed since it was signed, or not signed as it must be
    UNREADABLE = "unreadable"  # there are traces of one, and none could be read
    NOT_VALIDATED = "not validated"  # the library is not installed


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A check that did not pass."""

    code: str  # of the C2PA specification
    text: str  # the library's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a manifest says was done."""

    name: str  # c2pa.created, c2pa.edited, ...
    source_type: str = ""  # the IPTC's word
    agent: str = ""  # the program that did it


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """A manifest, as far as it could be read; the claims are those of its active part."""

    state: ManifestState
    reason: str = ""  # why it was not read or not validated
    findings: tuple[Finding, ...] = ()
    issuer: str = ""  # organisation in the signer's certificate
    signer: str = ""  # common name in it
    signed: str = ""  # by a time stamp; empty where there is none
    generator: str = ""  # the program that made the claim
    actions: tuple[Action, ...] = ()
    source_types: tuple[str, ...] = ()  # of the actions, each once
    ingredients: int = 0


def read_trust_list(path: Path) -> str:
    """Certificates (PEM) of those whose signatures are trusted.

    Raises:
        UsageError: it cannot be read, or holds none.
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: the trust list cannot be read ({problem})") from problem
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as problem:
        raise UsageError(f"{path}: a trust list holds certificates as PEM; these cannot be read") from problem
    return text


def read_provenance(data: bytes, *, trust: str = "", timeout_s: float = TIMEOUT_S) -> Provenance:
    """The manifest in the bytes of a file that has traces of one. Never raises for what is wrong with them.

    Args:
        data: of the whole file.
        trust: certificates (PEM) of those whose signatures are trusted, as `read_trust_list` gives them.
        timeout_s: after which reading is given up.
    """
    if importlib.util.find_spec("c2pa") is None:
        reason = "validation needs c2pa-python: pip install 'ganfingerprint[c2pa]'"
        return Provenance(state=ManifestState.NOT_VALIDATED, reason=reason)
    try:
        finished = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=json.dumps(trust).encode() + b"\n" + data,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(place or os.curdir for place in sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=True,
        )
        return _from_mapping(json.loads(finished.stdout))
    except subprocess.TimeoutExpired:
        return _unreadable(f"reading it took more than {timeout_s:g} seconds")
    except subprocess.CalledProcessError:
        return _unreadable("reading it ended the process that read it")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return _unreadable(f"reading it failed ({type(problem).__name__})")


def _unreadable(reason: str) -> Provenance:
    return Provenance(state=ManifestState.UNREADABLE, reason=reason)


def _from_mapping(found: Mapping[str, Any]) -> Provenance:
    lists = {
        "findings": tuple(Finding(**entry) for entry in found["findings"]),
        "actions": tuple(Action(**entry) for entry in found["actions"]),
        "source_types": tuple(found["source_types"]),
        "state": ManifestState(found["state"]),
    }
    return Provenance(**{**found, **lists})


def _read(data: bytes, trust: str) -> Provenance:
    """In the process of its own: what the library says."""
    import c2pa

    settings = {**_OFFLINE, **({"trust": {"user_anchors": trust}} if trust else {})}
    try:
        with c2pa.Context.from_dict(settings) as context, c2pa.Reader(io.BytesIO(data), context=context) as reader:
            return _claims(json.loads(reader.json()))
    except Exception as problem:  # of damaged manifests: the library's own kinds, and what their content leads to
        return _unreadable(one_line(str(problem)) or type(problem).__name__)


def _claims(store: Mapping[str, Any]) -> Provenance:
    active = store["manifests"][store["active_manifest"]]
    signature = active.get("signature_info") or {}
    actions = tuple(_action(entry) for entry in _actions(active))
    return Provenance(
        state=ManifestState(store["validation_state"].lower()),
        findings=tuple(_findings(store.get("validation_results") or {}))[:MOST_ENTRIES],
        issuer=one_line(signature.get("issuer") or ""),
        signer=one_line(signature.get("common_name") or ""),
        signed=one_line(signature.get("time") or ""),
        generator=_generator(active),
        actions=actions[:MOST_ENTRIES],
        source_types=tuple(dict.fromkeys(action.source_type for action in actions if action.source_type))[
            :MOST_ENTRIES
        ],
        ingredients=len(active.get("ingredients") or ()),
    )


def _findings(results: Mapping[str, Any]) -> Iterator[Finding]:
    """Failures of the active manifest, then those of its ingredients."""
    deltas = [entry.get("validationDeltas") or {} for entry in results.get("ingredientDeltas") or ()]
    for part in (results.get("activeManifest") or {}, *deltas):
        for entry in part.get("failure") or ():
            yield Finding(code=one_line(entry["code"]), text=one_line(entry.get("explanation") or ""))


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for assertion in manifest.get("assertions") or ():
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from assertion["data"].get("actions") or ()


def _action(entry: Mapping[str, Any]) -> Action:
    kind = str(entry.get("digitalSourceType") or "")
    return Action(
        name=one_line(entry.get("action") or ""),
        source_type=one_line(kind.rstrip("/").rpartition("/")[2]),
        agent=_program(entry.get("softwareAgent")),
    )


def _generator(manifest: Mapping[str, Any]) -> str:
    programs = filter(None, (_program(entry) for entry in manifest.get("claim_generator_info") or ()))
    return one_line(", ".join(programs) or manifest.get("claim_generator") or "")


def _program(entry: object) -> str:
    """A program by name and version; of manifests of the first version its name alone."""
    if isinstance(entry, Mapping):
        entry = " ".join(str(entry[key]) for key in ("name", "version") if entry.get(key))
    return one_line(entry or "")


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has it, some have a lower one
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _main() -> None:
    _limit_memory()
    head, _, data = sys.stdin.buffer.read().partition(b"\n")
    sys.stdout.write(json.dumps(dataclasses.asdict(_read(data, json.loads(head)))))


if __name__ == "__main__":
    _main()
