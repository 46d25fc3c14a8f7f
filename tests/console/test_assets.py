"""What is served from `console/static/vendor` is what its publishers released, with their licences."""

import hashlib
import json
from pathlib import Path

STATIC = Path(__file__).parents[2] / "console" / "static"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text("utf-8"))["files"]


def test_every_vendored_file_is_the_one_of_the_manifest() -> None:
    for entry in MANIFEST:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
        assert (VENDOR / entry["licence_file"]).stat().st_size > 100
        assert entry["version"][0].isdigit()


def test_nothing_is_vendored_that_the_manifest_does_not_name() -> None:
    named = {name for entry in MANIFEST for name in (entry["file"], entry["licence_file"])} | {"manifest.json"}
    assert {path.name for path in VENDOR.iterdir()} == named


def test_no_page_names_an_address_of_another_site() -> None:
    for path in [*STATIC.glob("*.*"), *(STATIC.parent / "templates").glob("*.html")]:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path


def test_no_template_has_a_script_or_a_style_of_its_own() -> None:
    for path in (STATIC.parent / "templates").glob("*.html"):
        text = path.read_text("utf-8")
        assert "<style" not in text, path
        assert " style=" not in text, path
        assert " onclick=" not in text, path
        assert text.count("<script") == text.count('<script src="/static/'), path
