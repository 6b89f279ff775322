/*
 * Sends whose ends are kept: libchat_sent_take hands each out once with what the host gave, the
 * descriptor is readable while there are any, what is kept counts as under way, and a close waits
 * until all is taken. Point 5 of the contract.
 */
#include <poll.h>

#include "support.h"

enum { MAX = 64 };

static libchat_manager manager;

static bool is_readable(intptr_t fd, int timeout_ms)
{
    struct pollfd wanted = {(int)fd, POLLIN, 0};
    return poll(&wanted, 1, timeout_ms) == 1;
}

static libchat_status send_kept(const char *body, uintptr_t number)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_error *error;

    options.flags = LIBCHAT_KEEP;
    options.timeout_ms = 100000;
    libchat_status status = libchat_send_async(manager, "plan", text(body), &options, NULL,
                                               (void *)number, &error);
    check_error(status, error);
    libchat_error_free(error);
    return status;
}

/* Takes `count`, in the order of the calls, as they are of one thread. */
static void take(intptr_t fd, uintptr_t first, size_t count)
{
    libchat_sent sent[MAX];

    for (size_t taken = 0; taken < count;) {
        size_t len = 0;
        CHECK(is_readable(fd, 60000));
        OK(libchat_sent_take(manager, sent, MAX, &len, ERR));
        CHECK(len > 0 && len <= MAX);
        for (size_t n = 0; n < len; n++, taken++) {
            CHECK_EQ(LIBCHAT_OK, sent[n].status);
            CHECK_EQ((long long)(first + taken), (long long)(uintptr_t)sent[n].user_data);
            CHECK(sent[n].error == NULL && sent[n].reserved0 == 0);
            CHECK(strlen(sent[n].receipt.id) == 32 && sent[n].receipt.cursor.seq > 0);
        }
    }
    size_t none = 1;
    CHECK(!is_readable(fd, 0));
    EXPECT(LIBCHAT_EMPTY, libchat_sent_take(manager, sent, MAX, &none, ERR));
    CHECK_EQ(0, none);
}

static void misuse(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_sent sent[1];
    size_t len = 1;
    intptr_t fd = 0;

    options.flags = LIBCHAT_KEEP;
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_send(manager, "plan", text("x"), &options, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_send_async(manager, "plan", text("x"), &options,
                                                            count_sent, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_sent_take(manager, NULL, 1, &len, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_sent_take(manager, sent, 0, &len, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_sent_take(manager, sent, 1, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_HANDLE, libchat_sent_take(1, sent, 1, &len, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_HANDLE, libchat_sent_fd(1, &fd, ERR));
    CHECK_EQ(0, len);
    CHECK_EQ(-1, fd);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_sent_fd(manager, NULL, ERR));
}

/* An error is the host's to free, and outlives the manager. */
static libchat_error *failed(intptr_t fd)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_sent sent[1];
    size_t len;

    options.flags = LIBCHAT_KEEP;
    options.timeout_ms = 50;
    server_signal(SIGSTOP);
    OK(libchat_send_async(manager, "plan", text("x"), &options, NULL, &options, ERR));
    CHECK(is_readable(fd, 60000));
    server_signal(SIGCONT);
    OK(libchat_sent_take(manager, sent, 1, &len, ERR));
    CHECK_EQ(1, len);
    CHECK_EQ(LIBCHAT_ERR_OUTCOME_UNKNOWN, sent[0].status);
    CHECK_EQ(LIBCHAT_ERR_OUTCOME_UNKNOWN, libchat_error_code(sent[0].error));
    CHECK(!strcmp(sent[0].receipt.id, libchat_error_id(sent[0].error)));
    CHECK(sent[0].user_data == &options);
    return sent[0].error;
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    intptr_t fd = -1, late = -1;
    libchat_sent sent[MAX];
    size_t len;

    misuse();
    OK(libchat_sent_fd(manager, &fd, ERR));
    CHECK(!is_readable(fd, 0));
    for (uintptr_t n = 0; n < 200; n++)
        CHECK_EQ(LIBCHAT_OK, send_kept("x", n));
    take(fd, 0, 200);

    /* What is kept counts as under way. */
    for (uintptr_t n = 0; n < 1024; n++)
        CHECK_EQ(LIBCHAT_OK, send_kept("x", 200 + n));
    while (stored(manager, "plan") < 1224)
        sched_yield();
    CHECK_EQ(LIBCHAT_ERR_BUSY, send_kept("x", 0));
    OK(libchat_sent_fd(manager, &late, ERR)); /* made when there was something already */
    CHECK(is_readable(late, 60000));
    close((int)late);
    take(fd, 200, 1024);
    libchat_error *error = failed(fd);

    /* A close waits until all is taken; from then on the descriptor is readable for ever. */
    CHECK_EQ(LIBCHAT_OK, send_kept("x", 7));
    CHECK(is_readable(fd, 60000));
    EXPECT(LIBCHAT_ERR_TIMEOUT, libchat_manager_close(manager, 50, ERR));
    OK(libchat_sent_take(manager, sent, MAX, &len, ERR));
    CHECK_EQ(1, len);
    OK(libchat_manager_close(manager, 60000, ERR));
    EXPECT(LIBCHAT_ERR_CLOSED, libchat_sent_take(manager, sent, MAX, &len, ERR));
    CHECK_EQ(0, len);
    CHECK(is_readable(fd, 0));
    close((int)fd);
    close_conn(conn);
    CHECK(*libchat_error_message(error));
    libchat_error_free(error);
    return end();
}
