/*
 * A send that the server took but did not confirm in time has an unknown outcome, and an id: sent
 * again under it, it is stored once. What was never written says so instead, and is not stored.
 */
#include "support.h"

static libchat_manager manager;
static struct counter completed = COUNTER;

static libchat_send_options within(uint32_t timeout_ms, const char *id)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);

    options.timeout_ms = timeout_ms;
    options.id = id;
    return options;
}

/* Fails with OUTCOME_UNKNOWN; gives the id. */
static void send_unknown(const char *thread, const char *given, char id[LIBCHAT_ID_MAX + 1])
{
    libchat_send_options options = within(300, given);
    libchat_receipt receipt;

    EXPECT(LIBCHAT_ERR_OUTCOME_UNKNOWN,
           libchat_send(manager, thread, text("once"), &options, &receipt, ERR));
    CHECK(!strcmp(receipt.id, failure.id));
    CHECK(given ? !strcmp(receipt.id, given) : strlen(receipt.id) == 32);
    CHECK(receipt.cursor.seq == 0 && receipt.cursor.incarnation == 0 && !receipt.duplicate);
    /* Only whoever gave the id can repeat the call as it stands. */
    CHECK_EQ(given != NULL, failure.retryable);
    CHECK(failure.hint[0] != 0);
    strcpy(id, receipt.id);
}

static void send_again(const char *thread, const char *id)
{
    libchat_send_options options = within(0, id);
    libchat_receipt receipt, third;

    OK(libchat_send(manager, thread, text("once"), &options, &receipt, ERR));
    CHECK(!strcmp(receipt.id, id));
    CHECK_EQ(1, receipt.duplicate); /* the frozen server had got the first copy */
    OK(libchat_send(manager, thread, text("once"), &options, &third, ERR));
    CHECK_EQ(1, third.duplicate);
    CHECK_EQ(receipt.cursor.seq, third.cursor.seq);
    const libchat_events *events = read_all(manager, thread);
    CHECK_EQ(1, libchat_events_len(events));
    const libchat_message *message = libchat_events_get(events, 0)->message;
    CHECK_TEXT(id, libchat_message_id(message));
    CHECK_TEXT("once", libchat_message_body(message));
    CHECK_EQ(receipt.cursor.seq, libchat_message_cursor(message).seq);
    libchat_events_release(events);
}

static void on_unknown(libchat_status status, const libchat_receipt *receipt,
                       const libchat_error *error, void *user_data)
{
    check_error(status, error);
    CHECK_EQ(LIBCHAT_ERR_OUTCOME_UNKNOWN, status);
    CHECK(!strcmp(receipt->id, failure.id));
    strcpy(user_data, receipt->id);
    counter_add(&completed, 1);
}

int main(int argc, char **argv)
{
    char fresh[LIBCHAT_ID_MAX + 1], given[LIBCHAT_ID_MAX + 1], later[LIBCHAT_ID_MAX + 1];
    libchat_send_options brief = within(300, NULL), briefer = within(50, NULL);
    libchat_receipt receipt;

    begin(argc, argv);
    libchat_conn conn = connect_here();
    manager = open_as(conn, "ana");
    server_signal(SIGSTOP);
    send_unknown("fresh", NULL, fresh);
    send_unknown("given", "job-7", given);
    OK(libchat_send_async(manager, "later", text("once"), &brief, on_unknown, later, ERR));

    /* Behind that one, and given up before it: never written. */
    brief.timeout_ms = 60000;
    OK(libchat_send_async(manager, "line", text("first"), &brief, NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_TIMEOUT,
           libchat_send(manager, "line", text("second"), &briefer, &receipt, ERR));
    CHECK(strlen(receipt.id) == 32 && !strcmp(receipt.id, failure.id));
    CHECK(failure.retryable);
    counter_wait(&completed, 1);
    server_signal(SIGCONT);

    send_again("fresh", fresh);
    send_again("given", given);
    send_again("later", later);
    send_text(manager, "line", "third"); /* so the first one is through */
    const libchat_events *events = read_all(manager, "line");
    CHECK_EQ(2, libchat_events_len(events));
    CHECK_TEXT("first", libchat_message_body(libchat_events_get(events, 0)->message));
    CHECK_TEXT("third", libchat_message_body(libchat_events_get(events, 1)->message));
    libchat_events_release(events);
    close_conn(conn);
    return end();
}
