/* Cursors as text: there and back, what is no cursor, and buffers that are too small. */
#include "support.h"

static libchat_cursor parsed(const char *cursor_text)
{
    libchat_cursor cursor;

    memset(&cursor, 0xa5, sizeof cursor);
    OK(libchat_cursor_parse(cursor_text, &cursor, ERR));
    CHECK_EQ(0, cursor.reserved0);
    return cursor;
}

static void there_and_back(uint64_t incarnation, uint64_t seq, uint32_t check, const char *wanted)
{
    libchat_cursor cursor = {incarnation, seq, check, 0}, back;
    char buffer[LIBCHAT_CURSOR_SIZE];

    memset(buffer, 0xa5, sizeof buffer);
    OK(libchat_cursor_format(cursor, buffer, sizeof buffer, ERR));
    if (wanted)
        CHECK_TEXT(wanted, text(buffer));
    back = parsed(buffer);
    CHECK(!memcmp(&cursor, &back, sizeof cursor));
}

static void not_a_cursor(const char *cursor_text)
{
    libchat_cursor cursor, zero = {0};

    memset(&cursor, 0xa5, sizeof cursor);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_cursor_parse(cursor_text, &cursor, ERR));
    CHECK(!memcmp(&cursor, &zero, sizeof cursor));
}

static void small_buffers(void)
{
    libchat_cursor cursor = {0x18a3f, 42, 0xbeef, 0};
    const char *wanted = "c1.18a3f.42.beef";
    char buffer[LIBCHAT_CURSOR_SIZE];

    for (size_t size = 0; size <= strlen(wanted); size++) {
        memset(buffer, 0x7e, sizeof buffer);
        EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_cursor_format(cursor, buffer, size, ERR));
        for (size_t n = size; n < sizeof buffer; n++)
            CHECK_EQ(0x7e, buffer[n]); /* nothing beyond what was offered */
        CHECK(size == 0 || memchr(buffer, 0, size) != NULL);
    }
    OK(libchat_cursor_format(cursor, buffer, strlen(wanted) + 1, ERR));
    CHECK_TEXT(wanted, text(buffer));
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_cursor_format(cursor, NULL, 64, ERR));
}

static void from_a_receipt(void)
{
    libchat_conn conn = connect_here();
    libchat_manager manager = open_as(conn, "ana");
    libchat_history_options options = LIBCHAT_INIT(libchat_history_options);
    libchat_receipt receipt = send_text(manager, "plan", "0");
    char buffer[LIBCHAT_CURSOR_SIZE];
    const libchat_events *events;

    send_text(manager, "plan", "1");
    OK(libchat_cursor_format(receipt.cursor, buffer, sizeof buffer, ERR));
    options.start = LIBCHAT_START_AFTER;
    options.cursor = parsed(buffer);
    OK(libchat_history(manager, "plan", &options, &events, ERR));
    CHECK_EQ(1, libchat_events_len(events));
    CHECK_EQ(1, number_of(libchat_events_get(events, 0)->message));
    libchat_events_release(events);
    close_conn(conn);
}

int main(int argc, char **argv)
{
    static const char *const bad[] = {"",          "c1",          "c1.1.2",    "c1.1.2.3.4",
                                      "c2.1.2.3",  "c1.+1.2.3",   "c1.1.-2.3", "c1.1.2.1ffffffff",
                                      "c1.A.2.3",  " c1.1.2.3",   "c1.1.2.3 ", "c1.1.2.3\n",
                                      "c1..2.3",   "c1.1..3",     "c1.1.2.",   "c1.g.2.3",
                                      "c1.1.\xff", "c1.1.2.0x3"};
    char long_one[5000];

    begin(argc, argv);
    there_and_back(0x18a3f, 42, 0xbeef, "c1.18a3f.42.beef");
    there_and_back(1, 2, 0, "c1.1.2.0");
    there_and_back(0, 0, 0, NULL);
    there_and_back(UINT64_MAX, UINT64_MAX, UINT32_MAX,
                   "c1.ffffffffffffffff.18446744073709551615.ffffffff");
    for (size_t n = 0; n < sizeof bad / sizeof *bad; n++)
        not_a_cursor(bad[n]);
    not_a_cursor(NULL);
    memset(long_one, '1', sizeof long_one);
    long_one[sizeof long_one - 1] = 0;
    memcpy(long_one, "c1.", 3);
    not_a_cursor(long_one);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_cursor_parse("c1.1.2.3", NULL, ERR));
    small_buffers();
    from_a_receipt();
    return end();
}
