"""surehold.js as it is served, and that its types name what it has."""

import re
from pathlib import Path

from django.conf import settings
from django.test import Client

STATIC = Path(settings.BASE_DIR) / "static"
MODULE = (STATIC / "surehold.js").read_text()
TYPES = (STATIC / "surehold.d.ts").read_text()


def test_it_is_served_to_every_origin_and_kept_briefly() -> None:
    for path, kind in [("/surehold.js", "text/javascript"), ("/surehold.d.ts", "text/plain")]:
        answer = Client().get(path, headers={"Origin": "https://club.example"})
        assert answer.status_code == 200
        assert answer["Content-Type"] == f"{kind}; charset=utf-8"
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert answer["Cache-Control"].startswith("public, max-age=300")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert not answer.cookies
        assert "Cookie" not in answer.get("Vary", "")
        again = Client().get(path, headers={"If-None-Match": answer["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_versioned_address_is_kept_for_good_and_is_this_release() -> None:
    stable = Client().get("/surehold.js")
    address = re.search(r"</(surehold\.\w+\.js)>", stable["Link"])
    assert address is not None
    versioned = Client().get(f"/{address[1]}")
    assert versioned.content == stable.content == MODULE.encode()
    assert "immutable" in versioned["Cache-Control"]
    assert Client().get("/surehold.0123456789abcdef.js").status_code == 404


def test_it_is_small_and_needs_nothing() -> None:
    assert len(MODULE) < 16_000
    assert not re.search(r"^\s*import\b|\beval\(|document\.write|innerHTML", MODULE, re.MULTILINE)


def test_the_types_name_what_it_exports_and_does() -> None:
    exported = r"^export (?:async )?(?:function|class) (\w+)"
    assert set(re.findall(exported, MODULE, re.MULTILINE)) == set(
        re.findall(exported, TYPES, re.MULTILINE)
    )
    client = MODULE[
        MODULE.index("class Client") : MODULE.index("\n}\n", MODULE.index("class Client"))
    ]
    methods = set(re.findall(r"^  (?:async )?(\w+)\(", client, re.MULTILINE)) - {"constructor"}
    described = TYPES[
        TYPES.index("interface Client") : TYPES.index("\n}\n", TYPES.index("interface Client"))
    ]
    assert methods == set(re.findall(r"^  (\w+)\(", described, re.MULTILINE)) - {"addEventListener"}
    assigned = set(re.findall(r"this\.(\w+) = ", MODULE[: MODULE.index("class Client")])) - {"name"}
    assert assigned == set(re.findall(r"readonly (\w+):", TYPES))
