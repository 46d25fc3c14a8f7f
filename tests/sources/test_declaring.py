"""What a source may say, and what is told where it says something else."""

import pytest

from tests.sources.declaring import declare, load, refusals

FLAT = """
sources:
  - name: meters
    topic: site/{site}/meter/{object}
    time: {path: at}
    metrics: [{path: total.wh, metric: energy, factor: "0.001"}]
"""


def test_a_source_is_a_topic_and_what_is_taken_from_it() -> None:
    meters = declare(FLAT)
    body = {"at": "2022-04-14T10:00:00+02:00", "total": {"wh": 12345.6}}
    assert meters.usage("site/paris/meter/M1", body) == [("M1", "2022-04-14T08:00:00+00:00", {"energy": "12.3456"})]
    assert meters.sources.filters == ("site/+/meter/+",)


def test_what_is_not_there_is_nothing_and_what_is_no_number_is_refused() -> None:
    meters = declare(FLAT)
    assert meters.usage("site/paris/meter/M1", {"at": "2022-04-14T10:00:00Z"}) == []
    assert meters.usage("site/paris/meter/M1", {"at": "2022-04-14T10:00:00Z", "total": {"wh": None}}) == []
    hostile: object
    for hostile in (True, "much", [], {}, "NaN", "1e999999"):
        body = {"at": "2022-04-14T10:00:00Z", "total": {"wh": hostile}}
        assert meters.refusal("site/paris/meter/M1", body) == "bad_number"
    for clock in ("2022-04-14T10:00:00", "yesterday", 7, "2022-02-30T00:00:00Z"):
        assert meters.refusal("site/paris/meter/M1", {"at": clock, "total": {"wh": 1}}) == "bad_time"
    assert meters.refusal("site/paris/meter/M1", b'{"at": NaN}') == "bad_json"
    assert meters.refusal("site/paris/meter/+", {}) == "bad_reference"


@pytest.mark.parametrize(
    "source,said",
    [
        ("{name: a, topic: 'x/{object}'}", "nothing is taken from the message"),
        (
            "{name: a, topic: 'x/{object}', metrics: [{path: 'a..b', metric: usage}]}",
            "metrics[0].path: 'a..b' is not a",
        ),
        ("{name: a, topic: 'x/{object}', metrics: [{path: 'sum(a)', metric: usage}]}", "uses sum()"),
        ("{name: a, topic: 'x/{object}', metrics: [{path: a, metric: usage, factor: '0'}]}", "a factor of 0"),
        ("{name: a, topic: 'x/{object}', metrics: [{path: a, metric: usage, factor: 0.1}]}", "YAML float"),
        ("{name: a, topic: 'x/{object', values: {}}", "topic: 'x/{object': '{object' is neither"),
        ("{name: a, topic: 'x/{device}', values: {}}", "{object} is no wildcard"),
        ("{name: a, topic: 'x/{a...}/{b...}/{object}', values: {}}", "two wildcards of several levels"),
        ("{name: a, topic: 'x/{object}', values: {}, codec: xml}", "no codec is called 'xml'"),
        ("{name: a, topic: 'x/{object}', events: [{event: activated}]}", "no event that an object may report"),
        ("{name: a, topic: 'devices/{object}/telemetry', values: {}}", "which the gateway reads itself"),
        ("{name: a, topic: '#', values: {}, object: id}", "which the gateway reads itself"),
        ("{name: a, preset: nothing}", "sources[0].preset: no preset is called 'nothing'"),
        ("{name: a, preset: chirpstack, topic: 'x/{object}'}", "several topics"),
        ("{name: a, preset: chirpstack, time: {path: t, zone: Mars}}", "sources[0].time.zone: time zone 'Mars'"),
        ("{name: a, topic: 'x/{object}', valuse: {}}", "valuse"),
        ("a", "should be a source"),
        (
            "{name: a, topic: 'x/{object}', metrics: [{path: a, metric: usage}, {path: b, metric: usage}]}",
            "fed twice by one message",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_place(source: str, said: str) -> None:
    sentences = refusals(f"sources:\n  - {source}\n")
    assert all(sentence.startswith("line 9: sources[0]") for sentence in sentences)
    assert said in "\n".join(sentences)


def test_a_preset_is_written_out_and_what_the_source_says_itself_replaces_it() -> None:
    (plain, own) = load(
        "sources:\n  - {name: a, preset: chirpstack}\n"
        "  - {name: b, preset: chirpstack, prefix: lora, metrics: [{path: object.kwh, metric: energy}]}\n"
    ).sources
    assert plain.definition["messages"][0]["values"] == {"path": "object"}
    assert "values" not in own.definition["messages"][0]
    assert own.definition["messages"][0]["topic"] == "lora/{app}/device/{object}/event/up"
    assert [use.place for use in own.metrics] == ["sources[1].metrics[0].metric"]
