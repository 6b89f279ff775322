/*
 * A callback is inside host code while another thread closes its watch, its manager, its
 * connection: the close waits for it, on_done comes last, then nothing. Points 6, 9 and 10.
 */
#include "support.h"

enum what { WATCH_CLOSE, MANAGER_CLOSE, CONN_CLOSE, WHATS };

struct host {
    enum what what;
    libchat_conn conn;
    libchat_manager manager;
    libchat_watch watch;
    struct counter entered, released;
    atomic_bool inside, done, closed;
    atomic_int closer;
};

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct host *host = user_data;

    (void)watch;
    CHECK(!atomic_load(&host->done) && !atomic_load(&host->closed));
    if (event->kind != LIBCHAT_EVENT_MESSAGE)
        return LIBCHAT_CONTINUE;
    CHECK_EQ(0, number_of(event->message)); /* closed while inside: the second one never begins */
    atomic_store(&host->inside, true);
    counter_add(&host->entered, 1);
    counter_wait(&host->released, 1);
    /* What was borrowed for the callback is still there, whatever is closed meanwhile. */
    CHECK_TEXT("0", libchat_message_body(event->message));
    atomic_store(&host->inside, false);
    return LIBCHAT_CONTINUE;
}

static void on_done(uint64_t watch, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct host *host = user_data;

    (void)watch;
    check_error(why, error);
    CHECK_EQ(host->what == WATCH_CLOSE ? LIBCHAT_END : LIBCHAT_ERR_CLOSED, why);
    CHECK(!atomic_load(&host->inside) && !atomic_load(&host->closed));
    CHECK(!atomic_exchange(&host->done, true));
}

static void *close_it(void *argument)
{
    struct host *host = argument;

    atomic_store(&host->closer, gettid());
    if (host->what == WATCH_CLOSE)
        OK(libchat_watch_close(host->watch));
    if (host->what == MANAGER_CLOSE)
        OK(libchat_manager_close(host->manager, LIBCHAT_INFINITE, ERR));
    if (host->what == CONN_CLOSE)
        OK(libchat_conn_close(host->conn, LIBCHAT_INFINITE, ERR));
    CHECK(!atomic_load(&host->inside));
    CHECK(atomic_load(&host->done));
    atomic_store(&host->closed, true);
    return NULL;
}

/* Closes that may not wait say so, and can be called again. */
static void close_impatiently(struct host *host)
{
    if (host->what == MANAGER_CLOSE) {
        EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_manager_close(host->manager, 0, ERR));
        EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_manager_close(host->manager, 20, ERR));
    }
    if (host->what == CONN_CLOSE) {
        EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_conn_close(host->conn, 0, ERR));
        EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_conn_close(host->conn, 20, ERR));
    }
    if (host->what != WATCH_CLOSE)
        EXPECT(LIBCHAT_ERR_CLOSED,
               libchat_send(host->manager, "plan", text("x"), NULL, NULL, ERR));
    CHECK(atomic_load(&host->inside) && !atomic_load(&host->done));
}

static void close_mid_callback(enum what what, bool impatient)
{
    struct host host = {.what = what, .entered = COUNTER, .released = COUNTER};
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);

    host.conn = connect_here();
    host.manager = open_as(host.conn, "ana");
    options.start = LIBCHAT_START_ALL;
    options.on_event = on_event;
    options.on_done = on_done;
    options.user_data = &host;
    OK(libchat_watch_thread(host.manager, "plan", &options, &host.watch, ERR));
    counter_wait(&host.entered, 1);
    if (impatient)
        close_impatiently(&host);
    pthread_t closer = thread_start(close_it, &host);
    while (!atomic_load(&host.closer))
        sched_yield();
    wait_until_asleep(atomic_load(&host.closer));
    CHECK(!atomic_load(&host.closed) && !atomic_load(&host.done));
    counter_add(&host.released, 1);
    thread_join(closer);
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_watch_stop(host.watch));
    close_conn(host.conn);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();

    send_numbers(open_as(conn, "ben"), "plan", 3);
    close_conn(conn);
    for (int what = 0; what < WHATS; what++)
        for (long n = rounds(20); n >= 0; n--)
            close_mid_callback((enum what)what, n % 2 == 0);
    return end();
}
