"""History: past messages, bounded, page by page. For both faces."""

import collections.abc
import datetime as dt
import json
from typing import Any

import libchat
import pytest
from test_aio import faces


def bodies(page: Any) -> list[str]:
    return [message.body for message in page]


def send_numbers(chat: Any, thread: str, numbers: range) -> None:
    for n in numbers:
        chat.send(thread, str(n))


@faces
def test_history_has_what_was_said_in_the_thread_oldest_first(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        for n in range(6):
            ana.send(("plan", "stock")[n % 2], str(n))
        page = ana.history("plan")
        assert isinstance(page, libchat.History)
        assert bodies(page) == ["0", "2", "4"]
        assert (page.truncated, page.gaps, page.malformed) == (False, (), 0)


@faces
def test_a_thread_that_nobody_wrote_in_has_an_empty_history(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        page = ana.history("plan")
        assert len(page) == 0
        assert not page
        assert page.truncated is False
        ana.send("plan", "1")
        # Where it ended, what follows begins.
        assert bodies(ana.history("plan", start=page.next)) == ["1"]


@faces
def test_every_start_begins_where_it_says(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        receipts = [ana.send("plan", str(n)) for n in range(10)]
        stored = list(ana.history("plan"))
        hour = dt.timedelta(hours=1)
        tokyo = dt.timezone(dt.timedelta(hours=9))
        starts = [
            ("all", 0),
            (stored[2].cursor, 3),
            (receipts[2].cursor, 3),
            (libchat.Cursor(str(stored[9].cursor)), 10),
            (stored[5].time, 5),
            (stored[5].time.astimezone(tokyo), 5),
            (stored[0].time - hour, 0),
            (stored[9].time + hour, 10),
            (libchat.Last(1), 9),
            (libchat.Last(4), 6),
            (libchat.Last(1000), 0),
        ]
        for start, first in starts:
            expected = [str(n) for n in range(first, 10)]
            assert bodies(ana.history("plan", start=start)) == expected, start


@faces
def test_pages_put_together_are_the_whole(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        send_numbers(ana, "plan", range(10))
        whole, pages = [], []
        start: Any = "all"
        while True:
            page = ana.history("plan", start=start, limit=3)
            whole += page
            pages.append((len(page), page.truncated))
            if not page.truncated:
                break
            assert page.next == page[-1].cursor
            start = page.next
        assert pages == [(3, True), (3, True), (3, True), (1, False)]
        assert whole == list(ana.history("plan"))
        # Nothing is left, and what is said later follows.
        assert list(ana.history("plan", start=page.next)) == []
        ana.send("plan", "10")
        assert bodies(ana.history("plan", start=page.next)) == ["10"]


@faces
@pytest.mark.parametrize(
    ("bounds", "expected", "truncated"),
    [
        ({"limit": 1}, ["aaaa"], True),
        ({"limit": 3}, ["aaaa", "bbbb", "cccc"], False),
        ({"limit": 4}, ["aaaa", "bbbb", "cccc"], False),
        ({"max_bytes": 0}, ["aaaa"], True),
        ({"max_bytes": 3}, ["aaaa"], True),
        ({"max_bytes": 7}, ["aaaa"], True),
        ({"max_bytes": 8}, ["aaaa", "bbbb"], True),
        ({"max_bytes": 12}, ["aaaa", "bbbb", "cccc"], False),
        ({"max_bytes": None}, ["aaaa", "bbbb", "cccc"], False),
        ({"max_bytes": 8, "limit": 1}, ["aaaa"], True),
        ({"limit": 2**63}, ["aaaa", "bbbb", "cccc"], False),
        ({"start": libchat.Last(2), "limit": 1}, ["bbbb"], True),
    ],
)
def test_a_page_ends_at_its_bounds(
    face, project: str, bounds: dict[str, Any], expected: list[str], truncated: bool
) -> None:
    with face.open(project, "ana") as ana:
        for body in ("aaaa", "bbbb", "cccc"):
            ana.send("plan", body)
        page = ana.history("plan", **bounds)
        assert (bodies(page), page.truncated) == (expected, truncated)


@faces
def test_a_page_has_a_thousand_messages_unless_it_is_said_otherwise(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        for n in range(1200):
            ana.send("plan", str(n), unordered=True)
        page = ana.history("plan")
        assert (len(page), page.truncated) == (1000, True)
        rest = ana.history("plan", start=page.next)
        assert (len(rest), rest.truncated) == (200, False)


@faces
def test_what_was_purged_after_the_cursor_is_a_gap_of_the_page(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        send_numbers(ana, "plan", range(1, 11))
        third = ana.history("plan")[2].cursor
        purged = ana.request(f"$JS.API.STREAM.PURGE.chat-{project}", json.dumps({"seq": 8}))
        assert json.loads(purged)["success"]
        page = ana.history("plan", start=third)
        assert bodies(page) == ["8", "9", "10"]
        assert [(gap.after.seq, gap.until.seq) for gap in page.gaps] == [(3, 7)]
        assert isinstance(page.gaps[0], libchat.Gap)
        assert ana.history("plan").gaps == ()


@faces
def test_malformed_payloads_are_counted_and_passed_over(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        short = ana.history("plan")[0].short
        for payload in ("no json", "[]"):
            ana.request(f"chat.{project}.{short}", payload)
        ana.send("plan", "2")
        page = ana.history("plan")
        assert (bodies(page), page.malformed) == (["1", "2"], 2)


@faces
def test_a_cursor_of_another_stream_is_a_conflict(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        with pytest.raises(libchat.Conflict) as caught:
            ana.history("plan", start=libchat.Cursor("c1.1.1.0"))
        assert "the cursor is no place of stream" in str(caught.value)
        assert caught.value.hint == "the stream was made anew or restored: begin with all"


@faces
def test_a_page_is_a_sequence(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        send_numbers(ana, "plan", range(5))
        page = ana.history("plan")
    assert isinstance(page, collections.abc.Sequence)
    assert (page[0].body, page[-1].body, page[True].body) == ("0", "4", "1")
    assert bodies(page[1:3]) == ["1", "2"]
    assert bodies(page[::-2]) == ["4", "2", "0"]
    assert bodies(page[10:]) == []
    assert bodies(iter(page)) == ["0", "1", "2", "3", "4"]
    assert bodies(reversed(page)) == ["4", "3", "2", "1", "0"]
    assert page[3] in page
    assert libchat.Message(body="3") not in page
    assert "3" not in page
    assert (page.index(page[3]), page.index(page[3], 2, -1), page.count(page[3])) == (3, 3, 1)
    with pytest.raises(ValueError, match="not in tuple"):
        page.index(page[3], 4)
    first, *_, last = page
    assert (first, last) == (page[0], page[4])
    match page:
        case [one, two, *rest]:
            assert (one, two, len(rest)) == (page[0], page[1], 3)
        case _:
            pytest.fail("no sequence pattern fits")
    for wrong, error in [(5, IndexError), (-6, IndexError), ("0", TypeError), (1.0, TypeError)]:
        with pytest.raises(error):
            page[wrong]
    assert page.messages == tuple(page)


@faces
def test_a_page_does_not_change(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        page = ana.history("plan")
        ana.send("plan", "2")
        assert bodies(page) == ["1"]
        assert page != ana.history("plan")
    with pytest.raises(TypeError):
        page[0] = page[0]
    with pytest.raises(TypeError):
        del page[0]
