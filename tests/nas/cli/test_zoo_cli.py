"""`nas zoo`: what it lists, shows and exports, and what it refuses in one line."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from einmix import PatternError
from nas.api.zoo import find
from nas.cli.main import main
from nas.errors import NasError
from nas.options.zoo import Zoo
from search_spaces import SpaceError
from search_spaces.zoo import ZOO


@pytest.fixture
def zoo(tmp_path, monkeypatch, capsys) -> Callable[[str], tuple[int, str, str]]:
    """Runs `nas zoo …` in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nas", "zoo", *shlex.split(line)])
        status = 0
        try:
            main()
        except SystemExit as leave:
            status = int(leave.code or 0)
        return status, *capsys.readouterr()

    return run


def test_every_network_and_every_published_size_is_listed(zoo):
    status, out, err = zoo("--json")
    rows = [json.loads(line) for line in out.splitlines()]
    expected = [(name, size) for name, each in ZOO.items() for size in each.variants or [None]]
    assert (status, err, [(row["name"], row["variant"]) for row in rows]) == (0, "", expected)
    for row in rows:
        assert row.keys() == {"name", "variant", "params", "macs", "summary", "source"}
        if row["variant"] is None:
            assert row["params"] is row["macs"] is None
        else:
            published = ZOO[row["name"]].published(row["variant"])
            assert (row["params"], row["macs"]) == (published.params, published.macs)
    _, text, _ = zoo("")
    assert all(re.search(rf"^ {name} ", text, re.M) for name in ZOO)
    assert re.search(r"^ mixer +s/16 +18\.5M +3\.8G +MLPs over positions", text, re.M)
    assert all(each.source.split(",")[0] in text for each in ZOO.values())


@pytest.mark.parametrize("line", ["mixer:s/16", "show mixer:s/16"])
def test_a_published_size_is_shown(line, zoo):
    status, out, err = zoo(line)
    assert (status, err) == (0, "")
    assert out.startswith('"""mixer s/16: an EinMix network for 224 x 224 colour images, 1000 outputs.\n')
    assert "18,528,264 parameters" in out and "def model() -> nn.Module:" in out and "arXiv:2105.01601" in out
    _, text, _ = zoo(f"{line} --json")
    row = json.loads(text)
    assert (row["params"], row["variant"], row["text"]) == (18528264, "s/16", out)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("data", ["digits", "fashion-mnist", "mnist1d", "volumes"])
def test_every_network_has_a_default_size_on_all_kinds_of_data(name, data):
    network = find(name, Zoo(data=data))
    assert 1_000 < network.architecture.params < 10**6
    assert network.stem == f"{name}_{network.architecture.id}".replace("-", "_")


@pytest.mark.parametrize("name", ZOO)
def test_every_size_is_made_or_refused_in_words(name):
    for width in (*range(1, 20), 65_536):
        for patch, depth in ((1, 1), (8, 2), (3, 1)):
            try:
                find(name, Zoo(patch=patch, width=width, depth=depth))
            except (NasError, SpaceError, PatternError) as error:
                assert "\n" not in (error.summary if isinstance(error, PatternError) else str(error))


def test_sizes_are_those_asked_for(zoo):
    status, out, _ = zoo("gmlp --data fashion-mnist --patch 7 --width 24 --depth 3 --classes 5 --json")
    row = json.loads(out)
    assert (status, row["variant"]) == (0, None)
    assert "28 x 28 grey images, 5 outputs" in row["text"] and "range(3)" in row["text"]
    assert "sizes      patch 7 width 24 depth 3" in row["text"]


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("mixer --shape 32x32x3", ("32 x 32 colour images, 10 outputs", "patch 4 width 64")),
        ("show gmlp --shape 40x2 --classes 3", ("sequences of 40 with 2 channels, 3 outputs", "patch 1 width 64")),
        ("vip --shape 5x32x32x1", ("volumes of 5 x 32 x 32 with 1 channel", "patch 1x8x8 width 64", "1 x 8 x 8 to 64")),
        ("raft --shape 5x32x32x1 --patch 5x4x8", ("patch 5x4x8 width 64", "patches of 5 x 4 x 8 to 64")),
    ],
)
def test_shapes_are_those_asked_for(line, facts, zoo):
    status, out, err = zoo(line)
    assert (status, err) == (0, "") and all(fact in out for fact in facts), out[:600]


