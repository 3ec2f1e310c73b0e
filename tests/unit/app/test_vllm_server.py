"""The vLLM command without vLLM: its command line, its errors, and that nothing outlives who started it."""

import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from app import vllm_server
from app.vllm_server import (
    Golden,
    Plan,
    VllmServer,
    adapters_of,
    command,
    environment,
    free_port,
    python_of,
    trained_plan,
)
from retrieval.model_card import ModelKind
from retrieval.registry import Entry, Registry
from tasteline.cli import app as command_line
from tasteline.errors import EngineFailed, InvalidInput, MissingExtra, ModelDamaged, NotFound
from tests.integration.running_service import until
from tests.unit.retrieval.trained import card

ROOT = Path(__file__).parents[3]
SERVER = """#!{python}
import http.server, json, os, subprocess, sys, time
if os.environ.get("STUB") == "dies":
    sys.exit("no space left for keys and values")
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, said, kind="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def do_GET(self):
        self.answer(json.dumps({{"data": [{{"id": "tiny", "owned_by": "vllm"}}]}}).encode())
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            return self.answer(json.dumps({{"tokens": [len(body["prompt"])]}}).encode())
        if not body.get("stream"):
            entry = {{"token": "token_id:2", "logprob": -0.1}}
            said = {{"choices": [{{"index": 0, "logprobs": {{"content": [{{"top_logprobs": [entry]}}]}}}}]}}
            return self.answer(json.dumps(said).encode())
        chunk = {{"choices": [{{"index": 0, "delta": {{"content": "It is Tokyo."}}, "finish_reason": "stop"}}]}}
        self.answer(f"data: {{json.dumps(chunk)}}\\n\\ndata: [DONE]\\n\\n".encode(), "text/event-stream")
    def log_message(self, *_):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
print("worker", worker.pid, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that is a server, whatever it is told to run."""
    path = tmp_path / "bin" / "python"
    path.parent.mkdir()
    path.write_text(SERVER.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


@pytest.fixture
def plan(python: Path, tmp_path: Path) -> Plan:
    return Plan("tiny", python, tmp_path / "home", port=0)


def worker_of(plan: Plan) -> int:
    until(lambda: "worker" in plan.log.read_text())
    return int(plan.log.read_text().split()[1])


def gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_it_is_warm_checked_and_gone(plan: Plan) -> None:
    report = vllm_server.check(plan)
    assert report["golden_answer"] == "It is Tokyo."
    assert gone(worker_of(plan))


def test_a_wrong_golden_answer_is_a_failure(python: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="“Rome” does not occur"):
        vllm_server.check(Plan("tiny", python, tmp_path, port=0, golden=Golden("Capital of Italy?", "Rome")))
    assert vllm_server.check(Plan("tiny", python, tmp_path, 0, golden=Golden("?", "")))["golden_answer"] is None


def test_a_server_that_dies_shows_its_last_words(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "dies")
    with pytest.raises(EngineFailed, match=r"exit code 1(.|\n)*no space left for keys"):
        vllm_server.check(plan)


def test_a_server_that_dies_later_ends_the_command(plan: Plan) -> None:
    with VllmServer(plan) as server:
        server.warm_up()
        server.alive()
        os.kill(server.process.pid, signal.SIGTERM)
        with pytest.raises(EngineFailed, match="ended"):
            server.run()
    assert gone(worker_of(plan))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_who_started_it(plan: Plan, number: signal.Signals) -> None:
    code = (
        "import sys; from pathlib import Path; from app import vllm_server as v;"
        f"v.serve(v.Plan('tiny', Path({str(plan.python)!r}), Path({str(plan.home)!r}), 0), sys.stderr.write)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, cwd=ROOT, text=True)
    try:
        assert owner.stderr is not None
        said = owner.stderr.readline()
        assert "TASTELINE_LANGUAGE_MODEL=openai TASTELINE_LANGUAGE_MODEL_URL=http://127.0.0.1:" in said
        owner.send_signal(number)
        assert owner.wait(30) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        until(lambda: gone(worker_of(plan)), 20)
    finally:
        owner.kill()
        owner.wait()
        owner.stderr.close()


def test_a_server_that_does_not_go_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(99)"
    )
    keep = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from app import keeper;"
        f"keeper.GRACE_SECONDS = 0.2; sys.exit(keeper.keep([sys.executable, '-c', {stubborn!r}]))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", keep], **pipes) as keeper:  # type: ignore[call-overload]
        assert keeper.stdout.readline() == b"on\n"
        begun = time.monotonic()
        keeper.stdin.close()
        assert keeper.wait(20) == 128 + signal.SIGKILL
    assert time.monotonic() - begun < 10


