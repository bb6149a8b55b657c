"""Answer requests together that wait together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_MOST = 256  # together: more would make the first ones wait for the last


class Batcher(Generic[Question, Answer]):
    """A queue before one answerer, which takes what is there whenever it is free.

    Nobody waits for others to come: the first question is answered in the next turn of the loop,
    together with those that came in the same turn. While an answer is on its way, others gather.
    Questions are answered in the order in which they came.
    """

    def __init__(
        self, answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]]
    ) -> None:
        """Take what answers questions; for one that it cannot answer it returns the exception."""
        self._answer = answer
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """Return the answer. Raise the exception that the answerer has for it."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                batch = [(question, future) for question, future in batch if not future.done()]
                await self._answer_batch(batch)
                if self._waiting:
                    await asyncio.sleep(0)  # others than questions have their turn
        finally:
            self._task = None

    async def _answer_batch(self, batch: list[tuple[Question, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._answer([question for question, _ in batch])
        except Exception as error:  # noqa: BLE001 - the questions learn of it, the queue goes on
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # the client has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
