/*
 * The close of a connection with everything open on it: all on_done and on_sent before it returns,
 * no thread after it, whatever was closed first, from however many threads at once, and under a
 * server that is frozen or gone. Point 10 of the contract.
 */
#include "support.h"

enum { MANAGERS = 5, WATCHES = 3, CLOSERS = 4 };

static struct counter ends = COUNTER;
static atomic_bool closed;

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)event, (void)user_data;
    CHECK(!atomic_load(&closed));
    return LIBCHAT_CONTINUE;
}

static void on_done(uint64_t handle, libchat_status why, const libchat_error *error,
                    void *user_data)
{
    (void)handle, (void)user_data;
    CHECK(!atomic_load(&closed));
    check_error(why, error);
    CHECK_EQ(LIBCHAT_ERR_CLOSED, why);
    counter_add(&ends, 1);
}

static void on_request(libchat_responder responder, const libchat_incoming *incoming,
                       void *user_data)
{
    (void)responder, (void)incoming, (void)user_data;
}

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)receipt, (void)user_data;
    CHECK(!atomic_load(&closed));
    check_error(status, error);
    counter_add(&ends, 1);
}

/* Gives how many ends are to come. */
static long open_much(libchat_conn conn)
{
    libchat_watch_options watching = LIBCHAT_INIT(libchat_watch_options);
    libchat_respond_options responding = LIBCHAT_INIT(libchat_respond_options);
    libchat_responder responder;
    libchat_watch watch;

    watching.on_done = responding.on_done = on_done;
    responding.on_request = on_request;
    for (int m = 0; m < MANAGERS; m++) {
        libchat_manager manager = open_as(conn, "ana");
        for (int n = 0; n < WATCHES; n++) {
            watching.start = n % 2 ? LIBCHAT_START_ALL : LIBCHAT_START_NEW;
            watching.on_event = n % 2 ? on_event : NULL;
            OK(libchat_watch_thread(manager, "plan", &watching, &watch, ERR));
        }
        OK(libchat_respond(manager, "a.b", &responding, &responder, ERR));
        OK(libchat_send_async(manager, "plan", text("x"), NULL, on_sent, NULL, ERR));
    }
    return MANAGERS * (WATCHES + 2);
}

static void *close_it(void *conn)
{
    close_conn(*(libchat_conn *)conn);
    CHECK(counter_value(&ends) == MANAGERS * (WATCHES + 2));
    return NULL;
}

static void close_by_several_threads(void)
{
    libchat_conn conn = connect_here();
    pthread_t threads[CLOSERS];

    ends.value = 0;
    atomic_store(&closed, false);
    long wanted = open_much(conn);
    for (int n = 0; n < CLOSERS; n++)
        threads[n] = thread_start(close_it, &conn);
    for (int n = 0; n < CLOSERS; n++)
        thread_join(threads[n]);
    atomic_store(&closed, true);
    CHECK_EQ(wanted, counter_value(&ends));
    wait_until_threads(0);
}

static void close_with_a_server_that(int number)
{
    libchat_conn conn = connect_here();

    ends.value = 0;
    atomic_store(&closed, false);
    long wanted = open_much(conn);
    server_signal(number);
    double begun = now_ms();
    close_conn(conn);
    double took = now_ms() - begun;
    atomic_store(&closed, true);
    CHECK_EQ(wanted, counter_value(&ends));
    wait_until_threads(0);
    figure("close with a server that is %s: %.0f ms", number == SIGSTOP ? "frozen" : "gone", took);
    CHECK(took < 4000.0 * (double)slow());
    if (number == SIGSTOP)
        server_signal(SIGCONT);
    else
        OK(libchat_local_server_start(folder, url, sizeof url, ERR));
}

/* A stop only begins; the close after it waits. */
static void stop_then_close(void)
{
    libchat_conn conn = connect_here();

    ends.value = 0;
    atomic_store(&closed, false);
    long wanted = open_much(conn);
    OK(libchat_conn_stop(conn, ERR));
    close_conn(conn);
    atomic_store(&closed, true);
    CHECK_EQ(wanted, counter_value(&ends));
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_conn_stop(conn, ERR));
}

static int descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 4096; fd++)
        count += lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF;
    return count;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();
    send_numbers(open_as(conn, "ben"), "plan", 20);
    close_conn(conn);
    int before = descriptors();
    for (long n = rounds(20); n > 0; n--) {
        close_by_several_threads();
        stop_then_close();
    }
    close_with_a_server_that(SIGSTOP);
    close_with_a_server_that(SIGKILL);
    CHECK_EQ(before, descriptors());
    return end();
}