def test_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "tiny-1b"
    folder.mkdir()
    lora = tmp_path / "lora"
    lora.mkdir()
    (lora / "adapter_config.json").write_text('{"r": 100}')
    plan = Plan(str(folder), Path("/env/bin/python"), tmp_path, adapters={"shop": lora}, api_key="secret")
    line = " ".join(command(plan, 8081, "cpu"))
    assert "--host 127.0.0.1 --port 8081" in line
    assert "--served-model-name tiny-1b" in line
    assert "--dtype bfloat16" in line
    assert f"--max-lora-rank 128 --max-loras 1 --lora-modules shop={lora}" in line
    assert "secret" not in line
    assert "--dtype auto" in " ".join(command(plan, 8081, "cuda"))
    assert "--enable-lora" not in command(Plan("hub/model", plan.python, tmp_path), 1, "cpu")


def test_a_rank_that_vllm_does_not_serve_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 513}')
    with pytest.raises(InvalidInput, match="up to a rank of 512"):
        command(Plan("base", Path("/env/bin/python"), tmp_path, adapters={"shop": tmp_path}), 1, "cpu")


def test_the_environment_of_the_server(tmp_path: Path) -> None:
    plan = Plan("hub/model", Path("/env/bin/python"), tmp_path, api_key="secret")
    made = environment(plan, "cpu", {"PATH": "/bin", "VIRTUAL_ENV": "/ours"})
    assert made["VLLM_API_KEY"] == "secret"
    assert made["PATH"].startswith("/env/bin:")
    assert made["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert made["VLLM_USE_AOT_COMPILE"] == "0"
    assert made["VLLM_CACHE_ROOT"].startswith(str(tmp_path))
    assert "VIRTUAL_ENV" not in made
    assert environment(plan, "cpu", {"VLLM_CPU_KVCACHE_SPACE": "9"})["VLLM_CPU_KVCACHE_SPACE"] == "9"
    assert "VLLM_CPU_KVCACHE_SPACE" not in environment(plan, "cuda", {})


def test_what_is_missing_or_taken_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match="Run: make vllm"):
        python_of(tmp_path / "no" / "python")
    registry = Registry(tmp_path)
    with pytest.raises(InvalidInput, match="NAME=FOLDER"):
        adapters_of(["=shop"], registry)
    with pytest.raises(NotFound, match="tasteline models list"):
        adapters_of(["shop"], registry)
    (tmp_path / "adapter_config.json").write_text("{}")
    assert adapters_of([f"shop={tmp_path}"], registry) == {"shop": tmp_path}
    with pytest.raises(InvalidInput, match="twice"):
        adapters_of([f"shop={tmp_path}", f"shop={tmp_path}"], registry)


def trained(registry: Registry, number: int, kind: ModelKind) -> Entry:
    def write(folder: Path) -> None:
        for name, file in (("adapter", "adapter_config.json"), ("merged", "config.json")):
            (folder / name).mkdir()
            (folder / name / file).write_text("{}")

    return registry.register(card(number, kind=kind), write)


