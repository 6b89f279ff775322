/*
 * What a watch tells besides messages: payloads that are no envelope, gaps, a stream made anew, and
 * in long runs a source that is away for ten seconds.
 */
#include "support.h"

static libchat_manager manager;

static libchat_watch pull_from(libchat_start start, libchat_cursor cursor)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch watch;

    options.start = start;
    options.cursor = cursor;
    OK(libchat_watch_thread(manager, "plan", &options, &watch, ERR));
    return watch;
}

/* The next event must be of this kind. */
static libchat_event next_is(libchat_watch watch, libchat_event_kind kind)
{
    const libchat_events *events;

    OK(libchat_watch_take(watch, 1, LIBCHAT_INFINITE, &events, ERR));
    libchat_event event = *libchat_events_get(events, 0);
    CHECK_EQ(kind, event.kind);
    CHECK((event.message != NULL) == (kind == LIBCHAT_EVENT_MESSAGE));
    CHECK_EQ(0, event.reserved[0] | event.reserved[1]);
    libchat_events_release(events);
    event.message = NULL;
    return event;
}

static void api(const char *subject, const char *request, const char *wanted)
{
    char answer[8192];

    raw_request(subject, request, answer, sizeof answer);
    if (!strstr(answer, wanted))
        fail(__FILE__, __LINE__, subject, answer);
}

static void what_is_no_envelope_is_malformed(void)
{
    libchat_watch watch = pull_from(LIBCHAT_START_ALL, (libchat_cursor){0});
    long seq;

    for (int n = 0; n < 3; n++)
        next_is(watch, LIBCHAT_EVENT_MESSAGE);
    next_is(watch, LIBCHAT_EVENT_CAUGHT_UP);
    seq = raw_store("plan", "no JSON at all");
    CHECK_EQ(seq, next_is(watch, LIBCHAT_EVENT_MALFORMED).cursor.seq);
    send_text(manager, "plan", "goes on");
    CHECK_EQ(seq + 1, next_is(watch, LIBCHAT_EVENT_MESSAGE).cursor.seq);
    OK(libchat_watch_close(watch));
}

static void what_was_purged_is_a_gap(void)
{
    const libchat_events *events = read_all(manager, "plan");
    libchat_cursor first = libchat_message_cursor(libchat_events_get(events, 0)->message);
    libchat_watch watch;
    char request[64];

    libchat_events_release(events);
    snprintf(request, sizeof request, "{\"seq\":%" PRIu64 "}", first.seq + 3);
    api("$JS.API.STREAM.PURGE.chat-demo", request, "\"success\":true");
    watch = pull_from(LIBCHAT_START_AFTER, first);
    libchat_event gap = next_is(watch, LIBCHAT_EVENT_GAP);
    CHECK_EQ(first.seq, gap.after.seq);
    CHECK_EQ(first.seq + 2, gap.cursor.seq);
    CHECK_EQ(first.incarnation, gap.after.incarnation);
    CHECK_EQ(first.incarnation, gap.cursor.incarnation);
    next_is(watch, LIBCHAT_EVENT_MALFORMED);
    OK(libchat_watch_close(watch));
}

static void a_stream_made_anew_is_a_reset(void)
{
    static const char *const stream =
        "{\"name\":\"chat-demo\",\"subjects\":[\"chat.demo.>\"],\"storage\":\"file\"}";
    libchat_watch watch = pull_from(LIBCHAT_START_NEW, (libchat_cursor){0});
    libchat_cursor old = next_is(watch, LIBCHAT_EVENT_CAUGHT_UP).cursor;
    libchat_event event;

    api("$JS.API.STREAM.DELETE.chat-demo", "", "\"success\":true");
    api("$JS.API.STREAM.CREATE.chat-demo", stream, "\"created\"");
    event = next_is(watch, LIBCHAT_EVENT_RESET);
    CHECK(event.cursor.incarnation != old.incarnation);
    send_text(manager, "plan", "the first of the new one");
    CHECK_EQ(1, next_is(watch, LIBCHAT_EVENT_MESSAGE).cursor.seq);
    OK(libchat_watch_close(watch));
    /* A cursor of the old stream: told, and then everything. */
    watch = pull_from(LIBCHAT_START_AFTER, old);
    next_is(watch, LIBCHAT_EVENT_RESET);
    CHECK_EQ(1, next_is(watch, LIBCHAT_EVENT_MESSAGE).cursor.seq);
    OK(libchat_watch_close(watch));
}

static void a_source_that_is_away_is_told(void)
{
    libchat_watch watch = pull_from(LIBCHAT_START_NEW, (libchat_cursor){0});

    next_is(watch, LIBCHAT_EVENT_CAUGHT_UP);
    server_signal(SIGKILL);
    CHECK_EQ(LIBCHAT_ERR_DISCONNECTED, next_is(watch, LIBCHAT_EVENT_STALLED).reason);
    OK(libchat_local_server_start(folder, url, sizeof url, ERR));
    CHECK_EQ(0, next_is(watch, LIBCHAT_EVENT_RESUMED).reason);
    send_text(manager, "plan", "back");
    next_is(watch, LIBCHAT_EVENT_MESSAGE);
    OK(libchat_watch_close(watch));
}

int main(int argc, char **argv)
{
    libchat_stats stats = LIBCHAT_INIT(libchat_stats);

    begin(argc, argv);
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    send_numbers(manager, "plan", 3);
    what_is_no_envelope_is_malformed();
    what_was_purged_is_a_gap();
    a_stream_made_anew_is_a_reset();
    if (is_long())
        a_source_that_is_away_is_told();
    OK(libchat_manager_stats(manager, &stats, ERR));
    CHECK(stats.malformed >= 1 && stats.gaps >= 1 && stats.resets >= 2);
    close_conn(conn);
    return end();
}
