"""The container as far as it can be judged without an engine for containers: what it copies, runs, and may not do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import ganfingerprint
from ganfingerprint.cli.main import app
from ganfingerprint.cli.serve import MOST_HEADERS

ROOT = Path(__file__).resolve().parents[2]
UNITS = {"KB": 10**3, "MB": 10**6, "KIB": 2**10, "MIB": 2**20}


def steps() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, and what follows each."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def step(name: str) -> str:
    """The last of its kind: the one that counts."""
    return [rest for found, rest in steps() if found == name][-1]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def arguments() -> list[str]:
    """What the container runs, as the compose file starts it."""
    return [*json.loads(step("ENTRYPOINT")), *compose()["services"]["service"]["command"]]


def serve_options(given: list[str]) -> dict[str, Any]:
    program, command, *rest = given
    assert (program, command) == ("ganfingerprint", "serve")
    with get_command(app).commands["serve"].make_context("serve", rest) as context:  # type: ignore[attr-defined]
        return context.params


def caddy(name: str) -> str:
    found = re.search(rf"^\s*{name} (\S+)", (ROOT / "Caddyfile").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_everything_that_is_copied_is_there_and_is_sent_to_the_build() -> None:
    copied = [
        source for name, rest in steps() if name == "COPY" and "--from" not in rest for source in rest.split()[:-1]
    ]
    assert {"src", "weights", "pyproject.toml", "constraints.txt"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists()] == []
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert kept == set(copied)


def test_what_the_build_needs_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["sources"]) - {"src/ganfingerprint"}
    assert needed <= {source for name, rest in steps() if name == "COPY" for source in rest.split()}


def test_both_stages_are_of_one_python_that_is_supported() -> None:
    images = {rest.split()[0] for name, rest in steps() if name == "FROM"}
    assert len(images) == 1
    version = re.search(r"python:(3\.\d+)-slim", images.pop())
    assert version is not None
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert f"Programming Language :: Python :: {version[1]}" in classifiers


def test_no_torch_is_installed() -> None:
    installed = next(rest for name, rest in steps() if name == "RUN")
    assert re.findall(r"'\.\[(.+?)\]'", installed) == ["serve"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["serve"], *extras["report"]]
    assert [package for package in needed if package.startswith("torch")] == []
    assert "/constraints.txt" in next(rest for name, rest in steps() if name == "ENV" and "PIP_CONSTRAINT" in rest)


def test_the_command_is_understood_and_asks_for_keys() -> None:
    options = serve_options(arguments())
    assert (options["host"], options["port"]) == ("0.0.0.0", 8000)
    (secret,) = compose()["services"]["service"]["secrets"]
    assert str(options["api_key_file"]) == f"/run/secrets/{secret}"
    assert secret in compose()["secrets"]
    assert step("EXPOSE") == str(options["port"])


def test_the_health_check_is_python_and_asks_where_no_key_is_needed() -> None:
    check = re.search(r"CMD (\[.+\])", step("HEALTHCHECK"))
    assert check is not None
    program, option, code = json.loads(check[1])
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", code) == [(step("EXPOSE"), "/readyz")]


def test_nobody_runs_as_root_and_nothing_is_written_but_to_memory() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", step("USER"))
    assert re.search(r"\bHOME=/tmp\b", step("ENV"))
    service, proxy = (compose()["services"][name] for name in ("service", "proxy"))
    for found in (service, proxy):
        assert found["read_only"] is True
        assert found["cap_drop"] == ["ALL"]
        assert found["security_opt"] == ["no-new-privileges:true"]
        assert {"mem_limit", "pids_limit", "cpus"} <= set(found)
        assert not found.get("privileged")
    assert proxy["cap_add"] == ["NET_BIND_SERVICE"]
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert service["image"] == f"ganfingerprint:{ganfingerprint.__version__}"


def test_the_service_is_reached_through_the_proxy_alone() -> None:
    found = compose()
    service, proxy = (found["services"][name] for name in ("service", "proxy"))
    assert "ports" not in service
    assert service["networks"] == ["inside"]
    assert found["networks"]["inside"] == {"internal": True}
    assert set(proxy["networks"]) == set(found["networks"])
    assert caddy("reverse_proxy") == f"service:{step('EXPOSE')}"
    for name in ("./Caddyfile", *service["build"].values()):
        assert (ROOT / name).exists()
    assert (ROOT / service["build"]["dockerfile"]).is_file()


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit.upper()]


def test_the_proxy_fits_the_limits_of_the_service() -> None:
    """Its own refusals come later, its connections end earlier, than those of the service."""
    options = serve_options(arguments())
    assert options["max_body"] == "20M"
    assert size(caddy("max_size")) > 20 * 2**20
    assert size(caddy("max_header_size")) <= MOST_HEADERS
    assert int(caddy("keepalive").removesuffix("s")) < options["patience"]


@pytest.mark.skipif(not (Path(sys.executable).parent / "hadolint").exists(), reason="hadolint is not of this platform")
def test_hadolint_finds_nothing() -> None:
    linter = [str(Path(sys.executable).parent / "hadolint"), "--no-color", str(ROOT / "Containerfile")]
    done = subprocess.run(linter, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
