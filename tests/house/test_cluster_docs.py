"""docs/cluster.md is true as far as one machine can tell: its files are valid, its commands and their options exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from nas.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
FILES = DOCS / "cluster"
PAGE = (DOCS / "cluster.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
SLURM = (FILES / "slurm.sh").read_text(encoding="utf-8")
ENDS = {"&&", "&", ";", "|", ">", ">>"}


def read_yaml(name: str) -> list[Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with Ray, which is not installed")
    return list(yaml.safe_load_all((FILES / name).read_text(encoding="utf-8")))


def calls(text: str, program: str) -> list[list[str]]:
    """The words that follow a program's name, up to the end of its command, also in quotes and behind a path."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        for number, word in enumerate(words, start=1):
            if " " in word:
                found += calls(word, program)
            elif word.rpartition("/")[2] == program:
                end = next((at for at, later in enumerate(words) if at >= number and later in ENDS), None)
                found.append(words[number:end])
    return found


def check(command: Any, words: list[str]) -> None:
    """Every subcommand and every option exists."""
    words = list(words)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known | {"--help"}


def test_calls_are_found_wherever_they_stand() -> None:
    text = 'ray up a.yaml  # ray down\nsrun -n 1 \\\n  /bin/ray start --head & ray exec a "nas search --ray auto"\n'
    assert calls(text, "ray") == [["up", "a.yaml"], ["start", "--head"], ["exec", "a", "nas search --ray auto"]]
    assert calls(text, "nas") == [["search", "--ray", "auto"]]


@pytest.mark.parametrize("text", [SHELL, SLURM], ids=["cluster.md", "slurm.sh"])
def test_commands_and_their_options_exist(text: str) -> None:
    found = calls(text, "nas")
    assert found
    for words in found:
        check(typer.main.get_command(app), words)


def test_rays_commands_and_their_options_exist() -> None:
    scripts = pytest.importorskip("ray.scripts.scripts", reason="Ray is not installed")
    (config,) = read_yaml("ray-up.yaml")
    started = "\n".join(config["head_start_ray_commands"] + config["worker_start_ray_commands"])
    found = calls("\n".join([SHELL, SLURM, started]), "ray")
    assert len(found) > 15
    for words in found:
        check(scripts.cli, words)


def test_an_unknown_option_is_noticed() -> None:
    with pytest.raises(AssertionError):
        check(typer.main.get_command(app), ["search", "--cluster", "auto"])


def test_links_and_files_are_there() -> None:
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)", PAGE))
    assert [link for link in links if not (DOCS / link).exists()] == []
    assert {f"cluster/{path.name}" for path in FILES.iterdir()} <= links


def test_ray_up_takes_the_aws_file() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util", reason="Ray is not installed")
    (config,) = read_yaml("ray-up.yaml")
    prepared = util.prepare_config(config)
    util.validate_config(prepared)  # Ray's own schema, and what it checks beyond it
    head, worker = (prepared["available_node_types"][name] for name in ("head", "worker"))
    assert (prepared["head_node_type"], head["resources"]["CPU"]) == ("head", 0)
    assert (worker["min_workers"], worker["max_workers"]) == (0, 8)
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert prepared["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    for commands in (prepared["head_start_ray_commands"], prepared["worker_start_ray_commands"]):
        assert "export RAY_AUTH_MODE=token;" in commands[-1]


def test_the_kuberay_manifest_has_what_a_cluster_needs() -> None:
    volume, cluster = read_yaml("kuberay.yaml")
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    spec = cluster["spec"]
    assert (spec["rayVersion"], spec["authOptions"]) == ("2.60.0", {"mode": "token"})
    head = spec["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "dashboard-host": "127.0.0.1"}
    (claim,) = head["template"]["spec"]["volumes"]
    assert claim["persistentVolumeClaim"]["claimName"] == volume["metadata"]["name"]
    for group in (head, *spec["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        assert set(container) >= {"name", "image", "resources"}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    (gpu,) = spec["workerGroupSpecs"]
    assert gpu["minReplicas"] <= gpu["replicas"] <= gpu["maxReplicas"]


def test_the_slurm_script_is_a_script() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    subprocess.run([bash, "-n", FILES / "slurm.sh"], check=True)
    if shellcheck := shutil.which("shellcheck"):
        subprocess.run([shellcheck, FILES / "slurm.sh"], check=True)


def test_no_example_listens_on_every_interface() -> None:
    for path in FILES.iterdir():
        assert "0.0.0.0" not in path.read_text(encoding="utf-8")
    assert "0.0.0.0" not in SHELL
    starts = [words for words in calls(SHELL + SLURM, "ray") if words[0] == "start" and "--head" in words]
    assert starts
    assert all("--dashboard-host=127.0.0.1" in words for words in starts)
