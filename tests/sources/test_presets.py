"""What each preset makes of messages as devices send them: normal, at the edge, and hostile."""

import pytest

from gateway.sources.codecs.p1 import decode_p1
from gateway.sources.shipped import preset_names
from tests.sources import declaring
from tests.sources.declaring import Declared, declare, refusals

METRICS = """
metrics:
  - {name: energy, unit: kWh, kind: cumulative, decimals: 6}
  - {name: energy_1, unit: kWh, kind: cumulative, decimals: 6}
  - {name: electricity_1, unit: kWh, kind: cumulative, decimals: 3}
  - {name: electricity_2, unit: kWh, kind: cumulative, decimals: 3}
  - {name: gas, unit: m3, kind: cumulative, decimals: 3}
  - {name: water, unit: m3, kind: cumulative, decimals: 3}
  - {name: power, unit: W, kind: gauge, decimals: 1}
  - {name: usage, unit: unit, kind: delta}
  - {name: "tariff.total", unit: unit, kind: cumulative}
  - {name: "temp", unit: Cel, kind: gauge}
  - {name: "temp:sum", unit: Cel, kind: cumulative}
"""
AT = "2022-04-14T10:00:00+00:00"
MS = 1649930400000


def preset(name: str, more: str = "") -> Declared:
    return declare(f"sources: [{{name: it, preset: {name}{more}}}]", METRICS)


def test_every_preset_is_usable_by_one_line() -> None:
    for name in preset_names():
        more = ", reference: METER" if name == "dsmr" else ""
        assert refusals(f"sources: [{{name: it, preset: {name}{more}}}]", METRICS) == []


def test_a_preset_asks_for_one_of_its_metrics() -> None:
    (use, _) = declaring.load("sources: [{name: it, preset: tasmota}]", METRICS).sources[0].metrics
    assert (use.metric, use.kind, use.optional) == ("energy", "cumulative", True)


def test_native() -> None:
    native = preset("native")
    assert native.usage("objects/A/telemetry", {"id": "1", "ts": MS, "metrics": {"usage": 12}}) == [
        ("A", AT, {"usage": "12"})
    ]
    twice = [{"id": "1", "metrics": {"usage": 1}}, {"id": "1", "metrics": {"usage": 2}}]
    assert native.keys("objects/A/telemetry", twice) == ["1", "1#1"]
    assert native.refusal("objects/A/telemetry", {"metrics": {"nothing": 1}}) == "unknown_metric"
    assert native.events("objects/A/lifecycle", {"event": "online", "ts": AT}) == [("A", "online", True)]
    assert native.refusal("objects/A/lifecycle", {"event": "activated"}) == "reserved_event"
    assert native.refusal("objects/A/lifecycle", {"event": 7}) == "bad_shape"


def test_chirpstack() -> None:
    chirpstack = preset("chirpstack")
    up = "application/7/device/0102030405060708/event/up"
    body = {
        "deduplicationId": "b39d5e5e",
        "time": "2022-04-14T10:00:00.123456789+00:00",
        "deviceInfo": {"devEui": "0102030405060708", "applicationId": "7"},
        "rxInfo": [{"gatewayId": "a"}, {"gatewayId": "b"}],
        "object": {"energy": 12.5, "battery": 3.6, "tariff": {"total": 3}},
    }
    assert chirpstack.usage(up, body) == [
        ("0102030405060708", "2022-04-14T10:00:00.123456+00:00", {"energy": "12.5", "tariff.total": "3"})
    ]
    assert chirpstack.keys(up, body) == ["b39d5e5e"]
    assert chirpstack.usage(up, {**body, "object": {}}) == []
    without = {key: value for key, value in body.items() if key != "object"} | {"data": "AQI="}
    assert chirpstack.usage(up, without) == []
    assert chirpstack.refusal(up, {**body, "deviceInfo": {"devEui": "ffff"}}) == "contradiction"
    assert chirpstack.refusal(up.replace("/7/", "/8/"), body) == "contradiction"
    assert chirpstack.refusal(up, {**body, "object": {"energy": "error"}}) == "bad_number"
    assert chirpstack.refusal(up, {**body, "deduplicationId": ["a"]}) == "bad_key"
    assert chirpstack.events(up.replace("/up", "/join"), body) == [("0102030405060708", "joined", None)]


