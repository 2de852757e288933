"""The dashboard shows a search and changes nothing, whoever asks."""

import json
import sys

import pytest
from optuna_dashboard import wsgi
from refusals import check_told

from search.__main__ import main
from search.commands.support.read_only import read_only
from search.contract.metrics import Metric
from search.storage.journal import JournalFile
from search.storage.study import Study

PORT = 8080


def test_without_its_package_it_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert main(["dashboard", "smoke"]) == 2
    check_told(capsys.readouterr().err, "dashboard-not-installed", "'knobwise[dashboard]'")


@pytest.fixture
def journal(tmp_path):
    storage = JournalFile(tmp_path / "journal.log")
    metric = Metric(name="accuracy", direction="maximize")
    Study.for_writing(storage, name="s", metric=metric, knobs=[]).close()
    return JournalFile(tmp_path / "journal.log")


def _ask(journal, method, path, *, host=f"127.0.0.1:{PORT}"):
    """Status and body of a request."""
    environment = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_HOST": host,
        "SERVER_NAME": "x",
        "SERVER_PORT": str(PORT),
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.errors": None,
        "QUERY_STRING": "",
    }
    status = []
    application = read_only(wsgi(journal.read()), port=PORT)
    body = b"".join(application(environment, lambda line, headers, *_: status.append(line)))
    return status[0], body


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}"])
def test_a_search_is_shown_on_this_machine(journal, host):
    status, body = _ask(journal, "GET", "/api/studies", host=host)
    assert status.startswith("200")
    assert [study["study_name"] for study in json.loads(body)["study_summaries"]] == ["s"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/0"),
        ("POST", "/api/studies"),
        ("PUT", "/api/studies/0/note"),
        ("POST", "/api/trials/0/tell"),
    ],
)
def test_writes_are_refused_in_words_and_change_nothing(journal, method, path, tmp_path):
    before = (tmp_path / "journal.log").read_bytes()
    status, body = _ask(journal, method, path)
    assert status == "403 Forbidden"
    assert b"read-only" in body
    assert (tmp_path / "journal.log").read_bytes() == before


@pytest.mark.parametrize("host", ["", "evil.example", f"evil.example:{PORT}", "127.0.0.1:1"])
def test_a_request_by_another_name_is_refused(journal, host):
    status, body = _ask(journal, "GET", "/api/studies", host=host)
    assert status == "403 Forbidden"
    assert b"127.0.0.1:8080" in body
