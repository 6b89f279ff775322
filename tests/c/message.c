/*
 * A message by its accessors; kept beyond its connection's life; with a NUL in what a peer wrote;
 * absent.
 */
#include "support.h"

static libchat_conn conn;
static libchat_manager manager;

static const libchat_message *only_message(const char *thread)
{
    const libchat_events *events = read_all(manager, thread);

    CHECK_EQ(1, libchat_events_len(events));
    const libchat_message *borrowed = libchat_events_get(events, 0)->message;
    const libchat_message *kept = libchat_message_retain(borrowed);
    CHECK(kept != NULL);
    libchat_events_release(events);
    return kept;
}

static const libchat_message *ours(void)
{
    libchat_send_options options = LIBCHAT_INIT(libchat_send_options);
    libchat_header headers[] = {{"B", "two"}, {"A", "one"}, {"B", "three"}};
    const libchat_header *found;
    libchat_receipt receipt;
    char id[9];

    options.reply_to = "job-7";
    options.headers = headers;
    options.headers_len = 3;
    OK(libchat_send(manager, "plan", text("h\xc3\xa9llo"), &options, &receipt, ERR));
    const libchat_message *message = only_message("plan");
    CHECK_TEXT(receipt.id, libchat_message_id(message));
    CHECK_TEXT("ana", libchat_message_sender(message));
    CHECK_TEXT("plan", libchat_message_thread(message));
    CHECK_TEXT("job-7", libchat_message_reply_to(message));
    CHECK_TEXT("h\xc3\xa9llo", libchat_message_body(message));
    OK(libchat_thread_short("demo", "plan", id, ERR));
    CHECK(!strcmp(id, libchat_message_short(message)));
    libchat_cursor cursor = libchat_message_cursor(message);
    CHECK(cursor.incarnation == receipt.cursor.incarnation && cursor.seq == receipt.cursor.seq);
    int64_t sent = libchat_message_sent_ns(message), stored_at = libchat_message_time_ns(message);
    CHECK(sent > 1600000000000000000 && stored_at > 1600000000000000000);
    CHECK_EQ((uint32_t)stored_at, cursor.check);
    CHECK_EQ(3, libchat_message_headers(message, &found));
    CHECK(!strcmp(found[0].name, "A") && !strcmp(found[0].value, "one"));
    CHECK(!strcmp(found[1].value, "two") && !strcmp(found[2].value, "three"));
    CHECK(!strcmp(libchat_message_header(message, "B"), "two"));
    CHECK(libchat_message_header(message, "b") == NULL);
    CHECK(libchat_message_header(message, NULL) == NULL);
    CHECK_EQ(3, libchat_message_headers(message, NULL));
    return message;
}

/* Bytes with a length, and a NUL behind them, whatever a peer has written into them. */
static const libchat_message *with_nul(void)
{
    raw_store("nul", "{\"id\":\"i\\u0000d\",\"from\":\"a\\u0000b\",\"thread\":\"x\","
                     "\"body\":\"c\\u0000d\",\"timestamp\":\"2026-01-02T03:04:05.006Z\","
                     "\"reply_to\":\"e\\u0000f\"}");
    const libchat_message *message = only_message("nul");
    const struct {
        libchat_bytes found;
        const char *wanted;
    } parts[] = {{libchat_message_id(message), "i\0d"},
                 {libchat_message_sender(message), "a\0b"},
                 {libchat_message_body(message), "c\0d"},
                 {libchat_message_reply_to(message), "e\0f"}};

    for (int n = 0; n < 4; n++) {
        CHECK_EQ(3, parts[n].found.len);
        CHECK(!memcmp(parts[n].found.data, parts[n].wanted, 4));
    }
    CHECK_TEXT("", libchat_message_thread(message)); /* no name is stored with it */
    uint32_t nanos = 0;
    CHECK_EQ(1767323045006000000, libchat_message_sent_ns(message));
    CHECK_EQ(1767323045, libchat_message_sent_seconds(message, &nanos));
    CHECK_EQ(6000000, nanos);
    CHECK_EQ(0, libchat_message_headers(message, NULL));
    return message;
}

/* As a peer writes it that gives no time: the first year's beginning. */
static void without_time(void)
{
    raw_store("timeless", "{\"id\":\"1\",\"from\":\"ana\",\"thread\":\"x\",\"body\":\"b\"}");
    const libchat_message *message = only_message("timeless");

    CHECK_EQ(INT64_MIN, libchat_message_sent_ns(message));
    CHECK_EQ(-62135596800, libchat_message_sent_seconds(message, NULL));
    libchat_message_release(message);
}

static void absent(void)
{
    const libchat_header *headers = (const libchat_header *)1;
    libchat_cursor none = libchat_message_cursor(NULL), zero = {0};

    CHECK_TEXT("", libchat_message_id(NULL));
    CHECK_TEXT("", libchat_message_sender(NULL));
    CHECK_TEXT("", libchat_message_thread(NULL));
    CHECK_TEXT("", libchat_message_reply_to(NULL));
    CHECK_TEXT("", libchat_message_body(NULL));
    CHECK(!strcmp("", libchat_message_short(NULL)));
    CHECK_EQ(0, libchat_message_sent_ns(NULL));
    CHECK_EQ(0, libchat_message_sent_seconds(NULL, NULL));
    CHECK_EQ(0, libchat_message_time_ns(NULL));
    CHECK(!memcmp(&none, &zero, sizeof none));
    CHECK(libchat_message_header(NULL, "A") == NULL);
    CHECK_EQ(0, libchat_message_headers(NULL, &headers));
    CHECK(headers == NULL);
    CHECK(libchat_message_retain(NULL) == NULL);
    libchat_message_release(NULL);
}

/* Its references are counted: it is there until the last is given back. */
static void retained(void)
{
    const libchat_events *events = read_all(manager, "plan");
    const libchat_message *kept[100], *borrowed = libchat_events_get(events, 0)->message;

    for (int n = 0; n < 100; n++)
        kept[n] = libchat_message_retain(borrowed);
    libchat_events_release(events);
    for (int n = 0; n < 100; n++) {
        CHECK_TEXT("h\xc3\xa9llo", libchat_message_body(kept[n]));
        libchat_message_release(kept[n]);
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    conn = connect_here();
    manager = open_as(conn, "ana");
    const libchat_message *mine = ours(), *theirs = with_nul();
    without_time();
    retained();
    absent();
    close_conn(conn);
    wait_until_threads(0);
    CHECK_TEXT("h\xc3\xa9llo", libchat_message_body(mine));
    CHECK(!strcmp(libchat_message_header(mine, "A"), "one"));
    CHECK_EQ(3, libchat_message_body(theirs).len);
    libchat_message_release(mine);
    libchat_message_release(theirs);
    return end();
}
