/*
 * Many threads use one connection, one manager, one pull watch and one message at once, while
 * others open and close beside them. Point 1 of the contract.
 */
#include "support.h"

enum { THREADS = 6 };

static libchat_conn conn;
static libchat_manager manager;
static libchat_watch shared;
static const libchat_message *kept;
static struct counter taken = COUNTER, sent = COUNTER;

static void read_the_message(void)
{
    const libchat_header *headers;
    const libchat_message *mine = libchat_message_retain(kept);

    CHECK_TEXT("kept", libchat_message_body(mine));
    CHECK_TEXT("ana", libchat_message_sender(mine));
    CHECK_TEXT("kept", libchat_message_thread(mine));
    CHECK_EQ(1, libchat_message_headers(mine, &headers));
    CHECK(!strcmp(headers[0].value, "00-ab-cd-01"));
    CHECK(!strcmp(libchat_message_header(mine, "traceparent"), "00-ab-cd-01"));
    CHECK(libchat_message_cursor(mine).seq > 0);
    libchat_message_release(mine);
}

static void open_and_close(void)
{
    libchat_cancel cancel;
    libchat_watch watch;

    OK(libchat_watch_thread(manager, "plan", NULL, &watch, ERR));
    OK(libchat_watch_close(watch));
    libchat_manager own = open_as(conn, "eve");
    OK(libchat_watch_all(own, NULL, &watch, ERR));
    OK(libchat_manager_close(own, LIBCHAT_INFINITE, ERR));
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_stop(watch));
    OK(libchat_cancel_new(&cancel, ERR));
    OK(libchat_cancel_close(cancel));
}

static void *use_everything(void *argument)
{
    libchat_stats stats = LIBCHAT_INIT(libchat_stats);
    const libchat_threads *threads;

    (void)argument;
    for (long n = rounds(20); n > 0; n--) {
        read_the_message();
        send_text(manager, "plan", "x");
        OK(libchat_send_async(manager, "plan", text("x"), NULL, count_sent, &sent, ERR));
        OK(libchat_list_threads(manager, NULL, &threads, ERR));
        CHECK(libchat_threads_len(threads) >= 1);
        libchat_threads_release(threads);
        OK(libchat_manager_stats(manager, &stats, ERR));
        open_and_close();
        CHECK(stored(manager, "kept") == 1);
    }
    return NULL;
}

/* Several threads take from one watch: each event goes to one of them. */
static void *take_from_the_shared_one(void *argument)
{
    const libchat_events *events;
    libchat_error *error;
    libchat_status status;

    (void)argument;
    while ((status = libchat_watch_take(shared, 3, LIBCHAT_INFINITE, &events, &error)) ==
           LIBCHAT_OK) {
        for (size_t n = 0; n < libchat_events_len(events); n++)
            if (libchat_events_get(events, n)->kind == LIBCHAT_EVENT_MESSAGE)
                counter_add(&taken, 1);
        libchat_events_release(events);
    }
    CHECK(!events && !error);
    CHECK_EQ(LIBCHAT_END, status);
    return NULL;
}

static void keep_a_message(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_header header = {"traceparent", "00-ab-cd-01"};

    options.headers = &header;
    options.headers_len = 1;
    OK(libchat_send(manager, "kept", text("kept"), &options, NULL, ERR));
    const libchat_events *events = read_all(manager, "kept");
    kept = libchat_message_retain(libchat_events_get(events, 0)->message);
    libchat_events_release(events);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS], takers[2];

    begin(argc, argv);
    conn = connect_here();
    manager = open_as(conn, "ana");
    keep_a_message();
    OK(libchat_watch_thread(manager, "plan", NULL, &shared, ERR));
    for (int n = 0; n < 2; n++)
        takers[n] = thread_start(take_from_the_shared_one, NULL);
    for (int n = 0; n < THREADS; n++)
        threads[n] = thread_start(use_everything, NULL);
    for (int n = 0; n < THREADS; n++)
        thread_join(threads[n]);
    long all = 2 * THREADS * rounds(20);
    counter_wait(&sent, all / 2);
    counter_wait(&taken, all);
    OK(libchat_watch_stop(shared));
    for (int n = 0; n < 2; n++)
        thread_join(takers[n]);
    CHECK_EQ(all, counter_value(&taken));
    close_conn(conn);
    read_the_message(); /* it outlives all of that */
    libchat_message_release(kept);
    return end();
}