def test_trained_adapters_are_served_side_by_side_under_their_ids(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    first, second = (trained(registry, number, "llm") for number in range(2))
    adapters = adapters_of([first.id, second.id[:-2]], registry)
    assert adapters == {entry.id: entry.folder / "adapter" for entry in (first, second)}
    line = " ".join(command(Plan("base", Path("/env/bin/python"), tmp_path, adapters=adapters), 1, "cpu"))
    assert "--max-loras 2 --lora-modules" in line
    assert all(f"{entry.id}={entry.folder / 'adapter'}" in line for entry in (first, second))
    with pytest.raises(InvalidInput, match="of the kind encoder"):
        adapters_of([trained(registry, 2, "encoder").id], registry)
    (first.folder / "adapter" / "adapter_config.json").write_text("[]")
    with pytest.raises(ModelDamaged):
        adapters_of([first.id], registry)


def test_merged_weights_are_served_under_their_id(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    plan = Plan("base", Path("/env/bin/python"), tmp_path)
    entry = trained(registry, 0, "llm")
    line = " ".join(command(trained_plan(plan, entry.id, registry), 1, "cpu"))
    assert f"--model {entry.folder / 'merged'} --served-model-name {entry.id} " in line
    assert "lora" not in line
    with pytest.raises(InvalidInput, match="one or the other"):
        trained_plan(replace(plan, adapters={"a": tmp_path}), entry.id, registry)


def test_a_trained_reranker_is_served_for_scoring(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    entry = trained(registry, 0, "reranker")
    plan = trained_plan(Plan("base", Path("/env/bin/python"), tmp_path), entry.id, registry)
    line = " ".join(command(plan, 1, "cpu"))
    assert f"--served-model-name {entry.id} --host 127.0.0.1 " in line
    assert "--runner pooling" in line
    assert plan.golden.expected == ""
    assert "--max-model-len" not in line


def test_adapters_cannot_be_loaded_from_outside(tmp_path: Path) -> None:
    inherited = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_LORA_RESOLVER_CACHE_DIR": "/tmp", "PATH": "/bin"}
    plan = Plan("hub/model", Path("/env/bin/python"), tmp_path, adapters={"shop": tmp_path})
    for device in ("cpu", "cuda"):
        assert not set(environment(plan, device, inherited)) & {*inherited} - {"PATH"}  # type: ignore[arg-type]
    assert "RUNTIME_LORA" not in (ROOT / "compose.yaml").read_text() + (ROOT / "Dockerfile").read_text()


def test_a_taken_port_is_said() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(InvalidInput, match="choose another with --port"):
            free_port(listener.getsockname()[1])
    assert free_port(0) > 0


def test_the_verb_says_what_to_run_without_an_environment(tmp_path: Path) -> None:
    done = CliRunner().invoke(command_line, ["vllm", "--check", "--python", str(tmp_path / "none")])
    assert isinstance(done.exception, MissingExtra)


def compose() -> dict[str, dict[str, dict[str, object]]]:
    read: dict[str, dict[str, dict[str, object]]] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return read


def test_compose_has_a_service_and_its_engines() -> None:
    services = compose()["services"]
    assert set(services) == {"tasteline", "vllm-cpu", "vllm-gpu"}
    for name, service in services.items():
        assert "healthcheck" in service or name == "tasteline"  # its image has one
        image = str(service.get("image", "built:here"))
        assert ":" in image
        assert not image.endswith(":latest")
        for port in service.get("ports", []):  # type: ignore[attr-defined]
            assert str(port).startswith("127.0.0.1:")
    for name in ("vllm-cpu", "vllm-gpu"):
        assert services["tasteline"]["depends_on"][name] == {"condition": "service_healthy", "required": False}  # type: ignore[index]
        assert services[name]["profiles"] == [name.removeprefix("vllm-")]


def test_compose_serves_what_the_lock_pins() -> None:
    pinned = next(line for line in (ROOT / "vllm.lock").read_text().splitlines() if line.startswith("vllm-cpu=="))
    version = pinned.split("==")[1]
    for name in ("vllm-cpu", "vllm-gpu"):
        assert f"v{version}" in str(compose()["services"][name]["image"])


def test_compose_holds_no_secret() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for line in text.splitlines():
        name, _, value = line.partition("#")[0].strip().partition(":")
        if "KEY" in name or "TOKEN" in name:
            assert value.strip().startswith("${"), f"{name} has a value of its own"
