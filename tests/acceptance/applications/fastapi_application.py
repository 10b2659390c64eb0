"""A FastAPI application served by uvicorn; prints its port."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket
from starlette.responses import StreamingResponse

from pipeline import SecurityEvent, SecurityLogger
from pipeline.logger import SecurityASGIMiddleware, bind_user

security = SecurityLogger(service="shop")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """The last thing that happens: uvicorn ends by the signal that ended it, and no exit function runs."""
    yield
    security.log(SecurityEvent.LOGOUT, reason="the server ends")


app = FastAPI(lifespan=lifespan)
app.add_middleware(
    SecurityASGIMiddleware, security=security, trusted_proxies=["127.0.0.1"], body=True, exclude=["/health"]
)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/login")
async def login(request: Request) -> dict[str, str]:
    form = await request.json()
    bind_user(form["user"])
    if form["password"] != "right":
        security.log(SecurityEvent.LOGIN_FAILURE, reason="invalid_password")
        raise HTTPException(401)
    security.log(SecurityEvent.LOGIN_SUCCESS)
    return {"user": form["user"]}


@app.get("/in-a-thread/{user}")
def in_a_thread(user: str, later: BackgroundTasks) -> dict[str, str]:
    bind_user(user)
    time.sleep(0.01)
    security.log(SecurityEvent.SENSITIVE_DATA_ACCESS)
    later.add_task(security.log, SecurityEvent.BULK_DATA_EXPORT)
    return {"user": user}


@app.get("/broken")
def broken() -> None:
    raise ValueError("out of order")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"part "
            await asyncio.sleep(0)
        security.log(SecurityEvent.BULK_DATA_EXPORT, parts=3)

    return StreamingResponse(parts())


@app.get("/endless")
async def endless() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0.001)

    return StreamingResponse(parts())


@app.websocket("/chat")
async def chat(connection: WebSocket) -> None:
    await connection.accept()
    word = await connection.receive_text()
    security.log(SecurityEvent.ACCESS_DENIED)
    await connection.send_text(word.upper())
    await connection.close()


@app.get("/{path:path}")
def anything(path: str) -> dict[str, int]:
    return {"length": len(path)}


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    # The middleware itself looks behind the proxy here, not uvicorn.
    config = uvicorn.Config(app, proxy_headers=False, log_level="critical")
    uvicorn.Server(config).run(sockets=[listener])
