"""Kernels with hosts: what they reach through the proxy, and that nothing else is reached.

The attacks by such kernels are those of `attacks.py`, run by test_attacks.py as root and as an
ordinary user.
"""

import asyncio
import http.server
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from benchside_kernels import proxy
from benchside_kernels.cell import CellResult
from benchside_kernels.errors import KernelStartError
from benchside_kernels.forked import ForkedKernels
from benchside_kernels.hosts import Host, split
from benchside_kernels.request import KernelRequest
from benchside_kernels.sandbox import sandbox_problem
from benchside_kernels.session import KernelSession
from benchside_kernels.stock import StockKernels


class Ward(http.server.BaseHTTPRequestHandler):
    """Echoes what it is asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/moved":
            self._answer(302, b"", Location="http://elsewhere.example/")
        elif self.path == "/large":
            self._answer(200, b"x" * 3_000_000)
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        elif self.path == "/nonsense":
            self.wfile.write(b"220 this is no HTTP\r\n\r\n")
        elif self.path == "/silence":
            self.close_connection = True
        else:
            self._answer(200, f"{self.path} {sorted(map(str.lower, self.headers.keys()))}".encode())

    do_HEAD = do_GET

    def do_POST(self) -> None:
        size = self.headers["Content-Length"]
        if size is None:  # chunked, in one chunk
            size = int(self.rfile.readline(), 16)
        self._answer(201, self.rfile.read(int(size)) + self.headers["Host"].encode(), Keep="yes")
        self.close_connection = True

    do_PUT = do_PATCH = do_POST

    def do_DELETE(self) -> None:
        self._answer(204, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "X-Secret-Hop")
        self.send_header("X-Secret-Hop", "1")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[object, object]:
        return super().get_request()[0], ("local", 0)


@pytest.fixture(scope="module")
def ward() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ward) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def maker() -> AsyncIterator[ForkedKernels]:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    async with ForkedKernels(stock=0) as maker:
        yield maker


def said(result: CellResult) -> str:
    assert result.status == "ok", result
    return "".join(str(output.get("text", "")) for output in result.outputs).strip()


async def test_libraries_reach_a_listed_host_unmodified(maker: ForkedKernels, ward: str) -> None:
    async with KernelSession(maker=maker, hosts=[Host("fhir:80", ward)]) as session:
        await session.run("import urllib.request as u, httpx, requests\nc = httpx.Client()")
        assert said(await session.run("print(u.urlopen('http://fhir/a?b=1').read())")).startswith(
            "b\"/a?b=1 ['accept-encoding', 'connection', 'host', 'user-agent']"
        )
        for cell, expected in {
            "print(requests.post('http://fhir:80/', data='aspirin').text)": "aspirinfhir",
            "print(c.post('http://fhir/', content=iter([b'chunk'])).text)": "chunkfhir",
            "print(c.put('http://fhir/', content=b'x' * 2_000_000).text[-6:])": "xxfhir",
            "print(len(c.get('http://fhir/large').content))": "3000000",
            "print(c.get('http://fhir/chunked').text)": "abcdefg",
            "print(c.head('http://fhir/large').headers['content-length'])": "3000000",
            "print(c.delete('http://fhir/x').status_code)": "204",
            "print(c.get('http://fhir/moved').headers['location'])": "http://elsewhere.example/",
            "sent = {'Host': 'other', 'Expect': '100-continue'}\n"
            "r = requests.post('http://fhir/', headers=sent, data='a')\n"
            "print(r.text, sorted(r.headers))": (
                "afhir ['connection', 'content-length', 'date', 'keep', 'server']"
            ),
        }.items():
            assert said(await session.run(cell)) == expected, cell
        moved = await session.run("c.get('http://fhir/moved', follow_redirects=True).text")
        assert "elsewhere.example:80 is not on this" in str(moved)


async def test_a_tunnel_passes_bytes_both_ways(maker: ForkedKernels) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        KernelSession(maker=maker, hosts=[Host("shout:7", f"127.0.0.1:{port}")]) as s,
    ):
        cell = """
