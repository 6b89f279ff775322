/*
 * A connection closed with 1,000 sends under way: exactly 1,000 completions by the time the close
 * has returned, and each tells the truth about what is stored. Points 5 and 10 of the contract.
 */
#include "support.h"

enum { SENDS = 1000 };

static struct outgoing {
    atomic_int completions;
    libchat_status status;
    char id[LIBCHAT_ID_MAX + 1];
} outgoing[SENDS];

static atomic_bool closed;
static atomic_int inside;

static void on_sent(libchat_status status, const libchat_receipt *receipt,
                    const libchat_error *error, void *user_data)
{
    struct outgoing *it = user_data;

    CHECK(!atomic_load(&closed));
    CHECK(!atomic_exchange(&inside, 1)); /* completions of one manager come one by one */
    check_error(status, error);
    CHECK(status == LIBCHAT_OK || status == LIBCHAT_ERR_CLOSED ||
          status == LIBCHAT_ERR_OUTCOME_UNKNOWN);
    if (status == LIBCHAT_ERR_OUTCOME_UNKNOWN)
        CHECK(!strcmp(failure.id, receipt->id));
    it->status = status;
    CHECK(strlen(receipt->id) == 32);
    strcpy(it->id, receipt->id);
    CHECK_EQ(0, atomic_fetch_add(&it->completions, 1));
    atomic_store(&inside, 0);
}

static int completed(libchat_status status)
{
    int count = 0;

    for (int n = 0; n < SENDS; n++)
        count += outgoing[n].status == status;
    return count;
}

/* By a new connection, after the fact: a success is stored, a CLOSED is not. */
static void compare_with_the_stream(const char *how, const char *thread)
{
    libchat_conn conn = connect_here();
    const libchat_events *events = read_all(open_as(conn, "ben"), thread);
    bool is_stored[SENDS] = {false};

    for (size_t n = 0; n < libchat_events_len(events); n++) {
        const libchat_message *message = libchat_events_get(events, n)->message;
        long number = number_of(message);
        CHECK(number >= 0 && number < SENDS && !is_stored[number]);
        is_stored[number] = true;
        CHECK_TEXT(outgoing[number].id, libchat_message_id(message));
    }
    for (int n = 0; n < SENDS; n++) {
        CHECK(outgoing[n].status != LIBCHAT_OK || is_stored[n]);
        CHECK(outgoing[n].status != LIBCHAT_ERR_CLOSED || !is_stored[n]);
    }
    figure("close with %d sends to a server that is %s: %d stored, %d unknown, %d not sent", SENDS,
           how, completed(LIBCHAT_OK), completed(LIBCHAT_ERR_OUTCOME_UNKNOWN),
           completed(LIBCHAT_ERR_CLOSED));
    libchat_events_release(events);
    close_conn(conn);
}

static void close_with_sends(const char *thread, bool frozen, bool manager_first)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ana");
    char body[16];

    memset(outgoing, 0, sizeof outgoing);
    atomic_store(&closed, false);
    options.flags = LIBCHAT_UNORDERED; /* all of them on the wire at once */
    if (frozen)
        server_signal(SIGSTOP);
    for (int n = 0; n < SENDS; n++) {
        snprintf(body, sizeof body, "%d", n);
        OK(libchat_send_async(manager, thread, text(body), n % 2 ? &options : NULL, on_sent,
                              &outgoing[n], ERR));
    }
    if (manager_first)
        OK(libchat_manager_close(manager, LIBCHAT_INFINITE, ERR));
    else
        close_conn(conn);
    atomic_store(&closed, true);
    for (int n = 0; n < SENDS; n++)
        CHECK_EQ(1, atomic_load(&outgoing[n].completions));
    if (manager_first)
        close_conn(conn);
    if (frozen)
        server_signal(SIGCONT);
    compare_with_the_stream(frozen ? "frozen" : "running", thread);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    close_with_sends("one", false, false);
    close_with_sends("two", true, false);
    close_with_sends("three", false, true);
    close_with_sends("four", true, true);
    return end();
}
