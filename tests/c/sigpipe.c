/*
 * The server is killed under a host that never heard of SIGPIPE, and the host goes on sending: it
 * lives, its sends say what became of them, and all goes on when the server is back. Point 16.
 */
#include "support.h"

#include <netinet/in.h>
#include <sys/socket.h>

static libchat_manager manager;
static struct counter completed = COUNTER;
static atomic_int stored_count, unknown_count, other_count;

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    (void)user_data;
    check_error(status, error);
    CHECK(receipt->id[0] != 0);
    if (status == LIBCHAT_OK)
        atomic_fetch_add(&stored_count, 1);
    else if (status == LIBCHAT_ERR_OUTCOME_UNKNOWN)
        atomic_fetch_add(&unknown_count, 1);
    else
        atomic_fetch_add(&other_count, 1);
    counter_add(&completed, 1);
}

static long send_many(long count, uint32_t timeout_ms)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    long taken = 0;

    options.timeout_ms = timeout_ms;
    options.flags = LIBCHAT_UNORDERED;
    for (long n = 0; n < count; n++) {
        OK(libchat_send_async(manager, "plan", text("x"), &options, on_sent, NULL, ERR));
        taken++;
    }
    return taken;
}

/* The socket on which libchat talks to the server. */
static int its_socket(void)
{
    int port = atoi(strrchr(url, ':') + 1);

    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && size == sizeof peer &&
            peer.sin_family == AF_INET && ntohs(peer.sin_port) == port)
            return fd;
    }
    fail(__FILE__, __LINE__, "its_socket", "none");
}

/* A kill is mostly noticed by reading. This is noticed by writing, for certain: the frozen server
 * cannot say that the connection is over, and the socket takes nothing any more. */
static long write_to_a_broken_pipe(void)
{
    server_signal(SIGSTOP);
    CHECK(shutdown(its_socket(), SHUT_WR) == 0);
    long taken = send_many(100, 60000);
    server_signal(SIGCONT);
    return taken;
}

int main(int argc, char **argv)
{
    libchat_send_options brief = LIBCHAT_INIT(libchat_send_options);
    struct sigaction action;
    libchat_receipt receipt;
    long taken = 0;

    begin(argc, argv);
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    for (long n = rounds(5); n > 0; n--) {
        taken += send_many(200, 60000);
        server_signal(SIGKILL);
        taken += send_many(100, 300);
        brief.timeout_ms = 200;
        libchat_error *error;
        libchat_status status = libchat_send(manager, "brief", text("x"), &brief, &receipt, &error);
        CHECK(status != LIBCHAT_OK && receipt.id[0] != 0);
        libchat_error_free(error);
        OK(libchat_local_server_start(folder, url, sizeof url, ERR));
        send_text(manager, "back", "again");
        counter_wait(&completed, taken);
        taken += write_to_a_broken_pipe();
        counter_wait(&completed, taken);
    }
    CHECK_EQ(taken, counter_value(&completed));
    /* What was said to be stored is. */
    CHECK((long)stored(manager, "plan") >= atomic_load(&stored_count));
    CHECK_EQ(rounds(5), stored(manager, "back"));
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    figure("%ld sends round %ld kills and broken pipes: %d stored, %d unknown, %d not sent", taken,
           rounds(5), atomic_load(&stored_count), atomic_load(&unknown_count),
           atomic_load(&other_count));
    close_conn(conn);
    return end();
}
