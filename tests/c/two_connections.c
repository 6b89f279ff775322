/*
 * Two connections at once in one process: each has its own threads, both hear each other, and the
 * end of one is nothing to the other.
 */
#include "support.h"

static struct counter heard[2] = {COUNTER, COUNTER};

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch;
    if (event->kind == LIBCHAT_EVENT_MESSAGE)
        counter_add(user_data, 1);
    return LIBCHAT_CONTINUE;
}

static void on_done(uint64_t watch, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    (void)watch;
    check_error(why, error);
    CHECK_EQ(LIBCHAT_ERR_CLOSED, why);
    counter_add(user_data, 1000000);
}

static libchat_manager open_and_watch(libchat_conn conn, const char *agent, struct counter *count)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_manager manager = open_as(conn, agent);
    libchat_watch watch;

    options.on_event = on_event;
    options.on_done = on_done;
    options.user_data = count;
    OK(libchat_watch_thread(manager, "plan", &options, &watch, ERR));
    return manager;
}

static void *run_one(void *argument)
{
    struct counter own = COUNTER;

    (void)argument;
    for (long n = rounds(10); n > 0; n--) {
        libchat_conn conn = connect_here();
        libchat_manager manager = open_and_watch(conn, "eve", &own);
        long before = counter_value(&own);
        send_text(manager, "plan", "x");
        counter_wait(&own, before + 1);
        close_conn(conn);
        CHECK(counter_value(&own) >= before + 1000000);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn first = connect_here(), second = connect_here();

    CHECK(first != second);
    libchat_manager ana = open_and_watch(first, "ana", &heard[0]);
    libchat_manager ben = open_and_watch(second, "ben", &heard[1]);
    send_text(ana, "plan", "from the first");
    send_text(ben, "plan", "from the second");
    counter_wait(&heard[0], 2);
    counter_wait(&heard[1], 2);
    close_conn(first);
    CHECK_EQ(1000002, counter_value(&heard[0]));
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_send(ana, "plan", text("x"), NULL, NULL, ERR));
    send_text(ben, "plan", "still here");
    counter_wait(&heard[1], 3);

    /* Others come and go meanwhile, at once. */
    pthread_t threads[3];
    for (int n = 0; n < 3; n++)
        threads[n] = thread_start(run_one, NULL);
    for (int n = 0; n < 3; n++)
        thread_join(threads[n]);
    send_text(ben, "plan", "and still");
    counter_wait(&heard[1], 4 + 3 * rounds(10));
    CHECK_EQ(1000002, counter_value(&heard[0]));
    close_conn(second);
    return end();
}