@pytest.mark.outside
@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("export resmlp --width 16 -o out", r"out/resmlp_[0-9a-f]{10}\.py"),
        pytest.param("export gmlp:ti/16", r"exported/gmlp_ti_16.py", marks=pytest.mark.slow),
    ],
)
def test_an_export_runs_alone(line, file, zoo, tmp_path):
    status, out, err = zoo(line)
    assert (status, err) == (0, "")
    path, params = re.fullmatch(
        rf"({file}): ([0-9,]+) parameters, checked in a clean process with torch and einops alone, "
        r"outputs equal(?: to [1-9]e[-+][0-9]+)?\n",
        out,
    ).groups()
    spec = importlib.util.spec_from_file_location("exported", tmp_path / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.model()
    assert sum(parameter.numel() for parameter in net.parameters()) == int(params.replace(",", ""))
    if path.startswith("out"):
        assert net(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    header = Path(tmp_path / path).read_text().split('"""')[1]
    assert f"nas zoo {line}" in " ".join(header.split()) and "it is not trained" in header


REFUSED = [
    ("mixr", r"no network 'mixr' in the zoo: did you mean 'mixer'.*known: mixer, "),
    ("show", "Missing argument 'NAME"),
    ("mixer:s/61", r"no published size 's/61' of mixer: did you mean 's/16'"),
    ("mixer/s/16", r"no network 'mixer/s/16' in the zoo: did you mean 'mixer:s/16'\?"),
    ("fnet:s", "no published size 's' of fnet: it has none, write fnet alone"),
    ("mixer:", "no published size '' of mixer"),
    ("mixer:s/16 --width 8", "mixer:s/16 has a published size: leave --width out, or write mixer alone"),
    ("mixer --width 9", "--width is 9; mixer has multiples of 2"),
    ("mixer --patch 3", "a patch of 3 does not divide axis h=8"),
    ("mixer --patch 1x3", "a patch of 1x3 does not divide axis w=8"),
    ("mixer --patch 1x2x4", "a patch of 1x2x4 has 3 sides, the data have axes h w"),
    ("mixer --patch 2x", "--patch takes a whole number, or one for each axis as in 1x4x4, not '2x'"),
    ("mixer --patch 0x2", "--patch takes a whole number, or one for each axis as in 1x4x4, not '0x2'"),
    ("mixer --shape 3", "--shape takes one to three lengths and the channels, as in 32x32x3, not '3'"),
    ("mixer --shape 8x8x0", "--shape takes one to three lengths and the channels, as in 32x32x3, not '8x8x0'"),
    ("mixer --shape 8x8x8x8x1", "--shape takes one to three lengths and the channels"),
    ("mixer --shape 8x8x1 --data digits", "--data has a shape: leave --shape out, or --data"),
    ("mixer:s/16 --shape 8x8x1", "mixer:s/16 has a published size: leave --shape out, or write mixer alone"),
    ("mixer --depth 0", "--depth is 0; 1 to 1024 is expected"),
    ("mixer --data digit", "unknown data 'digit'; did you mean 'digits'"),
    ("shwo mixer", r"unexpected extra argument.*mixer"),
    ("mixer --nope", "No such option: --nope"),
    ("export mixr", "no network 'mixr' in the zoo"),
    ("export mixer -o /dev/null/x", "cannot write /dev/null/x: "),
]


@pytest.mark.parametrize(("line", "pattern"), REFUSED)
def test_what_is_wrong_is_told_in_one_line(line, pattern, zoo, tmp_path):
    status, out, err = zoo(line)
    assert (status, out) == (2, "")
    assert re.fullmatch(r"nas: .*\n", err) and re.search(pattern, err), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["", "show ", "export "])
def test_help_has_an_example(command, zoo):
    status, out, err = zoo(f"{command}--help")
    assert (status, err) == (0, "")
    assert f"Example: nas zoo {command}" in out
