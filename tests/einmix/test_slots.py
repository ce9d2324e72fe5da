"""Slots of a model: marked, filled in any order of axes, counted exactly, written as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from einops import rearrange
from einops.layers.torch import EinMix
from torch import nn

from einmix import Architecture, Mixer, PatternError, build, source
from einmix.networks.architecture import Filled, Slotted
from einmix.slots import Slot, fill, mark, slots, slotted

MIXER = Mixer.parse("h=m2.s2 w=s3.m2 c=g4.s2 +b")
ROWS = Mixer.parse("t=m24 c=s8")


def model() -> nn.Module:
    tokens = [Slot("tokens", "b c h w", h=4, w=6, c=8) for _ in range(2)]
    return nn.Sequential(
        nn.Conv2d(1, 8, 1), *tokens, nn.Flatten(2), Slot("rows", "b c t", t=24, c=8), nn.BatchNorm1d(8)
    )


@pytest.mark.parametrize("order", ["b h w c", "b c h w", "b (h w) c", "b w (c h)", "b (c w h)"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_is_the_same_map_in_every_order(order: str, bias: bool) -> None:
    mixer = Mixer(MIXER.axes, bias)
    plain, filled = EinMix(**mixer.einmix()), fill(nn.Sequential(Slot("s", order, h=4, w=6, c=8)), {"s": mixer})
    with torch.no_grad():
        filled[0].weight.copy_(plain.weight)  # type: ignore[union-attr, operator, index]
        for layer in (plain, filled[0]):  # type: ignore[index]
            if bias:
                layer.bias.fill_(0.5)
    x = torch.rand(2, 4, 6, 8)
    there, back = f"b h w c -> {order}", f"{order} -> b h w c"
    found = rearrange(filled(rearrange(x, there)), back, h=4, w=6)
    torch.testing.assert_close(found, plain(x))


def test_a_model_gives_what_it_gets_until_it_is_filled() -> None:
    whole, x = model().eval(), torch.rand(2, 1, 4, 6)
    torch.testing.assert_close(whole(x), whole[5](whole[0](x).flatten(2)))  # type: ignore[index]
    assert {name: len(each) for name, each in slots(whole).items()} == {"tokens": 2, "rows": 1}
    assert fill(whole, {"tokens": MIXER, "rows": ROWS})(x).shape == (2, 8, 24)
    assert whole[1] is not whole[2]  # type: ignore[index]  # with weights of their own


def test_an_architecture_counts_what_is_built() -> None:
    found = slotted(model(), {"tokens": MIXER, "rows": ROWS})
    built = fill(model(), found)
    assert found.params == sum(parameter.numel() for parameter in built.parameters())
    assert found.macs == 2 * MIXER.macs + ROWS.macs and found.mixers == (MIXER, ROWS)
    again = Architecture.from_json(found.to_json())
    assert again == found and again.id == found.id and isinstance(again, Slotted)
    same = fill(model(), json.loads(found.to_json())).state_dict()
    assert {name: value.shape for name, value in same.items()} == {n: v.shape for n, v in built.state_dict().items()}


def test_a_slot_that_stands_twice_is_one_layer() -> None:
    slot = Slot("tokens", h=2, w=2, c=4)
    whole = nn.Sequential(slot, nn.Sequential(slot))
    mixer = Mixer.parse("h=m2 w=m2 c=s4")
    assert slotted(whole, {"tokens": mixer}).params == 16
    fill(whole, {"tokens": mixer})
    assert whole[0] is whole[1][0] and sum(p.numel() for p in whole.parameters()) == 16  # type: ignore[index]


def test_modules_that_are_no_slots_are_marked_by_name() -> None:
    whole = mark(nn.Sequential(nn.Identity(), nn.Sequential(nn.Conv2d(4, 4, 3))), {"1.0": Slot("s", h=2, w=2, c=4)})
    assert [*slots(whole)] == ["s"]
    with pytest.raises(PatternError, match=r"the model has no module '2\.0'"):
        mark(whole, {"2.0": Slot("s", h=2, w=2, c=4)})


def test_its_text_is_a_line_a_slot() -> None:
    text = source(slotted(model(), {"tokens": MIXER, "rows": ROWS}), {"title": 'x"""\nimport os'})
    lines = [line for line in text.splitlines() if "Mix(" in line]
    assert len(lines) == 2 and lines[0].strip().startswith('"tokens": Mix("b (g c) (hi h) (w wi) -> ')
    assert lines[0].endswith("# in 2 places")
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    layers = namespace["mixers"]()
    assert [*layers] == ["tokens", "rows"] and layers["rows"](torch.rand(2, 8, 24)).shape == (2, 8, 24)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: slots(nn.Sequential()), "the model has no slots"),
        (lambda: Slot("a-b", h=2, c=2), "'a-b' cannot name a slot"),
        (lambda: Slot("s", "b c w", h=2, c=2), "'b c w' is no order of axes"),
        (lambda: Slot("s", "b (h c", h=2, c=2), "parentheses"),
        (lambda: Slot("s", h=0, c=2), "h=s0"),
        (lambda: slots(nn.Sequential(Slot("s", h=2, c=2), Slot("s", h=4, c=2))), "slots of the name 's' differ"),
        (lambda: fill(model(), {"tokens": MIXER}), "the model has the slots tokens, rows, not tokens"),
        (lambda: fill(model(), {"tokens": ROWS, "rows": ROWS}), "slot tokens has h=4 w=6 c=8, which 't=m24 c=s8'"),
        (lambda: Slotted.of({}, 0), "a model has slots"),
        (lambda: build(slotted(model(), {"tokens": MIXER, "rows": ROWS})), "fills the slots of a model of one's own"),
        (lambda: Slotted.of({"s": Filled("t=m4:2 c=s4", "b t c")}, 0), "slot s keeps its sizes"),
        (lambda: Architecture.from_json({"slots": {"s": {"mixer": 3}}, "rest": 0}), "this is no architecture"),
        (
            lambda: Architecture.from_json({"slots": {"s": {"mixer": "t=m4", "order": "b t"}}, "rest": -1}),
            "a model has",
        ),
    ],
)
def test_what_cannot_be(make: Any, words: str) -> None:
    with pytest.raises(PatternError, match=words):
        make()
