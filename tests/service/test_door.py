"""Who may come in, and what the service writes of each request."""

import base64
import json
from dataclasses import fields

import pytest

from gru4rec.cli.serve import command
from gru4rec.errors import ConfigError
from gru4rec.service import ServiceSettings

TOKEN = "a-secret"


@pytest.fixture
def locked(serving, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\nsecond line\n")
    return serving(token_file=str(tmp_path / "token"))


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", basic(TOKEN)])
def test_who_brings_the_token_is_answered(locked, given):
    assert locked.ask("GET", "/model", headers={"Authorization": given}).status == 200


@pytest.mark.parametrize("given", ["", "Bearer no", "Bearer", basic("no"), "Basic §", TOKEN])
@pytest.mark.parametrize("path", ["/model", "/", "/metrics", "/docs", "/nope"])
def test_who_does_not_is_refused_everywhere(locked, given, path):
    reply = locked.ask("GET", path, headers={"Authorization": given} if given else None)
    assert reply.status == 401
    assert "token" in reply.json["error"]
    assert reply.headers["www-authenticate"] == 'Basic realm="gru4rec"'  # alone: browsers ask then


def test_health_needs_no_token(locked):
    assert locked.get("/health").status == 200


def test_only_this_machine_reloads_without_a_token(serving, tmp_path):
    near, far = serving(), serving(host="192.0.2.7")
    assert near.post("/model/reload").status == 200
    assert far.post("/model/reload").status == 401
    assert far.get("/model").status == 200
    (tmp_path / "token").write_text(TOKEN)
    trusted = serving(host="192.0.2.7", token_file=str(tmp_path / "token"))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert trusted.ask("POST", "/model/reload", headers=headers).status == 200


def test_others_than_this_machine_need_a_token_or_a_word():
    with pytest.raises(ConfigError, match="says who may ask"):
        ServiceSettings(checkpoint="m", host="0.0.0.0")
    ServiceSettings(checkpoint="m", host="0.0.0.0", no_token=True)
    ServiceSettings(checkpoint="m", host="0.0.0.0", token_file="t")
    ServiceSettings(checkpoint="m", host="::1")
    with pytest.raises(ConfigError, match="says who may ask"):
        ServiceSettings(checkpoint="m", host="127.example.org")
    with pytest.raises(ConfigError, match="contradict"):
        ServiceSettings(checkpoint="m", token_file="t", no_token=True)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", "Schlüssel".encode()])
def test_a_file_without_a_token_is_refused(serving, tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        serving(token_file=str(tmp_path / "token"))


def test_each_request_is_a_line_of_json(serving, capsys):
    client = serving(access_log=True)
    client.post("/sessions/a b/clicks", {"item_id": "x"})
    client.get("/nope")
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["method"], first["path"], first["status"]) == (
        "POST",
        "/sessions/a b/clicks",
        200,
    )
    assert first["route"] == "POST /sessions/{session_id}/clicks"
    assert first["client"] == "127.0.0.1"
    assert first["ms"] > 0
    assert (second["route"], second["status"]) == ("other", 404)


def test_the_command_has_the_defaults_of_the_settings():
    settings = {field.name: field.default for field in fields(ServiceSettings)}
    options = command.make_context("serve", ["model"]).params
    assert options.keys() | {"folder"} == settings.keys()
    del options["checkpoint"]
    assert options == {name: settings[name] for name in options}
