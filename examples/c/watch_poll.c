/*
 * A watch in the poll(2) loop of a host: watch_poll [PROJECT [AGENT]]
 *
 * Sends each line of the input to thread "plan" and prints what is said there, until the input has
 * ended and all that was sent has come back.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <libchat.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t sent, heard; /* the numbers of the last message sent, and heard */

static void check(libchat_status status, libchat_error **err)
{
    if (status == LIBCHAT_OK)
        return;
    fprintf(stderr, "watch_poll: %s\n", libchat_error_message(*err));
    exit(1);
}

/* Says whether there was a line to send. */
static bool send_line(libchat_manager manager)
{
    char line[1000];
    libchat_bytes body = { (const uint8_t *)line, 0 };
    libchat_receipt receipt;
    libchat_error *err;

    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    body.len = strcspn(line, "\n");
    check(libchat_send(manager, "plan", body, NULL, &receipt, &err), &err);
    sent = receipt.cursor.seq;
    return true;
}

static void print_event(const libchat_event *event)
{
    libchat_bytes sender = libchat_message_sender(event->message);
    libchat_bytes body = libchat_message_body(event->message);

    if (event->kind == LIBCHAT_EVENT_MESSAGE) {
        printf("%.*s: ", (int)sender.len, (const char *)sender.data);
        printf("%.*s\n", (int)body.len, (const char *)body.data);
        heard = event->cursor.seq;
    } else if (event->kind != LIBCHAT_EVENT_CAUGHT_UP) {
        printf("event %d\n", (int)event->kind);
    }
    fflush(stdout);
}

/* Takes what there is, which may be nothing, and does not wait. */
static void take(libchat_watch watch)
{
    const libchat_events *events;
    libchat_error *err;
    libchat_status status = libchat_watch_take(watch, 100, 0, &events, &err);

    if (status != LIBCHAT_EMPTY)
        check(status, &err);
    for (size_t i = 0; i < libchat_events_len(events); i++)
        print_event(libchat_events_get(events, i));
    libchat_events_release(events);
}

int main(int argc, char **argv)
{
    libchat_manager_options options = LIBCHAT_INIT(libchat_manager_options);
    libchat_watch_options pull = LIBCHAT_INIT(libchat_watch_options); /* it has no on_event */
    struct pollfd fds[2] = { { STDIN_FILENO, POLLIN, 0 }, { -1, POLLIN, 0 } };
    libchat_conn conn;
    libchat_manager manager;
    libchat_watch watch;
    libchat_error *err;
    intptr_t fd;

    options.project = argc > 1 ? argv[1] : "demo";
    options.agent_id = argc > 2 ? argv[2] : "ana";
    setvbuf(stdin, NULL, _IONBF, 0); /* poll knows nothing of lines that are read ahead */
    check(libchat_connect(NULL, &conn, &err), &err);
    check(libchat_open(conn, &options, &manager, &err), &err);
    check(libchat_watch_thread(manager, "plan", &pull, &watch, &err), &err);
    check(libchat_watch_fd(watch, &fd, &err), &err);
    fds[1].fd = (int)fd;
    while (fds[0].fd >= 0 || heard < sent) {
        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            perror("watch_poll");
            return 1;
        }
        if (fds[0].revents != 0 && !send_line(manager))
            fds[0].fd = -1; /* poll passes it by */
        if (fds[1].revents != 0)
            take(watch);
    }
    close((int)fd); /* it is ours */
    check(libchat_conn_close(conn, 2000, &err), &err);
    return 0;
}
