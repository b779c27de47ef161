"""A stub of the few calls of Glue, S3 and SNS that the DAGs make, over HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

LATER = "2100-01-01T00:00:00.000Z"
"""When objects were written: after any run began."""

_PUBLISHED = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    b"<MessageId>1</MessageId></PublishResult></PublishResponse>"
)


class StubAws:
    """Jobs that end in the states they are given, and one flat map of objects."""

    def __init__(self, states: dict[str, str]) -> None:
        self.states = states
        self.errors: dict[str, str] = {}
        self.broken: set[str] = set()
        self.started: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self.puts: list[str] = []
        self.removed: list[str] = []
        self.told: list[dict[str, str]] = []
        self.read: list[str] = []
        self.written: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def env(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def __enter__(self) -> StubAws:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def glue(self, call: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(call)
        if call == "GetJob":
            return {"Job": {"Name": request["JobName"]}}
        if call == "StartJobRun":
            self.started.append(request)
            return {"JobRunId": f"jr_{len(self.started)}"}
        if call == "GetJobRuns":
            return {"JobRuns": []}
        assert call == "GetJobRun", f"the DAGs may not call {call}"
        state = self.states[request["JobName"]]
        run = {"Id": request["RunId"], "JobName": request["JobName"], "JobRunState": state}
        error = self.errors.get(request["JobName"], "error: no")
        return {"JobRun": run | ({"ErrorMessage": error} if state == "FAILED" else {})}


def _handler(stub: StubAws) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers.get("X-Amz-Target", "")
            if target.startswith("AWSGlue."):
                answer = stub.glue(target.partition(".")[2], json.loads(body))
                self._say(json.dumps(answer).encode(), "application/x-amz-json-1.1")
            else:
                sent = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                assert sent["Action"] == "Publish", f"the DAGs may not call {sent}"
                stub.told.append(sent)
                self._say(_PUBLISHED, "text/xml")

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                size, _, rest = body.partition(b"\r\n")
                body = rest[: int(size.partition(b";")[0], 16)]
            stub.objects[self._key()] = body
            stub.metadata[self._key()] = {
                name: value
                for name, value in self.headers.items()
                if name.lower().startswith("x-amz-meta-")
            }
            stub.puts.append(self._key())
            self.send_response(200)
            self.send_header("ETag", '"stub"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_DELETE(self) -> None:
            stub.objects.pop(self._key(), None)
            stub.removed.append(self._key())
            self.send_response(204)
            self.end_headers()

        def do_HEAD(self) -> None:
            self.send_response(200 if self._key() in stub.objects else 404)
            self.send_header("Content-Length", str(len(stub.objects.get(self._key(), b""))))
            self.send_header("ETag", '"stub"')
            for name, value in stub.metadata.get(self._key(), {}).items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            if "list-type" not in query:
                stub.read.append(self._key())
                if self._key() in stub.broken or self._key() not in stub.objects:
                    self._refuse(403 if self._key() in stub.broken else 404)
                    return
                self._say(stub.objects[self._key()], "application/json")
                return
            prefix = query.get("prefix", [""])[0]
            keys = sorted(k for k in stub.objects if k.startswith(prefix))
            items = "".join(
                f"<Contents><Key>{escape(k)}</Key>"
                f"<LastModified>{stub.written.get(k, LATER)}</LastModified></Contents>"
                for k in keys
            )
            text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
            self._say(text.encode(), "application/xml")

        def _key(self) -> str:
            return unquote(urlsplit(self.path).path).split("/", 2)[2]

        def _refuse(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _say(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    return Handler
