"""docker-compose.yml: its tidemark service, started as it says, works; the rest is as safe as promised."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.cluster.conftest import StartWorker
from tests.process import ROOT, Server, free_port
from tests.servers import elasticsearch_address, redis_address

_VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


def filled(value: Any, env: dict[str, str]) -> Any:
    """Interpolate as compose does."""
    if isinstance(value, dict):
        return {name: filled(item, env) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, env) for item in value]
    if not isinstance(value, str):
        return value

    def replace(found: re.Match[str]) -> str:
        name, operator, rest = found.groups()
        if operator == ":-":
            return env.get(name) or rest
        assert env.get(name), rest or name
        return env[name]

    return _VARIABLE.sub(replace, value)


def test_make_up_writes_passwords_once_and_for_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "up.sh"
    script.write_text((ROOT / "scripts" / "up.sh").read_text())
    env_file = tmp_path / ".env"
    for _ in range(2):
        subprocess.run(["sh", str(script), "--env-only"], check=True, capture_output=True)
        written = env_file.read_text()
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    env = dict(line.split("=", 1) for line in written.splitlines() if not line.startswith("#"))
    assert set(env) == {"ELASTIC_PASSWORD", "REDIS_PASSWORD", "TIDEMARK_ACCESS_KEY", "TIDEMARK_SECRET_KEY"}
    assert all(len(value) >= 20 for value in env.values()) and len(set(env.values())) == 4
    filled(compose(), env)


def test_only_the_api_is_published_and_only_on_loopback() -> None:
    services = filled(compose(), dict.fromkeys(("ELASTIC_PASSWORD", "REDIS_PASSWORD", "TIDEMARK_ACCESS_KEY", "TIDEMARK_SECRET_KEY"), "x"))[
        "services"
    ]
    assert services["tidemark"]["ports"] == ["127.0.0.1:8008:8008"]
    assert "ports" not in services["elasticsearch"] and "ports" not in services["redis"]
    for service in services.values():
        assert service["restart"] == "unless-stopped" and service["mem_limit"]
    assert all(service["healthcheck"] for name, service in services.items() if name != "tidemark")
    assert services["tidemark"]["depends_on"] == {name: {"condition": "service_healthy"} for name in ("elasticsearch", "redis")}
    assert services["elasticsearch"]["environment"]["xpack.security.enabled"] == "true"
    assert "8.19" in services["elasticsearch"]["image"]


def test_no_service_has_rights_that_it_does_not_need() -> None:
    services = compose()["services"]
    assert all(service["cap_drop"] == ["ALL"] for service in services.values())
    assert all(service["security_opt"] == ["no-new-privileges:true"] for service in services.values())
    assert services["tidemark"]["read_only"] and services["redis"]["read_only"]


def test_the_tidemark_service_works_as_compose_starts_it(start_worker: StartWorker, prefix: str) -> None:
    key = {"TIDEMARK_ACCESS_KEY": "A" * 20, "TIDEMARK_SECRET_KEY": "S" * 40}
    service = filled(compose(), {"ELASTIC_PASSWORD": "secret", "REDIS_PASSWORD": "secret", **key})["services"]["tidemark"]
    env = {name: str(value) for name, value in service["environment"].items()}
    # The test servers stand in for the two hosts (without passwords); port and data folder are this test's own.
    assert env["TIDEMARK_STORE"] == "http://elastic:secret@elasticsearch:9200"
    assert env["TIDEMARK_STATE"] == "redis://:secret@redis:6379/0"
    store, state = f"{elasticsearch_address()}?prefix={prefix}", f"{redis_address()}?prefix={prefix}"
    for name in ("TIDEMARK_STORE", "TIDEMARK_STATE", "TIDEMARK_PORT", "TIDEMARK_DATA"):
        del env[name]
    assert service["command"][0] == "serve"
    server = start_worker(store, state, *service["command"][1:], **env)
    assert server.client().send("POST", "/v2.23/events.get_task_log", b"{}").status == 401
    client = server.client("A" * 20, "S" * 40)
    event = {"type": "training_stats_scalar", "task": "smoke", "metric": "m", "variant": "v", "iter": 1, "value": 2.0, "timestamp": 1}
    assert client.add_batch([event])["added"] == 1
    assert client.call("events.scalar_metrics_iter_histogram", task="smoke")["m"]["v"]["y"] == [2.0]
    assert client.send("GET", "/readyz").status == 200


def test_the_health_check_of_the_image_tells_ready_from_not(shared_server: Server) -> None:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", text, re.MULTILINE)
    assert found is not None
    command = json.loads(found[1])
    for port, code in ((shared_server.port, 0), (free_port(), 1)):
        done = subprocess.run(
            command, env={"TIDEMARK_PORT": str(port), "PATH": "/bin:/usr/bin"}, capture_output=True, timeout=30, check=False
        )
        assert done.returncode == code, done.stderr


def test_any_setting_may_stand_in_the_env_file_and_limits_are_optional() -> None:
    services = compose()["services"]
    assert services["tidemark"]["env_file"] == [".env"]
    assert "ulimits" not in services["elasticsearch"]
    optional = yaml.safe_load((ROOT / "deploy" / "compose" / "memory-lock.yml").read_text())
    assert optional["services"]["elasticsearch"]["ulimits"]["memlock"] == {"soft": -1, "hard": -1}


def test_the_image_runs_the_same_command_as_the_console_script() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["tidemark"]' in text and 'CMD ["serve"]' in text
    assert re.search(r"^USER (?!root)\w+$", text, re.MULTILINE)
    assert "COPY requirements-image.txt" in text
    pinned, image = ((ROOT / name).read_text() for name in ("requirements.txt", "requirements-image.txt"))
    of_run = set(re.findall(r"^(\S+==\S+)", pinned, re.MULTILINE))
    assert of_run <= set(re.findall(r"^(\S+==\S+)", image, re.MULTILINE)) and "opentelemetry-exporter-otlp-proto-http==" in image
