/*
 * A watch in pull form: take with and without waiting, batches, EMPTY, END and CLOSED; what was
 * taken belongs to the host; on_done comes as in callback form.
 */
#include "support.h"

static libchat_conn conn;
static libchat_manager manager;

struct ending {
    libchat_watch watch;
    libchat_status why;
    struct counter done;
};

static void on_done(uint64_t watch, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct ending *ending = user_data;

    CHECK(watch == ending->watch);
    CHECK(is_callback_thread());
    check_error(why, error);
    ending->why = why;
    CHECK_EQ(1, counter_add(&ending->done, 1));
}

static libchat_watch pull(libchat_manager of, const char *thread, libchat_start start,
                          struct ending *ending)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch watch;

    options.start = start;
    if (ending) {
        options.on_done = on_done;
        options.user_data = ending;
        OK(libchat_watch_thread(of, thread, &options, &ending->watch, ERR));
        return ending->watch;
    }
    OK(libchat_watch_thread(of, thread, &options, &watch, ERR));
    return watch;
}

static void takes_come_in_order_and_in_batches(void)
{
    libchat_watch watch = pull(manager, "plan", LIBCHAT_START_ALL, NULL);
    const libchat_events *kept[100] = {NULL};
    long seen = 0, batches = 0;

    while (seen < 50) {
        const libchat_events *events;
        OK(libchat_watch_take(watch, 7, LIBCHAT_INFINITE, &events, ERR));
        size_t length = libchat_events_len(events);
        CHECK(length >= 1 && length <= 7);
        CHECK(libchat_events_get(events, length) == NULL);
        CHECK(libchat_events_get(events, SIZE_MAX) == NULL);
        CHECK(!libchat_events_truncated(events, NULL));
        for (size_t n = 0; n < length; n++) {
            const libchat_event *event = libchat_events_get(events, n);
            if (event->kind == LIBCHAT_EVENT_MESSAGE)
                CHECK_EQ(seen++, number_of(event->message));
        }
        kept[batches++] = events;
    }
    OK(libchat_watch_close(watch));
    for (long n = 0; n < batches; n++) {
        CHECK(libchat_events_get(kept[n], 0) != NULL); /* they outlive the watch */
        libchat_events_release(kept[n]);
    }
}

static void a_take_waits_as_long_as_it_is_told(void)
{
    libchat_watch watch = pull(manager, "quiet", LIBCHAT_START_NEW, NULL);
    const libchat_events *events;

    const libchat_event *event = next_of(watch, LIBCHAT_EVENT_CAUGHT_UP, &events);
    CHECK(event->message == NULL && event->cursor.incarnation != 0);
    libchat_events_release(events);
    double begun = now_ms();
    EXPECT(LIBCHAT_EMPTY, libchat_watch_take(watch, 1, 0, &events, ERR));
    CHECK(events == NULL);
    CHECK(now_ms() - begun < 1000.0 * (double)slow());
    begun = now_ms();
    EXPECT(LIBCHAT_EMPTY, libchat_watch_take(watch, 1, 100, &events, ERR));
    CHECK(now_ms() - begun >= 99.0);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_take(watch, 0, 0, &events, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_watch_take(watch, 1, 0, NULL, ERR));
    OK(libchat_watch_close(watch));
}

static atomic_long taken;

static void *take_one(void *argument)
{
    const libchat_events *events;
    libchat_error *error;
    double begun = now_ms();
    libchat_watch watch = *(libchat_watch *)argument;
    libchat_status status = libchat_watch_take(watch, 10, 1000, &events, &error);

    check_error(status, error);
    CHECK(status == LIBCHAT_OK || status == LIBCHAT_EMPTY);
    if (status == LIBCHAT_OK)
        atomic_fetch_add(&taken, 1);
    else
        CHECK(now_ms() - begun >= 999.0);
    libchat_events_release(events);
    return NULL;
}

