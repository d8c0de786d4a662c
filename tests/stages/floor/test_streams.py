from __future__ import annotations

import anyio

from stages.floor.streams import receive_batch


async def test_batch_is_what_is_waiting_up_to_the_most() -> None:
    send, receive = anyio.create_memory_object_stream[int](10)
    with send, receive:
        for number in range(5):
            send.send_nowait(number)

        assert await receive_batch(receive, 3) == [0, 1, 2]
        assert await receive_batch(receive, 3) == [3, 4]


async def test_batch_waits_for_the_first_item() -> None:
    send, receive = anyio.create_memory_object_stream[int](10)
    batches: list[list[int]] = []

    async def take() -> None:
        batches.append(await receive_batch(receive, 3))

    with send, receive:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            send.send_nowait(1)

    assert batches == [[1]]


async def test_lingering_batch_takes_what_comes_later() -> None:
    send, receive = anyio.create_memory_object_stream[int](10)
    batches: list[list[int]] = []

    async def take() -> None:
        batches.append(await receive_batch(receive, 3, linger_seconds=60))

    with receive:
        async with anyio.create_task_group() as tasks:
            send.send_nowait(1)
            tasks.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            send.send_nowait(2)
            await anyio.wait_all_tasks_blocked()
            send.close()

    assert batches == [[1, 2]]


async def test_batch_at_the_end_of_the_stream_is_empty() -> None:
    send, receive = anyio.create_memory_object_stream[int](10)
    with receive:
        with send:
            send.send_nowait(1)

        assert await receive_batch(receive, 3) == [1]
        assert await receive_batch(receive, 3) == []
