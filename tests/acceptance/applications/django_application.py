"""A Django application served by wsgiref; prints its port."""

import json
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path

from pipeline import SecurityEvent, SecurityLogger
from pipeline.logger import SecurityWSGIMiddleware, bind_user

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for the test",
    LOGGING_CONFIG=None,
    DEBUG_PROPAGATE_EXCEPTIONS=True,
)
django.setup()
security = SecurityLogger(service="shop")


def login(request: HttpRequest) -> HttpResponse:
    form = json.loads(request.body)
    bind_user(form["user"])
    if form["password"] != "right":
        security.log(SecurityEvent.LOGIN_FAILURE, reason="invalid_password")
        return JsonResponse({}, status=401)
    return JsonResponse({"user": form["user"]})


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("out of order")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Any:
        for _ in range(3):
            yield b"part "
        security.log(SecurityEvent.BULK_DATA_EXPORT, parts=3)

    return StreamingHttpResponse(parts())


def anything(request: HttpRequest, rest: str) -> HttpResponse:
    return JsonResponse({"length": len(rest)})


urlpatterns = [
    path("login", login),
    path("broken", broken),
    path("stream", stream),
    re_path(r"^(.*)$", anything),
]


class Quiet(WSGIRequestHandler):
    """Prints nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        return


if __name__ == "__main__":
    application = SecurityWSGIMiddleware(
        get_wsgi_application(), security=security, trusted_proxies=["127.0.0.1"], body=True
    )
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
