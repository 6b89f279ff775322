/*
 * The lists of threads: newest first, with counts, names and last messages; those of one agent; and
 * a summary struct of any size.
 */
#include "support.h"

static libchat_manager ana, ben;

static libchat_thread_summary summary(const libchat_threads *threads, size_t index)
{
    libchat_thread_summary out = LIBCHAT_INIT(libchat_thread_summary);
    char id[9];

    CHECK_EQ(LIBCHAT_OK, libchat_threads_get(threads, index, &out));
    CHECK(strlen(out.short_id) == 8);
    CHECK(out.name.data && out.last_sender.data && out.last_body.data);
    if (out.name.len) {
        OK(libchat_thread_short("demo", (const char *)out.name.data, id, ERR));
        CHECK(!strcmp(id, out.short_id));
    }
    return out;
}

static void all_threads(void)
{
    const libchat_threads *threads;

    OK(libchat_list_threads(ana, NULL, &threads, ERR));
    CHECK_EQ(3, libchat_threads_len(threads));
    libchat_thread_summary newest = summary(threads, 0), oldest = summary(threads, 2);
    CHECK_TEXT("empty body", newest.name);
    CHECK_TEXT("", newest.last_body);
    CHECK_TEXT("plan", summary(threads, 1).name);
    CHECK_TEXT("notes", oldest.name);
    CHECK_TEXT("ben", oldest.last_sender);
    CHECK_TEXT("b", oldest.last_body);
    CHECK_EQ(2, oldest.message_count);
    CHECK_EQ(1, newest.message_count);
    CHECK(newest.cursor.seq > oldest.cursor.seq);
    CHECK(newest.last_activity_ns >= oldest.last_activity_ns && oldest.last_activity_ns > 0);
    libchat_thread_summary out = LIBCHAT_INIT(libchat_thread_summary);
    CHECK_EQ(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_threads_get(threads, 3, &out));
    CHECK_EQ(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_threads_get(threads, SIZE_MAX, &out));
    CHECK_EQ(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_threads_get(threads, 0, NULL));
    libchat_threads_release(threads);
}

static void of_one_agent(void)
{
    const libchat_threads *threads;

    OK(libchat_threads_for_agent(ana, "ben", 10, NULL, &threads, ERR));
    CHECK_EQ(2, libchat_threads_len(threads));
    CHECK_TEXT("empty body", summary(threads, 0).name);
    CHECK_TEXT("notes", summary(threads, 1).name);
    libchat_threads_release(threads);
    OK(libchat_threads_for_agent(ana, "ben", 1, NULL, &threads, ERR));
    CHECK_EQ(1, libchat_threads_len(threads));
    libchat_threads_release(threads);
    OK(libchat_threads_for_agent(ana, "ben", 0, NULL, &threads, ERR));
    CHECK_EQ(0, libchat_threads_len(threads));
    libchat_threads_release(threads);
    OK(libchat_threads_for_agent(ana, "nobody", 10, NULL, &threads, ERR));
    CHECK_EQ(0, libchat_threads_len(threads));
    libchat_threads_release(threads);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_threads_for_agent(ana, "", 10, NULL, &threads, ERR));
    CHECK(threads == NULL);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT,
           libchat_threads_for_agent(ana, NULL, 10, NULL, &threads, ERR));
}

/* An older program's struct is filled as far as it goes, a newer one's gets zeros behind it. */
static void summaries_of_other_sizes(void)
{
    struct {
        libchat_thread_summary known;
        uint64_t unknown[4];
    } longer;
    libchat_thread_summary guard;
    const libchat_threads *threads;

    OK(libchat_list_threads(ana, NULL, &threads, ERR));
    memset(&guard, 0xa5, sizeof guard);
    for (size_t size = 8; size <= sizeof guard; size += 8) {
        libchat_thread_summary out = guard;
        out.struct_size = size;
        CHECK_EQ(LIBCHAT_OK, libchat_threads_get(threads, 0, &out));
        CHECK_EQ(size, out.struct_size);
        CHECK(!memcmp((char *)&out + size, (char *)&guard + size, sizeof guard - size));
        if (size >= offsetof(libchat_thread_summary, name))
            CHECK(strlen(out.short_id) == 8);
    }
    memset(&longer, 0xa5, sizeof longer);
    longer.known.struct_size = sizeof longer;
    CHECK_EQ(LIBCHAT_OK, libchat_threads_get(threads, 0, &longer.known));
    CHECK_EQ(1, longer.known.message_count);
    CHECK_EQ(0, longer.unknown[0] | longer.unknown[3]);
    guard.struct_size = 7;
    CHECK_EQ(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_threads_get(threads, 0, &guard));
    guard.struct_size = 4097;
    CHECK_EQ(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_threads_get(threads, 0, &guard));
    libchat_threads_release(threads);
}

static void nothing(void)
{
    libchat_thread_summary out = LIBCHAT_INIT(libchat_thread_summary);

    CHECK_EQ(0, libchat_threads_len(NULL));
    CHECK(libchat_threads_get(NULL, 0, &out) != LIBCHAT_OK);
    libchat_threads_release(NULL);
    EXPECT(LIBCHAT_ERR_INVALID_ARGUMENT, libchat_list_threads(ana, NULL, NULL, ERR));
}

int main(int argc, char **argv)
{
    const libchat_threads *threads;

    begin(argc, argv);
    libchat_conn conn = connect_here();
    ana = open_as(conn, "ana");
    ben = open_as(conn, "ben");
    OK(libchat_list_threads(ana, NULL, &threads, ERR));
    CHECK_EQ(0, libchat_threads_len(threads));
    libchat_threads_release(threads);
    send_text(ana, "notes", "a");
    send_text(ben, "notes", "b");
    send_numbers(ana, "plan", 3);
    send_text(ben, "empty body", "");
    all_threads();
    of_one_agent();
    summaries_of_other_sizes();
    nothing();
    close_conn(conn);
    return end();
}
