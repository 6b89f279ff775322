/*
 * The descriptor of a pull watch: an edge for each change from empty to non-empty, readable as long
 * as a take would not wait, for ever after the end; the host's own, so that a poll in one thread
 * survives a close in another.
 */
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

static libchat_conn conn;
static libchat_manager manager;

static int fd_of(libchat_watch watch)
{
    ptrdiff_t fd;

    OK(libchat_watch_fd(watch, &fd, ERR));
    CHECK(fd > 2);
    CHECK(fcntl((int)fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl((int)fd, F_GETFL) & O_NONBLOCK);
    return (int)fd;
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    CHECK(poll(&poll_fd, 1, 0) >= 0);
    CHECK(!(poll_fd.revents & (POLLERR | POLLNVAL)));
    return poll_fd.revents & POLLIN;
}

/* Takes what there is; gives the number of messages, and the status that ended it. */
static long drain(libchat_watch watch, libchat_status *status)
{
    const libchat_events *events;
    libchat_error *error;
    long messages = 0;

    while ((*status = libchat_watch_take(watch, 2, 0, &events, &error)) == LIBCHAT_OK) {
        CHECK(libchat_events_len(events) >= 1 && libchat_events_len(events) <= 2);
        for (size_t n = 0; n < libchat_events_len(events); n++)
            messages += libchat_events_get(events, n)->kind == LIBCHAT_EVENT_MESSAGE;
        libchat_events_release(events);
    }
    CHECK(events == NULL);
    check_error(*status, error);
    libchat_error_free(error);
    return messages;
}

/* Edge-triggered, as an event loop does it: wait for an edge, take until EMPTY, wait again. */
static void every_change_is_an_edge(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;
    libchat_status status;
    libchat_watch watch;

    OK(libchat_watch_thread(manager, "edges", NULL, &watch, ERR));
    int fd = fd_of(watch), loop = epoll_create1(EPOLL_CLOEXEC);
    CHECK(loop >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0);
    for (long n = 0; n < rounds(500); n++) {
        send_text(manager, "edges", "x");
        for (long taken = 0; taken < 1;) {
            CHECK(epoll_wait(loop, &got, 1, -1) == 1);
            taken += drain(watch, &status);
            CHECK_EQ(LIBCHAT_EMPTY, status);
        }
    }
    OK(libchat_watch_stop(watch));
    do {
        CHECK(epoll_wait(loop, &got, 1, -1) == 1);
        drain(watch, &status);
    } while (status == LIBCHAT_EMPTY);
    CHECK_EQ(LIBCHAT_END, status);
    close(loop);
    close(fd);
    OK(libchat_watch_close(watch));
}

/* Events keep coming while they are taken: none is left lying without an edge to tell of it. */
static void none_is_left_lying(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;
    long all = rounds(5000), taken = 0, sent = 0;
    libchat_status status;
    libchat_watch watch;

    OK(libchat_watch_thread(manager, "flood", NULL, &watch, ERR));
    int fd = fd_of(watch), loop = epoll_create1(EPOLL_CLOEXEC);
    CHECK(loop >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0);
    while (taken < all) {
        libchat_error *error;
        while (sent < all && sent < taken + 300 &&
               libchat_send_async(manager, "flood", text("x"), NULL, count_sent, NULL, &error) ==
                   LIBCHAT_OK)
            sent++;
        CHECK(epoll_wait(loop, &got, 1, -1) == 1);
        taken += drain(watch, &status);
        CHECK_EQ(LIBCHAT_EMPTY, status);
    }
    CHECK_EQ(all, taken);
    close(loop);
    close(fd);
    OK(libchat_watch_close(watch));
}

/* Made while events come and go, it does not stay readable with nothing to take. */
static void it_comes_to_rest(void)
{
    libchat_status status;

    for (long n = rounds(200); n > 0; n--) {
        libchat_watch watch;
        OK(libchat_watch_thread(manager, "rest", NULL, &watch, ERR));
        OK(libchat_send_async(manager, "rest", text("x"), NULL, count_sent, NULL, ERR));
        int fd = fd_of(watch);
        for (long taken = 0; taken < 1;)
            taken += drain(watch, &status);
        int idle = 0;
        for (; idle < 1000 && is_readable(fd); idle++)
            drain(watch, &status);
        CHECK(idle < 1000);
        close(fd);
        OK(libchat_watch_close(watch));
    }
}

static void readable_means_that_a_take_does_not_wait(void)
{
    const libchat_events *events;
    libchat_status status;
    libchat_watch watch;

    OK(libchat_watch_thread(manager, "levels", NULL, &watch, ERR));
    int fd = fd_of(watch), other = fd_of(watch);
    CHECK(fd != other);
    next_of(watch, LIBCHAT_EVENT_CAUGHT_UP, &events);
    libchat_events_release(events);
    send_numbers(manager, "levels", 3);
    next_of(watch, LIBCHAT_EVENT_MESSAGE, &events);
    libchat_events_release(events);
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
    for (long taken = drain(watch, &status); taken < 2; taken += drain(watch, &status))
        CHECK(poll(both, 1, -1) == 1);
    close(other); /* one duplicate closed is nothing to the other */
    OK(libchat_watch_stop(watch));
    CHECK(poll(both, 1, -1) == 1);
    for (int n = 0; n < 3; n++) {
        CHECK(is_readable(fd)); /* for ever */
        EXPECT(LIBCHAT_END, libchat_watch_take(watch, 1, 0, &events, ERR));
    }
    int late = fd_of(watch); /* made after the end */
    CHECK(is_readable(late));
    OK(libchat_watch_close(watch));
    CHECK(is_readable(fd) && is_readable(late)); /* the host's own, and valid */
    close(fd);
    close(late);
}

struct poller {
    libchat_watch watch;
    int fd;
    atomic_int thread;
};

static void *poll_until_closed(void *argument)
{
    struct poller *poller = argument;
    struct pollfd poll_fd = {.fd = poller->fd, .events = POLLIN};
    libchat_status status;

    do {
        atomic_store(&poller->thread, gettid());
        CHECK(poll(&poll_fd, 1, -1) == 1 && poll_fd.revents == POLLIN);
        drain(poller->watch, &status);
    } while (status == LIBCHAT_EMPTY);
    CHECK_EQ(LIBCHAT_ERR_CLOSED, status);
    CHECK(is_readable(poller->fd));
    return NULL;
}

static void a_poll_survives_the_close(bool of_the_connection)
{
    libchat_conn own = connect_here();
    libchat_manager eve = open_as(own, "eve");
    struct poller poller = {0};

    OK(libchat_watch_thread(eve, "quiet", NULL, &poller.watch, ERR));
    poller.fd = fd_of(poller.watch);
    pthread_t thread = thread_start(poll_until_closed, &poller);
    while (!atomic_load(&poller.thread))
        sched_yield();
    wait_until_asleep(atomic_load(&poller.thread));
    if (of_the_connection)
        close_conn(own);
    else
        OK(libchat_manager_close(eve, LIBCHAT_INFINITE, ERR));
    thread_join(thread);
    CHECK(is_readable(poller.fd));
    CHECK(close(poller.fd) == 0);
    close_conn(own);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    conn = connect_here();
    manager = open_as(conn, "ana");
    every_change_is_an_edge();
    none_is_left_lying();
    it_comes_to_rest();
    readable_means_that_a_take_does_not_wait();
    for (long n = rounds(20); n > 0; n--)
        a_poll_survives_the_close(n % 2 == 0);
    close_conn(conn);
    return end();
}
