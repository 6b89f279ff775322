/*
 * A watch stopped by another thread while messages pour in: once the stop has returned, no further
 * event begins. Points 6 and 7 of the contract from outside, and a stop wakes who waits for events.
 */
#include "support.h"

static libchat_manager manager;
static atomic_bool pouring;

struct reader {
    struct counter begun;
    atomic_bool stopped; /* the stop has returned */
    atomic_long late;    /* events that began after that */
    atomic_bool inside;
    atomic_int done;
};

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct reader *reader = user_data;
    bool late = atomic_load(&reader->stopped);

    (void)watch, (void)event;
    CHECK(!atomic_exchange(&reader->inside, true)); /* one at a time */
    CHECK(!atomic_load(&reader->done));
    if (late)
        atomic_fetch_add(&reader->late, 1);
    counter_add(&reader->begun, 1);
    atomic_store(&reader->inside, false);
    return LIBCHAT_CONTINUE;
}

static void on_done(uint64_t watch, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct reader *reader = user_data;

    (void)watch;
    CHECK_EQ(LIBCHAT_END, why);
    check_error(why, error);
    CHECK(!atomic_load(&reader->inside));
    CHECK_EQ(0, atomic_fetch_add(&reader->done, 1));
}

static void *pour(void *argument)
{
    struct counter acknowledged = COUNTER;
    long sent = 0;

    (void)argument;
    for (; atomic_load(&pouring); sent++) {
        OK(libchat_send_async(manager, "plan", text("x"), NULL, count_sent, &acknowledged, ERR));
        counter_wait(&acknowledged, sent - 100); /* never more than that in flight */
    }
    counter_wait(&acknowledged, sent);
    return NULL;
}

static void stop_amid_events(long after)
{
    struct reader reader = {.begun = COUNTER};
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_watch watch;

    options.start = LIBCHAT_START_ALL;
    options.on_event = on_event;
    options.on_done = on_done;
    options.user_data = &reader;
    OK(libchat_watch_thread(manager, "plan", &options, &watch, ERR));
    counter_wait(&reader.begun, after);
    OK(libchat_watch_stop(watch));
    atomic_store(&reader.stopped, true);
    OK(libchat_watch_join(watch, LIBCHAT_INFINITE, ERR));
    CHECK_EQ(1, atomic_load(&reader.done));
    long begun = counter_value(&reader.begun);
    OK(libchat_watch_close(watch));
    CHECK_EQ(begun, counter_value(&reader.begun));
    /* One event may have begun before the stop and looked at the flag after it. */
    CHECK(atomic_load(&reader.late) <= 1);
}

static void *take_until_end(void *argument)
{
    libchat_watch watch = *(libchat_watch *)argument;
    const libchat_events *events;

    EXPECT(LIBCHAT_END, libchat_watch_take(watch, 1, LIBCHAT_INFINITE, &events, ERR));
    CHECK(events == NULL);
    EXPECT(LIBCHAT_END, libchat_watch_take(watch, 1, 0, &events, ERR));
    return NULL;
}

static atomic_int takers;

static void *take_when_ready(void *argument)
{
    atomic_store(&takers, gettid());
    return take_until_end(argument);
}

static void a_stop_wakes_who_takes(void)
{
    const libchat_events *events;
    libchat_watch watch;

    OK(libchat_watch_thread(manager, "quiet", NULL, &watch, ERR));
    next_of(watch, LIBCHAT_EVENT_CAUGHT_UP, &events);
    libchat_events_release(events);
    pthread_t taker = thread_start(take_when_ready, &watch);
    while (!atomic_load(&takers))
        sched_yield();
    wait_until_asleep(atomic_load(&takers));
    OK(libchat_watch_stop(watch));
    thread_join(taker);
    OK(libchat_watch_close(watch));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();

    manager = open_as(conn, "ana");
    send_numbers(manager, "plan", 100);
    atomic_store(&pouring, true);
    pthread_t pourer = thread_start(pour, NULL);
    for (long n = rounds(100); n > 0; n--)
        stop_amid_events(1 + n % 7);
    atomic_store(&pouring, false);
    thread_join(pourer);
    a_stop_wakes_who_takes();
    close_conn(conn);
    return end();
}