/* Two wait for one event: whoever does not get it goes on waiting. */
static void others_take_nothing_of_a_takes_time(void)
{
    libchat_watch watch = pull(manager, "shared", LIBCHAT_START_NEW, NULL);
    const libchat_events *events;
    pthread_t threads[3];

    next_of(watch, LIBCHAT_EVENT_CAUGHT_UP, &events);
    libchat_events_release(events);
    for (int n = 0; n < 3; n++)
        threads[n] = thread_start(take_one, &watch);
    send_text(manager, "shared", "x");
    for (int n = 0; n < 3; n++)
        thread_join(threads[n]);
    CHECK_EQ(1, atomic_load(&taken));
    OK(libchat_watch_close(watch));
}

static void a_stop_is_an_end_and_a_close_is_closed(void)
{
    struct ending stopped = {.done = COUNTER}, closed = {.done = COUNTER}, over = {.done = COUNTER};
    libchat_manager eve = open_as(conn, "eve");
    libchat_watch watch = pull(eve, "plan", LIBCHAT_START_ALL, &stopped);
    libchat_watch other = pull(eve, "plan", LIBCHAT_START_ALL, &closed);
    const libchat_events *events;

    next_of(watch, LIBCHAT_EVENT_MESSAGE, &events);
    libchat_events_release(events);
    OK(libchat_watch_stop(watch)); /* with events still queued */
    for (int n = 0; n < 3; n++)
        EXPECT(LIBCHAT_END, libchat_watch_take(watch, 100, LIBCHAT_INFINITE, &events, ERR));
    OK(libchat_watch_join(watch, LIBCHAT_INFINITE, ERR));
    CHECK_EQ(1, counter_value(&stopped.done));
    CHECK_EQ(LIBCHAT_END, stopped.why);

    pull(eve, "plan", LIBCHAT_START_ALL, &over);
    OK(libchat_watch_close(over.watch));
    CHECK_EQ(1, counter_value(&over.done));
    CHECK_EQ(LIBCHAT_END, over.why);

    OK(libchat_manager_close(eve, LIBCHAT_INFINITE, ERR));
    CHECK_EQ(1, counter_value(&closed.done));
    CHECK_EQ(LIBCHAT_ERR_CLOSED, closed.why);
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_take(other, 1, 0, &events, ERR));
    CHECK(events == NULL);
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_take(watch, 1, 0, &events, ERR));
    CHECK_EQ(1, counter_value(&stopped.done));
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)event, (void)user_data;
    return LIBCHAT_CONTINUE;
}

static void a_callback_watch_is_not_pulled(void)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    const libchat_events *events;
    libchat_watch watch;
    ptrdiff_t fd;

    options.on_event = on_event;
    OK(libchat_watch_thread(manager, "plan", &options, &watch, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_watch_take(watch, 1, 0, &events, ERR));
    CHECK(events == NULL);
    EXPECT(LIBCHAT_ERR_INVALID_STATE, libchat_watch_fd(watch, &fd, ERR));
    OK(libchat_watch_close(watch));
}

/* A reader slower than the stream, with room for two events, still gets each once and in order. */
static void a_slow_reader_gets_everything(void)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    const libchat_events *events;
    libchat_watch watch;

    options.queue = 2;
    options.queue_bytes = 4096;
    OK(libchat_watch_thread(manager, "slow", &options, &watch, ERR));
    send_numbers(manager, "slow", 100);
    for (long n = 0; n < 100; n++) {
        const libchat_event *event = next_of(watch, LIBCHAT_EVENT_MESSAGE, &events);
        CHECK_EQ(n, number_of(event->message));
        libchat_events_release(events);
    }
    OK(libchat_watch_close(watch));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    conn = connect_here();
    manager = open_as(conn, "ana");
    send_numbers(manager, "plan", 50);
    takes_come_in_order_and_in_batches();
    a_take_waits_as_long_as_it_is_told();
    others_take_nothing_of_a_takes_time();
    for (long n = rounds(10); n > 0; n--)
        a_stop_is_an_end_and_a_close_is_closed();
    a_callback_watch_is_not_pulled();
    a_slow_reader_gets_everything();
    close_conn(conn);
    return end();
}
