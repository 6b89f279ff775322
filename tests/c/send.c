/*
 * What a send gives and refuses: receipt and id, idempotency, reply_to, headers, a condition, a
 * thread by its short, bodies that are empty, absent, too large or no text.
 */
#include "support.h"

static libchat_manager manager;

static libchat_status send_as(const char *thread, const libchat_send_options *options,
                              libchat_receipt *out, libchat_status wanted)
{
    memset(out, 0xa5, sizeof *out);
    EXPECT(wanted, libchat_send(manager, thread, text("body"), options, out, ERR));
    CHECK(memchr(out->id, 0, sizeof out->id) != NULL);
    if (wanted != LIBCHAT_OK)
        CHECK(!out->cursor.seq && !out->cursor.incarnation && !out->duplicate);
    return wanted;
}

static void one_id_is_stored_once(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_receipt first, second, fresh;

    options.id = "job-7";
    send_as("once", &options, &first, LIBCHAT_OK);
    send_as("once", &options, &second, LIBCHAT_OK);
    CHECK(!strcmp(first.id, "job-7") && !strcmp(second.id, "job-7"));
    CHECK(!first.duplicate && second.duplicate == 1);
    CHECK(first.cursor.seq > 0 && first.cursor.incarnation > 0);
    CHECK_EQ(first.cursor.seq, second.cursor.seq);
    send_as("once", NULL, &fresh, LIBCHAT_OK);
    CHECK(strlen(fresh.id) == 32 && fresh.cursor.seq == first.cursor.seq + 1);
    CHECK_EQ(2, stored(manager, "once"));
}

static void a_condition_holds_or_conflicts(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_receipt first, second, third;

    options.flags = LIBCHAT_EXPECT_LAST;
    send_as("lock", &options, &first, LIBCHAT_OK); /* while it is empty */
    send_as("lock", &options, &second, LIBCHAT_ERR_CONFLICT);
    CHECK(strlen(second.id) == 32);
    CHECK_EQ(10071, failure.server_code);
    options.expect_last = first.cursor;
    send_as("lock", &options, &second, LIBCHAT_OK);
    send_as("lock", &options, &third, LIBCHAT_ERR_CONFLICT);
    options.expect_last.incarnation++;
    send_as("lock", &options, &third, LIBCHAT_ERR_CONFLICT); /* a place of another stream */
    options.expect_last = first.cursor;
    options.expect_last.seq = UINT64_MAX;
    send_as("lock", &options, &third, LIBCHAT_ERR_CONFLICT); /* a place that cannot be */
    CHECK(strlen(third.id) == 32);
    options.flags = 0; /* a forgotten flag is no send without a condition */
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_send(manager, "lock", text("x"), &options, NULL, ERR));
    CHECK_EQ(2, stored(manager, "lock"));
}

static void what_is_given_arrives(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_header headers[] = {{"traceparent", "00-ab-cd-01"}, {"X-Kind", "note"}};
    libchat_receipt receipt;
    char id[9];

    options.reply_to = "job-7";
    options.headers = headers;
    options.headers_len = 2;
    send_as("given", &options, &receipt, LIBCHAT_OK);
    OK(libchat_thread_short("demo", "given", id, ERR));
    options.flags = LIBCHAT_BY_SHORT;
    send_as(id, &options, &receipt, LIBCHAT_OK);
    send_as("given", &options, &receipt, LIBCHAT_ERR_INVALID_ARGUMENT); /* no short */
    const libchat_events *events = read_all(manager, "given");
    CHECK_EQ(2, libchat_events_len(events));
    for (int n = 0; n < 2; n++) {
        const libchat_message *message = libchat_events_get(events, (size_t)n)->message;
        CHECK_TEXT("body", libchat_message_body(message));
        CHECK_TEXT("ana", libchat_message_sender(message));
        CHECK_TEXT("job-7", libchat_message_reply_to(message));
        CHECK_TEXT(n ? "" : "given", libchat_message_thread(message)); /* by short: no name */
        CHECK(!strcmp(libchat_message_header(message, "X-Kind"), "note"));
    }
    libchat_events_release(events);
}

static void bodies(void)
{
    static char large[2 << 20];
    libchat_bytes none = {NULL, 0}, absent = {NULL, 1};
    libchat_bytes broken = {(const uint8_t *)"a\xff", 2}, whole = {(const uint8_t *)"a\0b", 3};
    libchat_bytes long_one = {(const uint8_t *)large, sizeof large};

    OK(libchat_send(manager, "bodies", none, NULL, NULL, ERR));
    OK(libchat_send(manager, "bodies", whole, NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_send(manager, "bodies", absent, NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_send(manager, "bodies", broken, NULL, NULL, ERR));
    CHECK(strstr(failure.text, "byte 1") != NULL);
    memset(large, 'x', sizeof large);
    EXPECT(LIBCHAT_ERR_TOO_LARGE, libchat_send(manager, "bodies", long_one, NULL, NULL, ERR));
    CHECK(strstr(failure.text, "xxx") == NULL); /* no body in an error */
    const libchat_events *events = read_all(manager, "bodies");
    CHECK_EQ(2, libchat_events_len(events));
    CHECK_TEXT("", libchat_message_body(libchat_events_get(events, 0)->message));
    libchat_bytes back = libchat_message_body(libchat_events_get(events, 1)->message);
    CHECK(back.len == 3 && !memcmp(back.data, "a\0b", 4));
    libchat_events_release(events);
}

static void what_may_not_be_is_refused(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    char long_id[LIBCHAT_ID_MAX + 2];
    libchat_header ours = {"Nats-Msg-Id", "x"}, nameless = {NULL, "x"}, broken = {"a", "b\r\nc"};
    libchat_receipt receipt;

    memset(long_id, 'x', sizeof long_id);
    long_id[LIBCHAT_ID_MAX + 1] = 0;
    const char *ids[] = {"", "a\nb", long_id, " a", "a\xff"};
    for (int n = 0; n < 5; n++) {
        options.id = ids[n];
        send_as("refused", &options, &receipt, LIBCHAT_ERR_INVALID_ARGUMENT);
    }
    options.id = NULL;
    const libchat_header *headers[] = {&ours, &nameless, &broken, NULL};
    options.headers_len = 1;
    for (int n = 0; n < 4; n++) {
        options.headers = headers[n];
        send_as("refused", &options, &receipt, LIBCHAT_ERR_INVALID_ARGUMENT);
    }
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_send(manager, "", text("x"), NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_send(manager, NULL, text("x"), NULL, NULL, ERR));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_send(manager, "a\xff", text("x"), NULL, NULL, ERR));
    CHECK_EQ(0, stored(manager, "refused"));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    libchat_conn conn = connect_here();

    manager = open_as(conn, "ana");
    one_id_is_stored_once();
    a_condition_holds_or_conflicts();
    what_is_given_arrives();
    bodies();
    what_may_not_be_is_refused();
    close_conn(conn);
    return end();
}
