"""A Flask application served by werkzeug's threaded server; prints its port."""

import logging
import time
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, abort, request, stream_with_context
from werkzeug.serving import WSGIRequestHandler, make_server

from pipeline import SecurityEvent, SecurityLogger
from pipeline.logger import SecurityHandler, SecurityWSGIMiddleware, bind_user

security = SecurityLogger(service="shop")
app = Flask(__name__)
audit = logging.getLogger("shop.audit")
audit.addHandler(SecurityHandler(security))


@app.post("/login")
def login() -> dict[str, str]:
    form: dict[str, Any] = request.get_json()
    bind_user(form["user"])
    if form["password"] != "right":
        audit.warning("login failed", extra={"event": SecurityEvent.LOGIN_FAILURE, "reason": "invalid_password"})
        abort(401)
    return {"user": form["user"]}


@app.post("/form")
def form() -> dict[str, int]:
    return {"fields": len(request.form)}


@app.get("/in-a-thread/<user>")
def in_a_thread(user: str) -> dict[str, str]:
    bind_user(user)
    time.sleep(0.01)
    security.log(SecurityEvent.SENSITIVE_DATA_ACCESS)
    return {"user": user}


@app.get("/broken")
def broken() -> dict[str, str]:
    raise ValueError("out of order")


@app.get("/stream")
def stream() -> Response:
    def parts() -> Iterator[bytes]:
        for _ in range(3):
            yield b"part "
        security.log(SecurityEvent.BULK_DATA_EXPORT, parts=3)

    return Response(stream_with_context(parts()))


@app.get("/<path:path>")
def anything(path: str) -> dict[str, int]:
    return {"length": len(path)}


class Quiet(WSGIRequestHandler):
    """Prints nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        return


if __name__ == "__main__":
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.wsgi_app = SecurityWSGIMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, security=security, trusted_proxies=["127.0.0.1"], body=True
    )
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()
