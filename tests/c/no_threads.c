/*
 * The system gives no thread, at each place where one is asked for: the call that needs it fails
 * with a status, nothing ends the host, and afterwards everything works. Whatever libchat, or what
 * it is built on, makes of that inside, no panic passes the boundary. Point 13 of the contract.
 */
#include "support.h"

#include <dlfcn.h>
#include <fcntl.h>

/* How many more threads there are to be had; below 0 no bound. */
static atomic_int threads_left = -1;
static atomic_int refused;

/* In front of the C library's, for libchat too. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                   void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");

    memcpy(&real, &symbol, sizeof real);
    if (atomic_load(&threads_left) == 0) {
        atomic_fetch_add(&refused, 1);
        return EAGAIN;
    }
    if (atomic_load(&threads_left) > 0)
        atomic_fetch_sub(&threads_left, 1);
    return real(thread, attr, run, argument);
}

static struct counter heard = COUNTER;

static libchat_flow on_event(libchat_watch watch, const libchat_event *event, void *user_data)
{
    (void)watch, (void)user_data;
    if (event->kind == LIBCHAT_EVENT_MESSAGE)
        counter_add(&heard, 1);
    return LIBCHAT_CONTINUE;
}

/* What tokio prints before it gives up is not what this is about. */
static libchat_status connect_in_silence(const libchat_conn_options *options, libchat_conn *conn,
                                         libchat_error **error)
{
    int stderr_fd = dup(2), nowhere = open("/dev/null", O_WRONLY);

    CHECK(stderr_fd > 2 && nowhere > 2 && dup2(nowhere, 2) == 2);
    libchat_status status = libchat_connect(options, conn, error);
    CHECK(dup2(stderr_fd, 2) == 2);
    close(stderr_fd);
    close(nowhere);
    return status;
}

static bool same_signals(const sigset_t *one, const sigset_t *other)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        if (sigismember(one, number) != sigismember(other, number))
            return false;
    return true;
}

static bool connects(libchat_conn *conn)
{
    libchat_conn_options options = LIBCHAT_INIT(libchat_conn_options);
    libchat_error *error;
    sigset_t before, after;

    options.servers = url;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
    libchat_status status = connect_in_silence(&options, conn, &error);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &after) == 0);
    CHECK(same_signals(&before, &after)); /* the host's mask is as it was */
    check_error(status, error);
    libchat_error_free(error);
    CHECK(status == LIBCHAT_OK || status == LIBCHAT_ERR_SYSTEM);
    CHECK((status == LIBCHAT_OK) == (*conn != 0));
    return status == LIBCHAT_OK;
}

/* Works with the threads that there are, be they few. */
static void use(libchat_conn conn)
{
    libchat_watch_options options = LIBCHAT_INIT(libchat_watch_options);
    libchat_manager manager = open_as(conn, "ana");
    long before = counter_value(&heard);
    libchat_watch watches[4];

    options.on_event = on_event;
    for (int n = 0; n < 4; n++)
        OK(libchat_watch_thread(manager, "plan", &options, &watches[n], ERR));
    send_text(manager, "plan", "x");
    counter_wait(&heard, before + 4);
}

int main(int argc, char **argv)
{
    libchat_conn conn;
    int needed = 0;

    begin(argc, argv);
    for (;; needed++) {
        atomic_store(&threads_left, needed);
        if (connects(&conn))
            break;
        CHECK(needed < 20);
    }
    CHECK(needed > 0 && atomic_load(&refused) >= needed);
    figure("a connection needs %d threads", needed);
    use(conn); /* with not one more */
    close_conn(conn);
    atomic_store(&threads_left, -1);
    CHECK(connects(&conn));
    use(conn);
    close_conn(conn);
    return end();
}