def test_the_things_stack() -> None:
    stack = preset("the-things-stack")
    up = "v3/app@tenant/devices/dev-1/up"
    body = {
        "end_device_ids": {"device_id": "dev-1", "application_ids": {"application_id": "app"}},
        "received_at": "2022-04-14T10:00:01Z",
        "uplink_message": {
            "session_key_id": "AYfM",
            "f_cnt": 7,
            "decoded_payload": {"energy": 12.5},
            "rx_metadata": [{"timestamp": 4294967295}],
            "received_at": "2022-04-14T10:00:00Z",
        },
    }
    assert stack.usage(up, body) == [("dev-1", AT, {"energy": "12.5"})]
    assert stack.keys(up, body) == ["app:AYfM:7"]
    first = {**body, "uplink_message": {"session_key_id": "AYfM", "decoded_payload": {"energy": 1}}}
    assert stack.keys(up, first) == ["app:AYfM:"]
    assert stack.usage(up, first) == [("dev-1", "2022-04-14T10:00:01+00:00", {"energy": "1"})]
    assert stack.usage(up, {**body, "simulated": True}) == []
    assert stack.refusal(up.replace("dev-1", "dev-2"), body) == "contradiction"
    joined = {**body, "join_accept": {"session_key_id": "AYfM", "received_at": "2022-04-14T10:00:00Z"}}
    assert stack.events("v3/app@tenant/devices/dev-1/join", joined) == [("dev-1", "joined", None)]


def test_thingsboard_device() -> None:
    board, topic = preset("thingsboard-device"), "A/v1/devices/me/telemetry"
    assert board.usage(topic, {"energy": 5, "temp": 20.5, "ssid": "x"}) == [("A", "-", {"energy": "5", "temp": "20.5"})]
    assert board.usage(topic, {"ts": MS, "values": {"energy": 5}}) == [("A", AT, {"energy": "5"})]
    assert board.usage(topic, [{"ts": MS, "values": {"energy": 5}}, {"energy": 6}]) == [
        ("A", AT, {"energy": "5"}),
        ("A", "-", {"energy": "6"}),
    ]
    assert board.refusal(topic, [7]) == "bad_shape"
    assert board.refusal(topic, {"ts": "now", "values": {"energy": 5}}) == "bad_time"


def test_thingsboard_gateway() -> None:
    board, topic = preset("thingsboard-gateway"), "v1/gateway/telemetry"
    body = {
        "Device A": [{"ts": MS, "values": {"energy": 5}}, {"ts": MS + 1000, "values": {"energy": 6}}],
        "B": [{"energy": 7}],
    }
    assert board.usage(topic, body) == [
        ("Device A", AT, {"energy": "5"}),
        ("Device A", "2022-04-14T10:00:01+00:00", {"energy": "6"}),
        ("B", "-", {"energy": "7"}),
    ]
    assert board.events("v1/gateway/connect", {"device": "B"}) == [("B", "online", True)]
    assert board.events("v1/gateway/disconnect", {"device": "B"}) == [("B", "offline", False)]
    assert board.refusal("v1/gateway/connect", {"device": {}}) == "no_object"
    assert board.refusal(topic, {"a/b": [{"energy": 7}]}) == "bad_reference"
    assert board.refusal(topic, {"": [{"energy": 7}]}) == "bad_reference"
    assert board.refusal(topic, {"A": 7}) == "bad_shape"
    assert board.refusal(topic, {"A": [{"energy": 1}] * 10_001}) == "bad_shape"


