"""The server's socket."""

from __future__ import annotations

import asyncio
import socket

from bench.collect_client import run_apart

from candor.collect.serve import listening


def test_answers_are_not_held_back_by_nagle() -> None:
    """Head and body are two writes: with Nagle's algorithm the second waits for an acknowledgement, 40 ms late."""

    async def nodelay() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listening("127.0.0.1", 0) as listener:
            address = listener.getsockname()
            server = await asyncio.start_server(accepted, sock=listener)
            async with server:
                _, writer = await asyncio.open_connection(*address)
                result = await found
                writer.close()
        return result

    assert run_apart(nodelay()) == 1
