"""Walks a listing page by page, so that a fault in the middle costs one page and not the walk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.ports import Page

type FetchPage[Item] = Callable[[str], Awaitable[Page[Item]]]
"""Takes a page token, "" for the first page."""


async def items_of[Item](fetch: FetchPage[Item]) -> AsyncIterator[Item]:
    """Yield every item of every page; the first error ends the walk."""
    token = ""
    while True:
        page = await fetch(token)
        for item in page.items:
            yield item
        token = page.next_token
        if not token:
            return


def every_item[Item](attempts: Attempts, fetch: FetchPage[Item]) -> AsyncIterator[Item]:
    """Yield every item once; a page that fails is asked for again, by the token that it had.

    Each page has the whole budget of a step. Raises the last error of a page whose budget is spent.
    """

    async def fetched(token: str) -> Page[Item]:
        return (await attempts.run(lambda: fetch(token))).value

    return items_of(fetched)


async def admitted[Item](items: AsyncIterator[Item], filter_: str) -> AsyncIterator[Item]:
    """Yield the items that a filter of the user's admits; raise InputError where CI refuses it."""
    try:
        async for item in items:
            yield item
    except RemoteError as error:
        if error.code != "INVALID_ARGUMENT" or not filter_:
            raise
        raise InputError(
            f"CI refuses the filter {filter_}",
            """name fields that CI has, for example 'medium="CHAT" labels.queue="hardship"'""",
        ) from error
