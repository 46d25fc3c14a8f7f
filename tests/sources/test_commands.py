"""`metergate sources`: looking before anything is declared or stored."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests import brokers
from tests.brokers import eventually
from tests.conftest import missing

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METERGATE_DATABASE_URL", sqlite_url)

    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["sources", *arguments])
        said = capsys.readouterr()
        return ended.value.code if isinstance(ended.value.code, int) else 0, said.out + said.err

    return call


LINES = """tele/plug/SENSOR {"Time": "2022-04-14T12:00:00", "ENERGY": {"Total": 12.3}}
tele/plug/LWT Online
tele/plug/STATE {"Time": "2022-04-14T12:00:00"}
"""
CATALOGUE = """
metrics: [{name: energy, unit: kWh, kind: cumulative}]
sources: [{name: plugs, preset: tasmota, zone: Europe/Paris}, {name: zigbee, preset: zigbee2mqtt}]
"""


def test_a_sample_is_tried_with_a_preset_alone(run: Run, tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "sample.txt").write_text(LINES)
    status, said = run("try", "sample.txt", "--preset", "tasmota", "--json")
    rows = json.loads(said)
    assert [(row["outcome"], row["what"], row["value"]) for row in rows] == [
        ("usage", "energy", "12.3"),
        ("event", "online", None),
        ("unknown_topic", None, None),
    ]
    assert status == 1
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_a_sample_is_tried_with_a_file_before_it_is_applied(run: Run, tmp_path: Path) -> None:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    (tmp_path / "one.json").write_text('{"Time": "2022-04-14T12:00:00", "ENERGY": {"Total": 12.3}}')
    status, said = run("try", "one.json", "--topic", "tele/plug/SENSOR", "--catalogue", "catalogue.yaml", "--json")
    (row,) = json.loads(said)
    assert (status, row["object"], row["at"]) == (0, "plug", "2022-04-14T10:00:00+00:00")
    assert run("try", "none.json", "--topic", "tele/plug/SENSOR")[0] == 2
    assert "no preset is called" in run("try", "one.json", "--topic", "a", "--preset", "nothing")[1]


def test_the_lines_for_the_broker_say_who_reads_and_who_speaks(run: Run, tmp_path: Path) -> None:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    status, said = run("acl", "--catalogue", "catalogue.yaml", "--principal", "bridge", "--own")
    assert (status, said.splitlines()) == (
        0,
        [
            "user gateway",
            "topic read tele/+/SENSOR",
            "topic read tele/+/LWT",
            "topic read stat/+/RESULT",
            "topic write cmnd/+/+",
            "topic read zigbee2mqtt/#",
            "topic write zigbee2mqtt/#",
            "user bridge",
            "topic write tele/+/SENSOR",
            "topic write tele/+/LWT",
            "topic write stat/+/RESULT",
            "topic read cmnd/+/+",
            "topic write zigbee2mqtt/#",
            "topic read zigbee2mqtt/#",
            "# each object, under its own name",
            "pattern write tele/%u/SENSOR",
            "pattern write tele/%u/LWT",
            "pattern write stat/%u/RESULT",
            "pattern read cmnd/%u/POWER",
            "pattern read cmnd/%u/+",
            "pattern read zigbee2mqtt/%u/set",
        ],
    )
    (tmp_path / "plant.yaml").write_text(
        "metrics: [{name: a, unit: b, kind: delta}]\nsources: [{name: p, preset: sparkplug}]"
    )
    assert run("acl", "--catalogue", "plant.yaml")[1].splitlines()[1:] == [
        "topic read spBv1.0/+/+/+/+",
        "topic read spBv1.0/+/+/+",
        "topic write spBv1.0/+/NCMD/+",
    ]
    assert run("list")[1].startswith("No source is declared")
    assert "zigbee2mqtt" in run("presets", "--json")[1]


def test_live_traffic_is_tried_without_taking_it_from_anybody(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    folder = tmp_path / "broker"
    folder.mkdir()
    with brokers.mosquitto(folder, users=("plug",)) as broker:
        acl = folder / "mosquitto.acl"
        acl.write_text(acl.read_text() + "\nuser plug\ntopic write tele/#\nuser gateway\ntopic read tele/#\n")
        broker.stop()
        broker.start()
        monkeypatch.setenv("METERGATE_BROKER_URL", broker.url())
        done = threading.Event()

        def publish() -> None:
            with brokers.Peer(broker, "plug") as plug:
                while not done.is_set():
                    plug.publish("tele/plug/LWT", b"Online")
                    done.wait(0.05)

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            status, said = run("try", "tele/#", "--preset", "tasmota", "--seconds", "20", "--count", "1", "--json")
        finally:
            done.set()
            publisher.join()
        eventually(done.is_set, "the publisher has ended")
    assert (status, [row["what"] for row in json.loads(said)]) == (0, ["online"])
