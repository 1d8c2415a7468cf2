"""Both sides of the contract in interop_test.go, with Python's websockets.

    python3 peer.py serve '{...}'   prints its address, then how each connection ended
    python3 peer.py dial '{...}'    prints the outcome of each case
"""

import asyncio
import json
import ssl
import sys
import traceback

import websockets

config = json.loads(sys.argv[2])


def say(value):
    print(json.dumps(value), flush=True)


def secure(side):
    """The TLS of one side, None without."""
    if "certFile" not in config:
        return None
    if side == "serve":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config["certFile"], config["keyFile"])
        return context
    return ssl.create_default_context(cafile=config["certFile"])


def thirds(data):
    n = (len(data) + 2) // 3
    return [data[:n], data[n : 2 * n], data[2 * n :]]


def report(ws, path):
    return {"path": path, "code": ws.close_code, "reason": ws.close_reason}


async def answer(ws):
    path = ws.path
    try:
        if path == "/bye":
            await ws.close(config["byeCode"], config["byeReason"])
        elif path == "/drop":
            ws.transport.abort()
        async for message in ws:
            if path == "/fragments":
                await ws.send(thirds(message))
            elif path == "/ping":
                await (await ws.ping(message))
                await ws.send("pong " + message)
            else:
                await ws.send(message)
    except websockets.ConnectionClosedError:
        pass  # the report tells the code
    await ws.wait_closed()
    say(report(ws, path))


async def serve():
    async with websockets.serve(
        answer,
        "127.0.0.1",
        0,
        ssl=secure("serve"),
        subprotocols=[config["subprotocol"]],
        max_size=config["largest"],
    ) as server:
        host, port = server.sockets[0].getsockname()
        say({"address": f"{host}:{port}"})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def connect(path):
    tls = {"ssl": secure("dial"), "server_hostname": config["serverName"]} if "certFile" in config else {}
    return websockets.connect(
        config["url"] + path,
        **tls,
        subprotocols=["chat.v9", config["subprotocol"]],
        max_size=config["largest"],
    )


async def want(ws, message):
    got = await ws.recv()
    assert type(got) is type(message), f"got {type(got)}, want {type(message)}"
    assert got == message, f"got {len(got)}, want {len(message)}"


async def leave(ws, code, reason):
    """Closes, and returns what the server has to be told."""
    await ws.close(code, reason)
    assert ws.close_code == code, report(ws, ws.path)
    return {"path": ws.path, "code": code, "reason": reason}


def messages():
    yield config["unicode"]
    for n in config["lengths"]:
        yield "*" * n
        yield (b"\x00\xff\x80\xfe" * (n // 4 + 1))[:n]


async def exchange(path, form):
    async with connect(path) as ws:
        for message in messages():
            await ws.send(form(message))
            await want(ws, message)
        return [await leave(ws, config["leaveCode"], config["leaveReason"])]


async def echo():
    return await exchange("/echo", lambda message: message)


async def fragments_in():
    return await exchange("/fragments", lambda message: message)


async def fragments_out():
    return await exchange("/echo", thirds)


async def ping():
    async with connect("/echo") as ws:
        await (await ws.ping(config["payload"]))  # for a pong with this payload
        return [await leave(ws, 1001, "")]


async def pong():
    async with connect("/ping") as ws:
        await ws.send(config["payload"])
        await want(ws, "pong " + config["payload"])
        return [await leave(ws, 4999, "")]


async def large():
    async with connect("/echo") as ws:
        message = (b"0123456789abcdefghijklmnopqrstuvwxy" * (config["largest"] // 35 + 1))[: config["largest"]]
        await ws.send(message)
        await want(ws, message)
        return [await leave(ws, 1000, "")]


async def subprotocol():
    async with connect("/echo") as ws:
        assert ws.subprotocol == config["subprotocol"], ws.subprotocol
        return [await leave(ws, 1000, "")]


async def server_closes():
    async with connect("/bye") as ws:
        await ws.wait_closed()
        got = report(ws, "/bye")
        assert got == {"path": "/bye", "code": config["byeCode"], "reason": config["byeReason"]}, got
        return [got]  # websockets echoes the reason


async def server_drops():
    async with connect("/drop") as ws:
        await ws.wait_closed()
        assert ws.close_code == 1006, ws.close_code
    return [{"path": "/drop", "code": 1006, "reason": ""}]


async def client_drops():
    ws = await connect("/echo")
    ws.transport.abort()
    await ws.wait_closed()
    return [{"path": "/echo", "code": 1006, "reason": ""}]


async def count(n):
    async with connect("/echo") as ws:
        for i in range(50):
            await ws.send(f"{i} of {n}")
        for i in range(50):
            await want(ws, f"{i} of {n}")
        return await leave(ws, config["leaveCode"], config["leaveReason"])


async def many():
    return await asyncio.gather(*(count(n) for n in range(20)))


cases = {
    "echo": echo,
    "fragments in": fragments_in,
    "fragments out": fragments_out,
    "ping": ping,
    "pong": pong,
    "large": large,
    "subprotocol": subprotocol,
    "server closes": server_closes,
    "server drops": server_drops,
    "client drops": client_drops,
    "many": many,
}


async def dial():
    for name, run in cases.items():
        try:
            say({"name": name, "ends": await run()})
        except Exception:
            say({"name": name, "error": traceback.format_exc()})


asyncio.run(serve() if sys.argv[1] == "serve" else dial())
