/*
 * A watch in callback form: where it begins, which threads it covers, what it skips, how many there
 * may be, and that nothing said wrongly gets through.
 */
#include "support.h"

static libchat_manager ana, ben;

/* The bodies that a watch has brought, joined by spaces; "|" is CAUGHT_UP. */
struct log {
    char said[256];
    libchat_cursor cursor;
    struct counter events;
};

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct log *log = user_data;
    size_t used = strlen(log->said);

    (void)watch;
    if (event->kind == LIBCHAT_EVENT_MESSAGE) {
        libchat_bytes body = libchat_message_body(event->message);
        snprintf(log->said + used, sizeof log->said - used, "%s ", (const char *)body.data);
        CHECK(!memcmp(&(libchat_cursor){0}, &event->after, sizeof event->after));
        libchat_cursor cursor = libchat_message_cursor(event->message);
        CHECK(!memcmp(&cursor, &event->cursor, sizeof cursor));
    } else {
        CHECK(event->message == NULL);
        CHECK_EQ(LIBCHAT_EVENT_CAUGHT_UP, event->kind);
        snprintf(log->said + used, sizeof log->said - used, "| ");
    }
    CHECK_EQ(0, event->reserved[0] | event->reserved[1]);
    CHECK(event->cursor.incarnation != 0);
    log->cursor = event->cursor;
    counter_add(&log->events, 1);
    return LIBCHAT_CONTINUE;
}

typedef libchat_status (*watch_fn)(libchat_manager, const char *, const libchat_watch_options *,
                                   libchat_watch *, libchat_error **);

static libchat_status watch_all(libchat_manager manager, const char *ignored,
                                const libchat_watch_options *options, libchat_watch *out,
                                libchat_error **err)
{
    (void)ignored;
    return libchat_watch_all(manager, options, out, err);
}

/* Sends `then` when the watch is set up, and compares what was said after so many events. */
static libchat_cursor watch_says(watch_fn watch, const char *what, libchat_watch_options options,
                                 const char *then, const char *wanted)
{
    struct log log = {.events = COUNTER};
    libchat_watch handle;
    long events = 0;

    for (const char *at = wanted; *at; at++)
        events += *at == ' ';
    options.struct_size = sizeof options;
    options.on_event = on_event;
    options.user_data = &log;
    OK(watch(ana, what, &options, &handle, ERR));
    if (then) {
        send_text(ana, "plan", then);
        send_text(ben, "talk", then);
    }
    counter_wait(&log.events, events);
    OK(libchat_watch_close(handle));
    CHECK_TEXT(wanted, text(log.said));
    return log.cursor;
}

static void starts(void)
{
    libchat_watch_options options = {0};
    const libchat_events *events;

    options.start = LIBCHAT_START_NEW;
    watch_says(libchat_watch_thread, "plan", options, "3", "| 3 ");
    options.start = LIBCHAT_START_ALL;
    watch_says(libchat_watch_thread, "plan", options, NULL, "0 1 2 3 | ");
    options.start = LIBCHAT_START_LAST;
    options.limit = 2;
    watch_says(libchat_watch_thread, "plan", options, NULL, "2 3 | ");
    events = read_all(ana, "plan");
    options.start = LIBCHAT_START_AFTER;
    options.cursor = libchat_message_cursor(libchat_events_get(events, 1)->message);
    libchat_cursor end = watch_says(libchat_watch_thread, "plan", options, NULL, "2 3 | ");
    options.cursor = end;
    watch_says(libchat_watch_thread, "plan", options, "4", "| 4 ");
    options.start = LIBCHAT_START_TIME;
    options.time_ns = libchat_message_time_ns(libchat_events_get(events, 3)->message);
    watch_says(libchat_watch_thread, "plan", options, NULL, "3 4 | ");
    libchat_events_release(events);
}

static void filters(void)
{
    libchat_watch_options options = {0};
    char id[9];

    OK(libchat_thread_short("demo", "plan", id, ERR));
    options.flags = LIBCHAT_BY_SHORT;
    watch_says(libchat_watch_thread, id, options, "5", "| 5 ");
    watch_says(libchat_watch_pattern, id, (libchat_watch_options){0}, "6", "| 6 ");
    watch_says(libchat_watch_pattern, "*", (libchat_watch_options){0}, "7", "| 7 7 ");
    watch_says(watch_all, NULL, (libchat_watch_options){0}, "8", "| 8 8 ");
    options.flags = LIBCHAT_SKIP_OWN;
    watch_says(watch_all, NULL, options, "9", "| 9 ");
}

static void refusals(void)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch out = 1;

    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_thread(ana, NULL, NULL, &out, ERR));
    CHECK(out == 0);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_thread(ana, "plan", NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_pattern(ana, "a..b", NULL, &out, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_pattern(ana, NULL, NULL, &out, ERR));
    options.start = LIBCHAT_START_LAST; /* of 0 */
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_all(ana, &options, &out, ERR));
    options.start = LIBCHAT_START_AFTER;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_all(ana, &options, &out, ERR));
    options.start = LIBCHAT_START_NEW;
    options.flags = LIBCHAT_BY_SHORT;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_thread(ana, "PLAN", &options, &out, ERR));
}

static void only_so_many(libchat_conn conn)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_watch watches[3];
    libchat_manager manager;

    options.agent_id = "eve";
    options.project = "demo";
    options.max_subscribers = 2;
    OK(libchat_open(conn, &options, &manager, ERR));
    OK(libchat_watch_all(manager, NULL, &watches[0], ERR));
    OK(libchat_watch_all(manager, NULL, &watches[1], ERR));
    EXPECT(LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS, libchat_watch_all(manager, NULL, &watches[2], ERR));
    OK(libchat_watch_close(watches[0]));
    OK(libchat_watch_all(manager, NULL, &watches[2], ERR));
    OK(libchat_manager_close(manager, LIBCHAT_INFINITE, ERR));
}

static libchat_flow count(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch;
    if (event->kind == LIBCHAT_EVENT_MESSAGE)
        counter_add(user_data, 1);
    return LIBCHAT_CONTINUE;
}

/* Across a kill of the server each message comes once. */
static void over_a_kill(void)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    struct counter messages = COUNTER;
    libchat_watch watch;

    options.on_event = count;
    options.user_data = &messages;
    OK(libchat_watch_thread(ana, "kill", &options, &watch, ERR));
    send_numbers(ana, "kill", 20);
    server_signal(SIGKILL);
    OK(libchat_local_server_start(folder, url, sizeof url, ERR));
    send_numbers(ben, "kill", 20);
    counter_wait(&messages, 40);
    OK(libchat_watch_close(watch));
    CHECK_EQ(40, counter_value(&messages));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();

    ana = open_as(conn, "ana");
    ben = open_as(conn, "ben");
    send_numbers(ana, "plan", 3);
    starts();
    filters();
    refusals();
    only_so_many(conn);
    over_a_kill();
    close_conn(conn);
    return end();
}
