/*
 * Threads of the host go on using a manager while another closes it, or its connection: after the
 * close has returned no completion and no event comes, whatever was about to begin. Points 5, 10.
 */
#include "support.h"

enum { SENDERS = 3 };

/* One round; what the callbacks of it may touch ends with the close. */
struct round {
    libchat_manager manager;
    atomic_bool closed;
    atomic_long taken, completed, begun, ended;
};

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    struct round *round = user_data;

    CHECK(!atomic_load(&round->closed));
    check_error(status, error);
    CHECK(receipt->id[0] != 0);
    CHECK(status != LIBCHAT_ERR_PANIC);
    atomic_fetch_add(&round->completed, 1);
}

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    struct round *round = user_data;

    (void)watch, (void)event;
    CHECK(!atomic_load(&round->closed));
    return LIBCHAT_CONTINUE;
}

static void on_done(uint64_t watch, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    struct round *round = user_data;

    (void)watch;
    CHECK(!atomic_load(&round->closed));
    check_error(why, error);
    CHECK_EQ(LIBCHAT_ERR_CLOSED, why);
    atomic_fetch_add(&round->ended, 1);
}

/* Until it is told CLOSED. */
static void *send_on(void *argument)
{
    struct round *round = argument;
    libchat_status status;

    do {
        libchat_error *error;
        status = libchat_send_async(round->manager, "plan", text("x"), NULL, on_sent, round,
                                    &error);
        check_error(status, error);
        libchat_error_free(error);
        if (status == LIBCHAT_OK)
            atomic_fetch_add(&round->taken, 1);
        CHECK(status == LIBCHAT_OK || status == LIBCHAT_ERR_BUSY || status == LIBCHAT_ERR_CLOSED);
    } while (status != LIBCHAT_ERR_CLOSED);
    return NULL;
}

static void *watch_on(void *argument)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    struct round *round = argument;
    libchat_status status;

    options.on_event = on_event;
    options.on_done = on_done;
    options.user_data = round;
    do {
        libchat_error *error;
        libchat_watch watch;
        status = libchat_watch_thread(round->manager, "plan", &options, &watch, &error);
        check_error(status, error);
        libchat_error_free(error);
        CHECK((status == LIBCHAT_OK) == (watch != 0));
        if (status == LIBCHAT_OK)
            atomic_fetch_add(&round->begun, 1);
        CHECK(status == LIBCHAT_OK || status == LIBCHAT_ERR_CLOSED ||
              status == LIBCHAT_ERR_TOO_MANY_SUBSCRIBERS);
    } while (status != LIBCHAT_ERR_CLOSED);
    return NULL;
}

static void close_amid_all_that(long n)
{
    struct round *round = calloc(1, sizeof *round);
    pthread_t threads[SENDERS + 1];

    CHECK(round != NULL);
    libchat_conn conn = connect_here();
    round->manager = open_as(conn, "ana");
    for (int i = 0; i < SENDERS; i++)
        threads[i] = thread_start(send_on, round);
    threads[SENDERS] = thread_start(watch_on, round);
    while (atomic_load(&round->taken) < 1 + n % 50 * 7)
        sched_yield();
    if (n % 2)
        OK(libchat_manager_close(round->manager, LIBCHAT_INFINITE, ERR));
    else
        close_conn(conn);
    atomic_store(&round->closed, true);
    for (int i = 0; i <= SENDERS; i++)
        thread_join(threads[i]);
    close_conn(conn);
    CHECK_EQ(atomic_load(&round->taken), atomic_load(&round->completed));
    CHECK_EQ(atomic_load(&round->begun), atomic_load(&round->ended));
    memset(round, 0xdd, sizeof *round);
    free(round);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    for (long n = rounds(is_long() ? 1000 : 100); n > 0; n--)
        close_amid_all_that(n);
    return end();
}