import socket
s = socket.create_connection(("127.0.0.1", 3128), 5)
s.sendall(b"CONNECT shout:7 HTTP/1.1\\r\\nHost: shout:7\\r\\n\\r\\nearly ")
print(s.recv(100).splitlines()[0])
s.sendall(b"late" * 100_000)
s.shutdown(socket.SHUT_WR)
print(len(data := b"".join(iter(lambda: s.recv(65536), b""))), data[:10])
"""
        answer = said(await s.run(cell))
        assert answer == "b'HTTP/1.1 200 Connected'\n400006 b'EARLY LATE'"


@pytest.fixture
def tls_ward(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An HTTPS server by the name of fhir; its address, and its certificate, its own authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=fhir", "-addext", "subjectAltName=DNS:fhir",
         "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ward) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", certificate.read_text()
        server.shutdown()
        thread.join()


async def test_tls_is_spoken_through_the_proxy_from_end_to_end(
    maker: ForkedKernels, tls_ward: tuple[str, str]
) -> None:
    upstream, certificate = tls_ward
    hosts = [Host("fhir:443", upstream), Host("mask:443", upstream)]
    async with KernelSession(maker=maker, hosts=hosts) as session:
        await session.run(
            "import ssl, urllib.request as u, httpx, requests\n"
            f"trusted = ssl.create_default_context(cadata={certificate!r})\n"
            f"with open('own.pem', 'w') as file: file.write({certificate!r})"
        )
        for cell, expected in {
            "print(u.urlopen('https://fhir/a', context=trusted).read()[:4])": "b'/a ['",
            "print(httpx.Client(verify=trusted).put('https://fhir/', content='ph').text)": "phfhir",
            "print(requests.post('https://fhir/', 'x' * 500_000, verify='own.pem').text[-5:])": (
                "xfhir"
            ),
        }.items():
            assert said(await session.run(cell)) == expected, cell
        for cell, reason in {
            "u.urlopen('https://fhir/')": "self-signed certificate",
            "u.urlopen('https://mask/', context=trusted)": "Hostname mismatch",
        }.items():
            refused = await session.run(cell)
            assert refused.status == "error"
            assert reason in str(refused.outputs), cell


async def test_what_fails_is_told_apart(maker: ForkedKernels, ward: str, tmp_path: Path) -> None:
    with UnixServer(str(tmp_path / "s"), Ward) as local:
        thread = threading.Thread(target=local.serve_forever)
        thread.start()
        hosts = [
            Host("fhir:80", ward), Host("local:80", f"unix:{tmp_path / 's'}"),
            Host("down:80", "127.0.0.1:1"), Host("gone:80", f"unix:{tmp_path / 'none'}"),
            Host("nowhere.invalid:80"),
        ]  # fmt: skip
        async with KernelSession(maker=maker, hosts=hosts) as session:
            await session.run("import httpx\nc = httpx.Client()")
            for url, status, text in [
                ("http://local/x", 200, "/x "),
                ("http://down/", 502, "down:80 cannot be reached: Connection refused"),
                ("http://gone/", 502, "gone:80 cannot be reached: No such file or directory"),
                ("http://nowhere.invalid/", 502, "nowhere.invalid:80 cannot be reached: its name"),
                ("http://fhir/nonsense", 502, "fhir:80 did not answer in HTTP"),
                ("http://fhir/silence", 502, "fhir:80 hung up"),
                ("http://fhir:81/", 403, "fhir:81 is not on this kernel's list of hosts: fhir:80,"),
            ]:
                cell = f"r = c.get('{url}'); print(r.status_code, r.text)"
                answer = said(await session.run(cell))
                assert answer.startswith(f"{status} ")
                assert text in answer
            tunnel = await session.run("import requests; requests.get('https://evil.example/')")
            assert "403 evil.example:443 is not on this" in str(tunnel)
        local.shutdown()
        thread.join()


async def test_floods_end_with_their_own_kernel(
    maker: ForkedKernels, ward: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "HEAD_TIMEOUT_S", 0.5)
    monkeypatch.setattr(proxy, "MAX_BODY_BYTES", 1_000_000)
    hosts = [Host("fhir:80", ward)]
    async with (
        KernelSession(maker=maker, hosts=hosts) as flooding,
        KernelSession(maker=maker, hosts=hosts) as other,
    ):
        get = "import httpx; print(httpx.get('http://fhir/').status_code)"
        held = await flooding.run(
            "import socket\nkept = [socket.socket() for _ in range(60)]\n"
            "for s in kept: s.connect(('127.0.0.1', 3128))"
        )
        assert held.status == "ok"
        assert said(await other.run(get)) == "200"
        assert said(await flooding.run(get)) == "200"  # once the others' time is over
        told = said(
            await other.run(
                "r = httpx.post('http://fhir/', content=b'x' * 2_000_000); "
                "print(r.status_code, r.text)"
            )
        )
        assert told == "413 benchside: a body is larger than 0 MiB"


async def test_all_traffic_of_a_kernel_is_limited(
    maker: ForkedKernels, ward: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "MAX_TOTAL_BYTES", 2_000_000)
    async with KernelSession(maker=maker, hosts=[Host("fhir:80", ward)]) as session:
        large = await session.run("import httpx; httpx.get('http://fhir/large')")
        assert "RemoteProtocolError" in str(large)  # cut off
        answer = said(await session.run("print(httpx.get('http://fhir/').text)"))
        assert answer == "benchside: this kernel has used up its 1 MiB of traffic"


async def test_only_kernels_with_hosts_have_a_network_each_its_own(
    maker: ForkedKernels, ward: str
) -> None:
    look = "import os, socket; print(os.readlink('/proc/self/ns/net'))"
    hosts = [Host("fhir:80", ward)]
    async with (
        KernelSession(maker=maker) as before,
        KernelSession(maker=maker, hosts=hosts) as one,
        KernelSession(maker=maker, hosts=hosts) as two,
        KernelSession(maker=maker) as after,
    ):
        seen = [said(await session.run(look)) for session in (before, one, two, after)]
        assert len(set(seen)) == 3
        assert seen[0] == seen[3]
        for plain in (before, after):
            refused = await plain.run("socket.socket()")
            assert "Address family not supported" in str(refused)
        # listen() takes a port where bind() is refused
        port = said(await one.run("s = socket.socket(); s.listen(); print(s.getsockname()[1])"))
        for session in (one, two):
            reached = await session.run(f"socket.create_connection(('127.0.0.1', {port}), 2)")
            assert "Error" in str(reached.outputs[0]["ename"])


async def test_copies_share_the_way_out_until_the_last_has_ended(
    maker: ForkedKernels, ward: str
) -> None:
    get = "import urllib.request as u; print(u.urlopen('http://fhir/').status)"
    async with KernelSession(maker=maker):
        before = len(list(Path("/proc/self/fd").iterdir()))
    async with (
        KernelSession(maker=maker, hosts=[Host("fhir:80", ward)]) as session,
        await session.fork() as copy,
    ):
        assert said(await session.run(get)) == said(await copy.run(get)) == "200"
        await session.close()
        assert said(await copy.run(get)) == "200"
        refused = await copy.run("import socket; socket.socket(socket.AF_INET6)")
        assert "Address family not supported" in str(refused)
        await copy.restart()
        assert said(await copy.run(get)) == "200"
    async with KernelSession(maker=maker):
        assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_stock_kernels_refuse_hosts() -> None:
    with pytest.raises(KernelStartError, match=r"may reach \(fhir:80\)"):
        async with KernelSession(maker=StockKernels(), hosts=[Host("fhir:80")]):
            pass


def test_a_request_with_hosts_travels() -> None:
    hosts = (Host("fhir:80", "unix:/run/s"), Host("[::1]:8080"))
    request = KernelRequest(None, (), (), 0, 512, 100, "", hosts=hosts)
    assert KernelRequest.from_message(request.as_message()) == request
    assert split("[::1]:8080") == ("::1", 8080)
    for wrong in ("unix:relative", "unix", "http://a:1"):
        with pytest.raises(ValueError, match=r"needs an absolute path|is no host"):
            Host("fhir:80", wrong)
