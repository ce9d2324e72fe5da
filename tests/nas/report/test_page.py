"""The page: what it says is what may be claimed, what came from a run is text, and its policy lets nothing else run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from made_up_runs import facts_of, made_up

from nas.api.report import gathered, report
from nas.claims.claims import Claim
from nas.report import verdict
from nas.report.page import page
from nas.report.texts import LARGEST, data, highlighted, packed, packed_results

HOSTILE = "</script></pre><img src=x onerror=alert(1)><script>alert(2)</script>\"'&{{ 7*7 }}"


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and the texts of scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.scripts.append((dict(attrs) | {"tag": tag}, ""))

    def handle_data(self, found):
        if self.cdata_elem:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + found)
        else:
            self.text += found

    def policy(self) -> dict[str, str]:
        (content,) = (a["content"] for t, a in self.elements if a.get("http-equiv") == "Content-Security-Policy")
        return dict(rule.split(" ", 1) for rule in content.split("; "))


def sha(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> str:
    run = made_up(
        tmp_path_factory.mktemp("runs"),
        candidates=21,
        reason=HOSTILE,
        label=HOSTILE,
        settings={"command": HOSTILE, "strategy": HOSTILE, "space": {"name": HOSTILE, "patch": [HOSTILE]}},
    )
    return report([run], where=f" --runs-dir {HOSTILE}")


def test_nothing_that_came_from_a_run_is_an_element(hostile):
    found = Parsed(hostile)
    assert {tag for tag, _ in found.elements} & {"img", "iframe", "object", "embed", "form", "base"} == set()
    assert [attributes for tag, attributes in found.elements if any(name.startswith("on") for name in attributes)] == []
    kinds = [attributes.get("type") for attributes, _ in found.scripts if attributes["tag"] == "script"]
    assert kinds.count(None) == 1
    assert set(kinds) == {None, "application/json", "application/octet-stream"}
    assert "alert(1)" in found.text and "{{ 7*7 }}" in found.text


def test_the_policy_lets_one_script_and_one_style_run_and_asks_nobody(hostile):
    found = Parsed(hostile)
    policy = found.policy()
    assert policy["default-src"] == "'none'" and "connect-src" not in policy
    script = next(text for a, text in found.scripts if a["tag"] == "script" and "type" not in a)
    style = next(text for a, text in found.scripts if a["tag"] == "style")
    assert policy["script-src"] == sha(script) and policy["style-src"] == sha(style)
    assert "unsafe" not in str(policy)
    assert [name for _, attributes in found.elements for name in attributes if name == "style"] == []
    links = [a.get("href") or a.get("src") for t, a in found.elements if t in ("a", "link", "use", "script")]
    assert all(link.startswith(("#", "data:,")) for link in links if link)


def test_ids_are_there_once_and_links_lead_somewhere(hostile):
    ids = [attributes["id"] for _, attributes in Parsed(hostile).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for t, a in Parsed(hostile).elements if a.get("href", "").startswith("#")}
    assert links <= set(ids)


def test_a_served_page_may_ask_its_server_alone(tmp_path):
    found = Parsed(page([facts_of(tmp_path)], live="12"))
    assert found.policy()["connect-src"] == "'self'"
    assert ("body", {"data-live": "12"}) in found.elements


def unpacked(found: Parsed, id: str) -> str:
    text = next(text for attributes, text in found.scripts if attributes.get("id") == id)
    return gzip.decompress(base64.b64decode(text)).decode()


def test_all_results_and_the_text_of_each_network_are_in_it(tmp_path):
    run = made_up(tmp_path, candidates=20)
    found = Parsed(report([run]))
    lines = [json.loads(line) for line in unpacked(found, "results").splitlines()]
    assert lines == [json.loads(json.dumps(result.to_line())) for result in run.results]
    networks = json.loads(next(text for a, text in found.scripts if a.get("class") == "networks"))
    texts = json.loads(unpacked(found, "sources"))
    assert networks.keys() == texts.keys() == {standing.id for standing in run.standings}
    assert all("def model()" in text for text in texts.values())


def test_of_very_many_the_first_have_rows_and_the_page_says_so(tmp_path):
    run = gathered(made_up(tmp_path, candidates=60))
    text = page([run], shown=10)
    rows = re.findall(r'<tr id="n-(\w+)"', text)
    assert 10 <= len(rows) < 20 and {each.id for each in run.references} <= set(rows)
    assert f"The first {len(rows)} of {len(run.networks)} networks have a row here" in text
    assert "the results of all are in this page" in text


def test_results_that_take_too_much_are_thinned_and_it_is_said(tmp_path):
    import random

    run = made_up(tmp_path)
    noise = random.Random(0)
    heavy = [
        replace(result, traceback="".join(noise.choices("0123456789abcdef", k=3_000_000)), id=result.id)
        for result in run.results[:1]
    ]
    text, left_out = packed_results(heavy)
    assert left_out == "which examples were right, tracebacks" and len(text) < LARGEST * 4 / 3
    assert json.loads(gzip.decompress(base64.b64decode(text)))["id"] == heavy[0].id
    assert packed_results(run.results)[1] == ""


def test_what_is_packed_is_packed_alike():
    assert packed("text") == packed("text")
    assert gzip.decompress(base64.b64decode(packed("±"))).decode() == "±"


def test_data_cannot_end_its_element():
    assert "<" not in data({"a": "</script>"})
    assert json.loads(data({"a": "</script>"})) == {"a": "</script>"}


def test_python_is_marked_and_otherwise_as_it_is():
    text = 'def f(a):  # of <b>\n    """Words\n    more."""\n    return "x" if a else 1\n'
    marked = highlighted(text)
    assert re.sub(r"<[^>]*>", "", marked).replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"') == text
    assert '<span class="kw">def</span>' in marked and '<span class="co"># of &lt;b&gt;</span>' in marked


CASES = {
    "beats": ({}, "beats full token mixing 3 by 18.7 points", "leaves out zero"),
    "behind": ({"lead": -0.2}, "Nothing found beats full token mixing 3", "leaves out zero"),
    "open": ({"lead": 0.0}, "is not told apart from full token mixing 3", "does not leave out zero"),
    "unjudged": ({"bits": False}, "was judged on the images that chose it", "the images that chose it"),
    "none": ({"finals": 0}, "No finals yet", "so optimistic"),
    "empty": ({"candidates": 0, "finals": 0}, "No finals yet", "Candidates tried so far: 0 of 1."),
    "under way": ({"finals": 0, "settings": {"trials": 500}}, "No finals yet", "Candidates tried so far: 12 of 500."),
    "sequences": ({"shape": {"t": 32}}, "beats full token mixing 3", "sequences that chose nothing"),
    "volumes": ({"shape": {"d": 4, "h": 4, "w": 4}}, "beats full token mixing 3", "volumes that chose nothing"),
    "objectives": (
        {"timed": True, "settings": {"objective": "accuracy,latency"}},
        "beats full token mixing",
        "leaves out zero",
    ),
}


@pytest.mark.parametrize(("changes", "head", "deck"), CASES.values(), ids=CASES)
def test_headlines_say_what_may_be_claimed(changes, head, deck, tmp_path):
    run = facts_of(tmp_path, **changes)
    assert head in verdict.headline(run)
    assert deck in verdict.deck(run)
    text = page([run])
    assert Parsed(text).text.count(verdict.headline(run)) >= 1
    told = re.sub(r"<(script|pre).*?</\1>|None of", "", text, flags=re.DOTALL)
    assert "None" not in told and not re.search(r"\bnan\b", told)


def test_a_lead_that_another_rate_takes_is_no_win(tmp_path):
    from nas.ranking.sensitivity import Sensitivity
    from nas.runs.job import Score

    run = facts_of(tmp_path)
    lost = Sensitivity(0.01, {0.01: Score(1, 1, 0.9), 0.03: None}, {0.01: Score(1, 1, 0.8), 0.03: Score(1, 1, 0.95)})
    standings = [replace(each, sensitivity=lost) if each.finals else each for each in run.standings]
    fragile = replace(run, audit=replace(run.audit, standings=standings))
    assert "which another learning rate takes away" in verdict.headline(fragile)
    assert (verdict.won(fragile), verdict.won(run)) == ("What leads", "What won")


def test_too_few_seeds_are_said_to_be(tmp_path):
    run = facts_of(tmp_path)
    few = [
        replace(each, gain=Claim(each.gain.mean, each.gain.against, each.gain.rival)) if each.gain else each
        for each in run.standings
    ]
    told = replace(run, audit=replace(run.audit, standings=few))
    assert verdict.headline(told).startswith("Too few seeds to tell ")


def test_a_finalist_that_failed_is_not_said_to_have_won(tmp_path):
    run = facts_of(tmp_path)
    failed = [
        replace(each, failures=(each.finals[0],), gain=None, lacking=(9,)) if each.finals else each
        for each in run.standings
    ]
    told = replace(run, audit=replace(run.audit, standings=failed))
    assert verdict.headline(told).endswith("leads and lacks seeds")
    assert any("has 3 of 4 seeds" in line for line in verdict.how_much(told))


def test_finals_to_come_are_told_what_they_will_not_tell(tmp_path):
    (line, *_) = verdict.how_sure(facts_of(tmp_path, finals=0))
    assert re.fullmatch(
        r"On 100 images and 3 seeds a gain below about [\d.]+ points will mostly not be told from none\.", line
    )


def test_several_runs_stand_side_by_side(tmp_path):
    runs = [made_up(tmp_path, "one"), made_up(tmp_path, "two", lead=-0.2), made_up(tmp_path, "three", finals=0)]
    found = Parsed(report(runs))
    for name in ("one", "two", "three"):
        assert f"nas report {name}" in found.text
    assert "3 runs side by side" in found.text and "Nothing found beats" in found.text
    assert [a["href"] for t, a in found.elements if t == "a"] == ["#run-1", "#run-2", "#run-3"]
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_page_is_far_below_two_megabytes(tmp_path):
    assert len(report([made_up(tmp_path, candidates=60)]).encode()) < 400_000
