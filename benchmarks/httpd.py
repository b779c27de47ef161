"""A small HTTP/1.1 server: a thread a connection, bodies of a file sent by the kernel.

The stand-ins for Kinesis and S3 share the machine with what is measured, so they do as little as
they can: no framework, no copy of a page.
"""

from __future__ import annotations

import io
import os
import socket
import socketserver
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec


class Request(msgspec.Struct, frozen=True):
    """A request; header names are in lower case, the path is unquoted."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class FileSlice(msgspec.Struct, frozen=True):
    """Bytes of an open file, sent without passing through this process."""

    file: int
    offset: int
    count: int


Chunk = bytes | memoryview | FileSlice


class Response(msgspec.Struct, frozen=True):
    """An answer; ``length`` is said where it is not that of the chunks (HEAD)."""

    status: int = 200
    chunks: tuple[Chunk, ...] = ()
    headers: Mapping[str, str] = {}
    length: int | None = None


App = Callable[[Request], Response]


class Server(socketserver.ThreadingTCPServer):
    """Serves an app on a port of the loopback interface; port 0 takes a free one."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: App, port: int = 0) -> None:
        self.app = app
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.StreamRequestHandler):
    rbufsize = 1 << 16
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        try:
            while (request := self._read()) is not None:
                self._send(request, self.server.app(request))
        except (ConnectionError, TimeoutError):
            return

    def _read(self) -> Request | None:
        line = self.rfile.readline(65536)
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(65536)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts = urlsplit(target)
        query = {
            name: values[0]
            for name, values in parse_qs(parts.query, keep_blank_values=True).items()
        }
        return Request(method, unquote(parts.path), query, headers, self._body(headers))

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = _unchunked(self.rfile)
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        signed = "aws-chunked" in headers.get("content-encoding", "")
        return _unchunked(io.BytesIO(body)) if signed else body

    def _send(self, request: Request, response: Response) -> None:
        length = response.length
        if length is None:
            length = sum(_length(chunk) for chunk in response.chunks)
        lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if response.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {length}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        chunks = () if request.method == "HEAD" else response.chunks
        self._write(head, last=not chunks)
        for number, chunk in enumerate(chunks, start=1):
            self._write(chunk, last=number == len(chunks))

    def _write(self, chunk: Chunk, *, last: bool) -> None:
        if not isinstance(chunk, FileSlice):
            connection: socket.socket = self.connection
            view = memoryview(chunk)
            while view:
                view = view[connection.send(view, 0 if last else socket.MSG_MORE) :]
            return
        offset, left = chunk.offset, chunk.count
        while left:
            sent = os.sendfile(self.connection.fileno(), chunk.file, offset, left)
            if not sent:
                raise ConnectionError("the file ended before its slice")
            offset, left = offset + sent, left - sent


def _unchunked(file: io.BufferedIOBase) -> bytes:
    """A chunked body, HTTP's or AWS's: the latter has a signature behind each length."""
    body = bytearray()
    while size := int(file.readline(4096).split(b";")[0], 16):
        body += file.read(size)
        file.readline(16)
    while file.readline(4096) not in (b"\r\n", b""):
        pass
    return bytes(body)


def _length(chunk: Chunk) -> int:
    return chunk.count if isinstance(chunk, FileSlice) else len(chunk)


def json_response(value: Any, status: int = 200) -> Response:
    """A value as AWS's JSON protocol has it."""
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return Response(status, (msgspec.json.encode(value),), headers)