def test_tasmota() -> None:
    tasmota, topic = preset("tasmota", ", zone: Europe/Paris"), "tele/plug/SENSOR"
    energy = {"Total": 12.345, "Today": 1, "Yesterday": 2, "Period": 3, "Power": 230}
    wanted = {"energy": "12.345", "power": "230"}
    assert tasmota.usage(topic, {"Time": "2022-04-14T12:00:00", "ENERGY": energy}) == [("plug", AT, wanted)]
    assert tasmota.usage(topic, {"Time": "2022-04-14T12:00:00+02:00", "ENERGY": energy}) == [("plug", AT, wanted)]
    assert tasmota.usage(topic, {"Time": MS // 1000, "ENERGY": energy}) == [("plug", AT, wanted)]
    phases = {"Total": [1.1, 2.2, 3.3], "Power": [1, 2, 3]}
    assert tasmota.usage(topic, {"Time": AT, "ENERGY": phases}) == [("plug", AT, {"energy": "6.6", "power": "6"})]
    assert tasmota.refusal(topic, {"Time": AT, "ENERGY": {"Total": [1, None]}}) == "bad_number"
    assert tasmota.usage(topic, {"Time": AT, "DS18B20": {"Temperature": 20}}) == []
    unset = {"Time": "1970-01-01T00:00:05", "ENERGY": {"Total": 1}}
    assert tasmota.usage(topic, unset) == [("plug", "-", {"energy": "1"})]
    assert tasmota.keys(topic, unset) == ["at 1969-12-31T23:00:05+00:00"]
    assert tasmota.events("tele/plug/LWT", b"Offline", retained=True) == [("plug", "offline", False)]
    assert tasmota.events("tele/plug/LWT", b"Perhaps") == []


def test_zigbee2mqtt() -> None:
    zigbee = preset("zigbee2mqtt")
    state = {"energy": 1.25, "power": 12, "last_seen": "2022-04-14T10:00:00Z", "linkquality": 70}
    assert zigbee.usage("zigbee2mqtt/hall/plug", state) == [("hall:plug", AT, {"energy": "1.25", "power": "12"})]
    assert zigbee.usage("zigbee2mqtt/plug", {"energy": 1.25}) == [("plug", "-", {"energy": "1.25"})]
    assert zigbee.keys("zigbee2mqtt/plug", {"energy": 1.25, "power": 3}, retained=True) == ["=energy=1.25,power=3"]
    assert zigbee.events("zigbee2mqtt/hall/plug/availability", b"online") == [("hall:plug", "online", True)]
    assert zigbee.events("zigbee2mqtt/plug/availability", {"state": "offline"}) == [("plug", "offline", False)]
    assert zigbee.refusal("zigbee2mqtt/hall:plug", state) == "ambiguous_object"
    for quiet in ("bridge/state", "bridge/request/x", "plug/set", "hall/plug/get"):
        assert zigbee.parts(f"zigbee2mqtt/{quiet}", b"anything") == []
    assert zigbee.sources.filters == ("zigbee2mqtt/#",)


def test_shelly_of_the_second_generation() -> None:
    shelly, plug = preset("shelly-gen2"), "shellyplus1pm-a8032abe54dc"
    body = {
        "src": plug,
        "method": "NotifyStatus",
        "params": {
            "ts": 1649930400.25,
            "switch:0": {"id": 0, "aenergy": {"total": 1234.567, "by_minute": [1.5, 2.5], "minute_ts": 1649930399}},
            "switch:1": {"aenergy": {"total": 0}},
        },
    }
    assert shelly.usage(f"{plug}/events/rpc", body) == [
        (plug, "2022-04-14T10:00:00.250000+00:00", {"energy": "1.234567", "energy_1": "0"})
    ]
    partial = {"src": plug, "params": {"ts": 1649930400, "switch:0": {"output": True}}}
    assert shelly.usage(f"{plug}/events/rpc", partial) == []
    three = {"src": plug, "params": {"ts": 1649930400, "emdata:0": {"total_act": 5000, "a_total_act_energy": 1}}}
    assert shelly.usage(f"{plug}/events/rpc", three) == [(plug, AT, {"energy": "5"})]
    assert shelly.refusal(f"{plug}/events/rpc", {**body, "src": "another"}) == "contradiction"
    assert shelly.usage(f"{plug}/status/switch:0", {"aenergy": {"total": 1500}}) == [(plug, "-", {"energy": "1.5"})]
    assert shelly.usage(f"{plug}/status/wifi", {"rssi": -60}) == []
    assert shelly.events(f"{plug}/online", b"false", retained=True) == [(plug, "offline", False)]


def test_shelly_of_the_first_generation() -> None:
    shelly = preset("shelly-gen1")
    assert shelly.usage("shellies/plug/relay/0/energy", b"60000") == [("plug", "-", {"energy": "1"})]
    assert shelly.usage("shellies/plug/relay/1/energy", b"1") == [("plug", "-", {"energy_1": "0.000017"})]
    assert shelly.usage("shellies/plug/emeter/0/total", b"1500.5") == [("plug", "-", {"energy": "1.5005"})]
    assert shelly.keys("shellies/plug/relay/0/energy", b"60000", retained=True) == ["=energy=1"]
    assert shelly.refusal("shellies/plug/relay/0/energy", b"on") == "bad_number"
    assert shelly.usage("shellies/plug/relay/7/energy", b"1") == []
    assert shelly.events("shellies/plug/online", b"true") == [("plug", "online", True)]


def test_a_number_per_topic() -> None:
    plain = preset("plain")
    assert plain.usage("values/A/usage", b" 12.50\n") == [("A", "-", {"usage": "12.5"})]
    assert plain.refusal("values/A/usage", b"12,5") == "bad_number"
    assert plain.refusal("values/A/nothing", b"12") == "unknown_metric"
    assert plain.refusal("values/A/usage", b"12", retained=True) == "retained_unkeyed"
    for hostile in (b"", b"\xff", b"1" * 201, b" "):
        assert plain.refusal("values/A/usage", hostile) == "bad_text"


def test_senml() -> None:
    senml, topic = preset("senml"), "senml/any/thing"
    pack = [
        {"bn": "urn:dev:ow:10e2:", "bt": 1649930400, "bu": "Cel", "bv": 20, "n": "temp", "v": 0.5},
        {"n": "temp", "t": 1, "v": 1, "s": 100},
        {"n": "label", "vs": "text"},
        {"bn": "urn:dev:ow:beef:", "n": "temp", "t": -1, "v": 3},
    ]
    assert senml.usage(topic, pack) == [
        ("urn:dev:ow:10e2", AT, {"temp": "20.5"}),
        ("urn:dev:ow:10e2", "2022-04-14T10:00:01+00:00", {"temp": "21"}),
        ("urn:dev:ow:10e2", "2022-04-14T10:00:01+00:00", {"temp:sum": "100"}),
        ("urn:dev:ow:beef", "2022-04-14T09:59:59+00:00", {"temp": "23"}),
    ]
    relative = [{"n": "urn:dev:ow:10e2:temp", "v": 1, "t": -5}]
    assert senml.usage(topic, relative) == [("urn:dev:ow:10e2", "2022-04-14T11:59:55+00:00", {"temp": "1"})]
    assert senml.refusal(topic, [{"n": "temp", "v": 1}]) == "no_object"
    assert senml.refusal(topic, [{"n": "a:temp", "v": "1x"}]) == "bad_number"
    assert senml.refusal(topic, [{"n": "a:temp", "must_": 1, "v": 1}]) == "bad_shape"
    assert senml.refusal(topic, [{"bver": 11, "n": "a:temp", "v": 1}]) == "bad_shape"
    assert senml.refusal(topic, [7]) == "bad_shape"
    assert senml.refusal(topic, [{"bn": 7, "n": "temp", "v": 1}]) == "bad_shape"
    assert senml.refusal(topic, b'[{"bn":"a:","bv":1e300,"n":"temp","v":1}]') == "bad_number"


def test_wmbusmeters() -> None:
    meters = preset("wmbusmeters")
    body = {
        "media": "water",
        "meter": "multical21",
        "name": "cellar",
        "id": "76348799",
        "total_m3": 123.456,
        "target_m3": 120,
        "target_date": "2022-03-31",
        "timestamp": "2022-04-14T10:00:00Z",
        "device_datetime": "2022-04-14 11:58",
    }
    assert meters.usage("wmbusmeters", body) == [("76348799", AT, {"water": "123.456"})]
    assert meters.refusal("wmbusmeters", {**body, "id": None}) == "no_object"
    frozen = (
        "metrics: [{path: target_m3, metric: water, time: {path: target_date, format: day_end, zone: Europe/Berlin}}]"
    )
    own = preset("wmbusmeters", f", {frozen}")
    assert own.usage("wmbusmeters", body) == [("76348799", "2022-03-31T22:00:00+00:00", {"water": "120"})]


def test_dsmr_reader() -> None:
    dsmr = preset("dsmr", ", reference: HOUSE_7")
    body = {
        "timestamp": "2022-04-14T10:00:00Z",
        "electricity_delivered_1": "1234.567",
        "electricity_delivered_2": "2345.678",
        "electricity_currently_delivered": "0.320",
        "extra_device_timestamp": "2022-04-14T09:00:00Z",
        "extra_device_delivered": "456.789",
    }
    assert dsmr.usage("dsmr/json", body) == [
        ("HOUSE_7", "2022-04-14T09:00:00+00:00", {"gas": "456.789"}),
        ("HOUSE_7", AT, {"electricity_1": "1234.567", "electricity_2": "2345.678"}),
    ]
    assert dsmr.usage("dsmr/json", {**body, "extra_device_delivered": None, "extra_device_timestamp": None})[0][1] == AT
    assert dsmr.usage("dsmr/reading/electricity_delivered_1", b"1234.567", retained=True) == [
        ("HOUSE_7", "-", {"electricity_1": "1234.567"})
    ]
    assert dsmr.usage("dsmr/reading/timestamp", b"2022-04-14T10:00:00Z") == []
    assert "say `reference`" in refusals("sources: [{name: it, preset: dsmr}]", METRICS)[0]


TELEGRAM = b"""/ISk5\\2MT382-1000\r
\r
0-0:1.0.0(220414120000S)\r
0-0:96.1.1(4B384547303034303436333935353037)\r
1-0:1.8.1(001234.567*kWh)\r
1-0:1.8.2(002345.678*kWh)\r
0-1:24.2.1(220414110000S)(00456.789*m3)\r
!"""


def test_p1_telegrams() -> None:
    assert decode_p1(b"/X\r\n1-0:1.8.1(1.0*kWh)\r\n!") == [{"1-0:1.8.1": 1}]
    p1 = preset("p1")
    wanted = [
        ("HOUSE_7", "2022-04-14T09:00:00+00:00", {"gas": "456.789"}),
        ("HOUSE_7", AT, {"electricity_1": "1234.567", "electricity_2": "2345.678"}),
    ]
    assert p1.usage("p1/HOUSE_7", TELEGRAM) == wanted
    checked = TELEGRAM + b"51A4\r\n"
    assert p1.usage("p1/HOUSE_7", checked) == wanted
    assert p1.refusal("p1/HOUSE_7", checked.replace(b"1234", b"1235")) == "bad_checksum"
    assert p1.refusal("p1/HOUSE_7", b"1-0:1.8.1(1.0*kWh)") == "bad_text"
    assert p1.refusal("p1/HOUSE_7", TELEGRAM.replace(b"1.8.2", b"1.8.1")) == "bad_shape"
    assert p1.refusal("p1/HOUSE_7", TELEGRAM.replace(b"ISk5", b"\xff")) == "bad_text"


def test_everest() -> None:
    everest, topic = preset("everest"), "everest_api/evse_1/var/powermeter"
    body = {"timestamp": MS // 1000, "meter_id": "M", "energy_Wh_import": {"total": 12345.6, "L1": 1, "L2": 2, "L3": 3}}
    assert everest.usage(topic, body) == [("evse_1", AT, {"energy": "12.3456"})]
    assert everest.usage(topic, {**body, "timestamp": "2022-04-14T10:00:00.000Z"})[0][1] == AT
    assert everest.usage(topic, {"timestamp": AT}) == []


def test_homie() -> None:
    homie = preset("homie")
    assert homie.usage("homie/5/meter/tariff/total", b"12.5", retained=True) == [
        ("meter", "-", {"tariff.total": "12.5"})
    ]
    assert homie.usage("homie/5/meter/tariff/name", b"night") == []
    assert homie.refusal("homie/5/meter/tariff/total", b"night") == "bad_number"
    assert homie.events("homie/5/meter/$state", b"lost", retained=True) == [("meter", "offline", False)]
    assert homie.sources.route("homie/5/meter/$description") is None


def test_cloudevents() -> None:
    events, topic = preset("cloudevents"), "cloudevents/fleet"
    body = {
        "specversion": "1.0",
        "id": "A234",
        "source": "fleet",
        "subject": "IOT_NS542",
        "type": "com.example.metered",
        "time": "2022-04-14T10:00:00Z",
        "data": {"usage": 12},
    }
    assert events.usage(topic, body) == [("IOT_NS542", AT, {"usage": "12"})]
    assert events.keys(topic, body) == ["fleet:A234"]
    assert events.usage(topic, {key: value for key, value in body.items() if key != "subject"})[0][0] == "fleet"
    assert events.usage(topic, {**body, "data": "text"}) == []
    assert events.refusal(topic, {**body, "subject": "/sensors/1"}) == "bad_reference"


@pytest.mark.parametrize("what,online", [("connected", True), ("disconnected", False)])
def test_presence_as_brokers_report_it(what: str, *, online: bool) -> None:
    event = "online" if online else "offline"
    aws, topic = preset("aws-iot-presence"), f"$aws/events/presence/{what}/A"
    body = {"clientId": "A", "timestamp": MS, "eventType": what, "sessionIdentifier": "s", "versionNumber": 3}
    assert aws.events(topic, body) == [("A", event, online)]
    assert aws.keys(topic, body) == ["s:3"]
    assert aws.refusal(topic, {**body, "clientId": "B"}) == "contradiction"
    emqx = preset("emqx-presence", ", prefix: broker")
    assert emqx.events(f"broker/emqx@10.0.0.1/clients/A/{what}", {"clientid": "A", "ts": MS}) == [("A", event, online)]
    assert emqx.events("broker/n/clients/A/subscribed", {"clientid": "A", "ts": MS}) == []
