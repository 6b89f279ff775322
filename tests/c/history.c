/*
 * Past messages: every start, both bounds, paging on from where a page ended, and what cannot be.
 */
#include "support.h"

enum { MESSAGES = 20 };

static libchat_manager manager;
static libchat_cursor cursors[MESSAGES];
static int64_t times[MESSAGES];

/* Expects the numbers from..to, and gives where to go on. */
static libchat_cursor reads(libchat_history_options options, long from, long to, bool truncated)
{
    const libchat_events *events;
    libchat_cursor next;

    options.struct_size = sizeof options;
    OK(libchat_history(manager, "plan", &options, &events, ERR));
    CHECK_EQ(to - from, libchat_events_len(events));
    for (long n = from; n < to; n++) {
        const libchat_event *event = libchat_events_get(events, (size_t)(n - from));
        CHECK_EQ(LIBCHAT_EVENT_MESSAGE, event->kind);
        CHECK_EQ(n, number_of(event->message));
        CHECK_EQ(cursors[n].seq, event->cursor.seq);
    }
    CHECK_EQ(truncated, libchat_events_truncated(events, &next));
    CHECK_EQ(truncated, libchat_events_truncated(events, NULL));
    libchat_events_release(events);
    return next;
}

static void note_places(void)
{
    const libchat_events *events = read_all(manager, "plan");

    CHECK_EQ(MESSAGES, libchat_events_len(events));
    for (size_t n = 0; n < MESSAGES; n++) {
        const libchat_message *message = libchat_events_get(events, n)->message;
        cursors[n] = libchat_message_cursor(message);
        times[n] = libchat_message_time_ns(message);
        CHECK(n == 0 || times[n] >= times[n - 1]);
    }
    libchat_events_release(events);
}

static void starts(void)
{
    libchat_history_options all = {0}, after = {0}, at = {0}, last = {0};

    reads(all, 0, MESSAGES, false); /* 0 here is ALL */
    all.start = LIBCHAT_START_ALL;
    reads(all, 0, MESSAGES, false);
    after.start = LIBCHAT_START_AFTER;
    after.cursor = cursors[4];
    reads(after, 5, MESSAGES, false);
    after.cursor = cursors[MESSAGES - 1];
    reads(after, MESSAGES, MESSAGES, false);
    at.start = LIBCHAT_START_TIME;
    at.time_ns = times[7];
    reads(at, 7, MESSAGES, false);
    last.start = LIBCHAT_START_LAST;
    last.limit = 3;
    reads(last, MESSAGES - 3, MESSAGES, false);
    last.cursor = cursors[10];
    reads(last, 7, 10, false); /* the last before it */
}

static void bounds_and_pages(void)
{
    libchat_history_options page = {0}, small = {0};
    libchat_cursor next = {0};

    page.limit = 8;
    next = reads(page, 0, 8, true);
    page.start = LIBCHAT_START_AFTER;
    page.cursor = next;
    page.cursor = next = reads(page, 8, 16, true);
    reads(page, 16, MESSAGES, false);
    small.max_bytes = 5; /* bodies of one byte each */
    reads(small, 0, 5, true);
    small.max_bytes = 1;
    small.limit = 100;
    reads(small, 0, 1, true);
}

static void other_threads(void)
{
    libchat_history_options options = LIBCHAT_INIT(libchat_history_options);
    const libchat_events *events;
    char id[9];

    OK(libchat_history(manager, "nobody wrote here", NULL, &events, ERR));
    CHECK_EQ(0, libchat_events_len(events));
    CHECK(libchat_events_get(events, 0) == NULL);
    libchat_events_release(events);
    OK(libchat_thread_short("demo", "plan", id, ERR));
    options.flags = LIBCHAT_BY_SHORT;
    OK(libchat_history(manager, id, &options, &events, ERR));
    CHECK_EQ(MESSAGES, libchat_events_len(events));
    libchat_events_release(events);
    CHECK_EQ(0, libchat_events_len(NULL));
    CHECK(libchat_events_get(NULL, 0) == NULL);
    CHECK(!libchat_events_truncated(NULL, NULL));
    libchat_events_release(NULL);
}

static void refused(libchat_history_options options, libchat_status wanted)
{
    const libchat_events *events;

    options.struct_size = sizeof options;
    EXPECT(wanted, libchat_history(manager, "plan", &options, &events, ERR));
    CHECK(events == NULL);
}

static void refusals(void)
{
    libchat_history_options options = {0};
    const libchat_events *events;

    options.start = LIBCHAT_START_AFTER;
    refused(options, LIBCHAT_ERR_INVALID_ARGUMENT);
    options.cursor = cursors[3];
    options.cursor.incarnation++;
    refused(options, LIBCHAT_ERR_CONFLICT); /* a place of another stream */
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_history(manager, NULL, NULL, &events, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_history(manager, "", NULL, &events, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_history(manager, "plan", NULL, NULL, ERR));
}

int main(int argc, char **argv)
{
    char body[2] = "";

    begin(argc, argv);
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    for (int n = 0; n < MESSAGES; n++) {
        if (n < 10)
            body[0] = (char)('0' + n);
        char number[8];
        snprintf(number, sizeof number, "%d", n);
        send_text(manager, "plan", n < 10 ? body : number);
        send_text(manager, "other", "between them");
    }
    note_places();
    starts();
    bounds_and_pages();
    other_threads();
    refusals();
    close_conn(conn);
    return end();
}
